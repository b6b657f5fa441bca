"""What can go wrong with keys and signatures."""

from visionserve.runtime.errors import VisionserveError


class SignatureError(VisionserveError):
    """An archive cannot be signed, or is not what somebody trusted has signed."""


class Unsigned(SignatureError):
    """No signature lies beside the archive."""


class PassphraseNeeded(SignatureError):
    """The private key is encrypted, and its passphrase was not given."""
