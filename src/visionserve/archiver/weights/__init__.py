"""Weights files: found, read whatever form they were saved in, described, downloaded, written clean."""
