r"""Encoded pictures to RGB pixels at the network's input size.

bytes -> open (format, size limit) -> decode -> upright -> RGB -> fit -> uint8 [H, W, 3]
                                   \-> jpeg: the same in one step, for plain photographs -/
"""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image

from visionserve.runtime.machine import device
from visionserve.runtime.pictures import formats, gate, jpeg
from visionserve.runtime.pictures.fit import fit
from visionserve.runtime.wire.errors import InvalidImage, RequestError, UnsupportedFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from visionserve.runtime.model import Transform

# As Pillow names them. libtiff logs a line for every row of a damaged fax, so faxes could flood the server's log.
_TIFF_COMPRESSIONS = ("raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "jpeg")

# What has one meaning in 8 bits. Samples of 32 bits have no known range, and Lab is not for showing.
_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"})

# EXIF 2.32, tag 274: what turns the stored picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def configure_pillow() -> None:
    """Set Pillow up for a process that decodes what clients send; it holds for all of the process.

    Pillow's own limit of pixels is lifted, since ours is stricter and is checked before anything is decoded. Its
    warnings of damaged metadata are silenced: clients could fill the server's log with them.
    """
    Image.MAX_IMAGE_PIXELS = None
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def decode(data: bytes | bytearray, max_pixels: int) -> Image.Image:
    """Decode the first frame of a picture to RGB, turned upright as its EXIF orientation says.

    Transparency is dropped, as `Image.convert("RGB")` and hence torchvision's own data loaders do; 16 bits are
    reduced to their upper 8; CMYK is read as Adobe writes it; colour profiles are not applied.

    Args:
        data: The encoded picture, in one of `formats.DECODERS`.
        max_pixels: The most pixels it may have, read from its header before any of them is decoded.

    Raises:
        UnsupportedFormat: It is a file of another kind that we know.
        InvalidImage: It is not a picture in one of those formats, or it is damaged.
        ImageTooLarge: It has more than `max_pixels`.
        MemoryError: There is no memory for it.
    """
    with _readable(data, max_pixels) as image:
        image.load()
        return _rgb(_upright(image))


@contextmanager
def _readable(data: bytes | bytearray, max_pixels: int) -> Iterator[Image.Image]:
    """An opened picture that is worth decoding; whatever goes wrong while decoding is the picture's fault."""
    try:
        gate.require_bounded(data, max_pixels)
        with _open(data) as image:
            _require_affordable(image, max_pixels)
            yield image
    except RequestError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them stumble over
        if device.is_out_of_memory(error):
            raise MemoryError from error
        raise InvalidImage(
            f"the {len(data)} bytes start as an image and are damaged or cut short; send {formats.TAKEN}"
        ) from error


def _open(data: bytes | bytearray) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=formats.DECODERS)
    except MemoryError:
        raise
    except Exception as error:  # as above
        formats.refuse_known_others(data)
        raise InvalidImage(f"the {len(data)} bytes are not a readable image; send {formats.TAKEN}") from error


def _require_affordable(image: Image.Image, max_pixels: int) -> None:
    gate.require_pixels(*image.size, max_pixels)
    compression = image.info.get("compression", "raw")
    if image.format == "TIFF" and compression not in _TIFF_COMPRESSIONS:
        raise UnsupportedFormat(
            f"this is a TIFF of compression {compression}; send {', '.join(_TIFF_COMPRESSIONS)}"
        )


def _orientation(image: Image.Image) -> int:
    """The picture's EXIF orientation, 1 to 8; a damaged EXIF block says nothing, so 1."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # any damage to metadata, which the pixels do not need
        return 1
    return orientation if isinstance(orientation, int) and orientation in _UPRIGHT else 1


def _upright(image: Image.Image) -> Image.Image:
    turn = _UPRIGHT.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode not in _MODES:
        raise InvalidImage(
            f"the image's samples are of kind {image.mode}; send grey, RGB or CMYK of at most 16 bits"
        )
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    # Pillow would copy a picture that is RGB already: of 12 megapixels, 14 ms of page faults.
    return image if image.mode == "RGB" else image.convert("RGB")


def prepare(
    picture: bytes | bytearray | npt.NDArray[np.uint8], max_pixels: int, transform: Transform, *, exact: bool
) -> tuple[npt.NDArray[np.uint8], int]:
    """A picture, encoded or as pixels, at the network's input size.

    Args:
        picture: The encoded picture, or uint8 `[H, W, 3]`.
        max_pixels: The most pixels it may have.
        transform: The transform to follow.
        exact: Whether to follow it to the bit; else a plain JPEG goes the fast way, see `jpeg`.

    Returns:
        uint8 `[crop, crop, 3]`, and the pixels that the picture had.

    Raises:
        RequestError: See `decode`.
    """
    if isinstance(picture, np.ndarray):
        return fit(Image.fromarray(picture), transform), picture.shape[0] * picture.shape[1]
    with _readable(picture, max_pixels) as image:
        size = image.width * image.height
        if not exact and jpeg.takes(picture, image, transform):
            return jpeg.fit(image, _orientation(image), transform), size
        image.load()
        return fit(_rgb(_upright(image)), transform), size
