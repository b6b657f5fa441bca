"""Encoded pictures to pixels at the network's input size, at a cost that is bounded beforehand."""
