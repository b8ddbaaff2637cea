"""Two TensorFlow versions on one machine: requirements, building, keeping."""
