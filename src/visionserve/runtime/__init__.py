"""The worker's path from bytes to answer.

    bytes -> payload -> images -> engine -> predictions -> bytes

This package travels inside every archive. It imports torch, torchvision, Pillow, NumPy and the standard
library, and knows nothing of TorchServe, of how archives are built, or of HTTP.
"""
