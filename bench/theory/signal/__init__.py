"""Mean-field theory of a signal's way through a network, and of its gradient's way back."""
