"""Training of a model that a function of the user's builds. The only place that runs users' code, and
only training processes import it."""
