"""Architectures: which one a state dict is of, what one's own imports, what one looks like layer by layer."""
