"""What may be served, decided when it gets into a server's own folder: as a link, a copy, or a signed copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.signatures import bundle, verification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.signatures.keys import PublicKey

# Puts an archive at a place in the server's own folder, or raises; returns the file whose bytes will be served.
Admission = Callable[[Path, Path], Path]


def linked(archive: Path, place: Path) -> Path:
    """Admit any archive, by a link, which TorchServe follows in its model store."""
    place.symlink_to(archive.resolve())
    return archive


def copied(archive: Path, place: Path) -> Path:
    """Admit any archive, as it is now, whatever the model store holds later.

    A copy, and no second name for the same file: `cp` writes into a file that is there, and while it does, or when
    it has brought another model, what is served would be judged by what is not.
    """
    shutil.copyfile(archive, place)
    return place


def copied_if_signed_by(keys: Sequence[PublicKey]) -> Admission:
    """Admit what one of the keys has signed, under the name that it was signed for.

    Whoever may write to the model store can change an archive at any time. So it is copied to the server's private
    folder first, and the copy is verified and served.
    """

    def admit(archive: Path, place: Path) -> Path:
        signature = bundle.read(archive)
        verification.trusted(signature, keys)  # nothing is copied in vain
        shutil.copyfile(archive, place)
        verification.verify(signature, place, keys, called=place.name)
        return place

    return admit
