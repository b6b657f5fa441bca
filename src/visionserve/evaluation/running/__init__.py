"""A running server is asked for labelled pictures."""
