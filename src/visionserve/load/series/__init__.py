"""Several runs as one measurement: the highest rate within a bound, and a sweep over settings."""
