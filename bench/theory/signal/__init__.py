"""How a signal and its gradient go through a network, by mean-field theory."""
