"""The table of keys is TorchServe's own, as the jar that is installed has them."""

from __future__ import annotations

import re
import struct
import zipfile
from importlib.util import find_spec
from pathlib import Path

from visionserve.server.settings.known import KINDS, REFUSED

# The bytes of each kind of entry in a class file's pool of constants, past its tag (JVM specification, 4.4).
ENTRIES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
TEXT, TWO_PLACES = 1, (5, 6)
# Words of ConfigManager's that look like keys: names in snapshots and headers, and the folder of torchrun's logs.
OTHERS = {"ts_request_sequence_id", "ts_request_sequence_start", "ts_request_sequence_end", "torchelastic_ts"}
# Keys of one word, or that TorchServe's launcher in Python reads.
OF_THE_LAUNCHER = {"vmargs", "plugins_path"}


def texts() -> set[str]:
    """Every text in the class that reads config.properties."""
    package = find_spec("ts")
    assert package is not None
    assert package.origin is not None
    with zipfile.ZipFile(Path(package.origin).parent / "frontend" / "model-server.jar") as jar:
        data = jar.read("org/pytorch/serve/util/ConfigManager.class")
    (count,) = struct.unpack_from(">H", data, 8)
    found, place, entry = set(), 10, 1
    while entry < count:
        tag = data[place]
        if tag == TEXT:
            (length,) = struct.unpack_from(">H", data, place + 1)
            found.add(data[place + 3 : place + 3 + length].decode())
            place += 3 + length
        else:
            place += 1 + ENTRIES[tag]
        entry += 2 if tag in TWO_PLACES else 1
    return found


def test_every_key_of_ours_is_torchserves() -> None:
    assert (KINDS.keys() | REFUSED.keys()) - OF_THE_LAUNCHER <= texts()


def test_every_key_of_torchserves_is_in_the_table() -> None:
    looks_like_a_key = {text for text in texts() if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)}
    assert len(looks_like_a_key) > 50
    assert looks_like_a_key - OTHERS <= KINDS.keys() | REFUSED.keys()


def test_a_key_is_taken_or_refused() -> None:
    assert not KINDS.keys() & REFUSED.keys()
