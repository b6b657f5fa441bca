"""Runs on the builder's machine: weights and a model's YAML in, an archive out."""
