"""Judges what came back: figures with their intervals, whether the run is valid, whether a bound holds."""
