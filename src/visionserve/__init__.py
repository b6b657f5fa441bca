"""Serve torchvision classifiers over REST with TorchServe."""

__version__ = "0.1.0"
