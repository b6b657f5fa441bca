"""Weights in any form to a proven archive, on the builder's machine."""
