"""Generates traffic for a running server and judges what came back."""
