"""What people write of a model, and what can be told of one without it."""
