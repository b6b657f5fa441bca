"""Files that must be read, each with its pixels."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms
from tests.support.pictures.encoding import ORIENTATION, encoded, exif, picture, png, seen
from tests.support.pictures.variant import Variant

if TYPE_CHECKING:
    import numpy.typing as npt

# EXIF orientation -> how a picture that is stored so differs from the upright one.
_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

# 64x48, written by libjpeg-turbo's cjpeg -arithmetic, for Pillow writes none; its twin is jpegtran's, of the same
# coefficients in Huffman coding.
_ARITHMETIC = """\
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESU
M8SDc9Pjv/2wBDAQoLCw4NDhwQEBw7KCIoOzs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/yQARCAAw
AEADASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD9KcR0Hxfbz102mgJd5LLQuAsgjxdLZAkXUfpyxT+QJIE7oOhaW3wVWz0iB5
KLewlBisNwhZMvmMS2bUN+HwiraPV+5799DOg0HVZAtj9H7FrMB2Q98HPFrrzUDFdiWJE09mWz9QZ+iTyROasEFNiABpv4cvThPUW9BUMoupIO
CFWHLk6F4MrWuxSRHi53R3laSUeY1Gx4XRglaBXzeqfytgoyozntdK9UwN/fKCosk4607bzM97tio++kO30rGl+nvcLcLfqWmVwONywLt8i+bU
8mf56P422og36/DO9CO/sNitn4NHIK2mhEzwfV9PlcJr+Bu1D7hI0HTE/UnfOIMmJo+bLqcFnHNWJKofzZJ/STw3tE9nRg2ATyJZezrL1NsLdP
vN063LGsQPECP9q30VF8Xr/1lqOEd6FvM7KCTMMe88B054dVhS7fkWddMY+qTnAJsV9vVuVYBaorkTUoCpUNEc4660mWbNP1Hs8sh2HYm7HeX6
Vl5hTASf6q8Ek9RmMEkpFt5uKmjH5HknkuvwalDzIEBMC7b9hgRq4n/IFY/gQXpvfv/Fj/2Q==
"""
_HUFFMAN = """\
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESU
M8SDc9Pjv/2wBDAQoLCw4NDhwQEBw7KCIoOzs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wAARCAAw
AEADASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhBy
JxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKT
lJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAA
AAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRom
JygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExc
bHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwCCLAIzINvb3qR7gLEDg7ffrUTWfQ+nc1GC5JUglfU18dZPU/Pe
WMncR3ZW3kj8Ka8SGIlz8x6EinoilCTxn1NREt5pBfHPCmtEaryJFQrh8gED9KA7S5U9fbvSFTt3buSeuc/pTVlaM8KQaLXC1xv2Z1QkHKn17V
IkqRLiTG7tjvUb3MjcZHPTjrTDGbliWXH05qrN/EXZte8XpJ5NoY4B68dKRNzqWHG7tTIVOCAS3+9WiNLuYbD7XIoMWN3XkD1qFBtPlV7Gcacp
J8ivYoyqdnygBvQ9qokmRjuBJq4375jh+nUmn+UAAVHOCc+lKL5RRlyrUqhSo3kjB5GaYZyxYEjBpzpKxwBwe4qIoyEKOnfHWtFZmys9xnkEkF
XwD1zT0jmiHJPTrUhT5huyOM5zQ4cn5sc9QBVc1x8zehfgUrvCnd60+Rpvs5hMjlP4V3HaPwpF2pyCQo9T1qSeRIgGbr/s965eZp6HHzyUtOpR
a2baCJCPcdqmafykwVzn9Kru+GIEhXHTIqIsHG7cDnrWvLfc25XLceZlbOCQp/nUTsFfuQfQdKeqnaNoAalKMnLZwematWRorIazquC2N3fIqF
pWJPlOR2yB1qZ4TIDzkd6g8lAm3q2aqNi48p//2Q==
"""


def variants() -> tuple[Variant, ...]:
    """Every file that is read."""
    return (*_lossless(), *_lossy(), *_oriented(), *_shapes())


def _good(name: str, data: bytes, pixels: Image.Image | None = None) -> Variant:
    return Variant(name, data, pixels=seen(data) if pixels is None else pixels)


def _lossless() -> list[Variant]:
    """Files whose pixels are known without decoding them."""
    colour = picture()
    grey = colour.convert("L")
    rgb, single = np.asarray(colour), np.asarray(grey)[..., None]
    alpha = np.broadcast_to(np.arange(90, dtype=np.uint8)[None, :, None], (70, 90, 1))
    rgba, grey_alpha = Image.fromarray(np.dstack([rgb, alpha])), Image.fromarray(np.dstack([single, alpha]))
    palette, bits = colour.quantize(64), grey.convert("1")
    wide = rgb.astype(np.uint16) << 8 | 0x7F
    cmyk = colour.convert("CMYK")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    animation = [colour, colour.transpose(Image.Transpose.ROTATE_180)]
    shown = palette.convert("RGB")
    return [
        _good("png-rgb", encoded(colour, "PNG"), colour),
        _good("png-rgba", encoded(rgba, "PNG"), colour),
        _good("png-grey", encoded(grey, "PNG"), grey.convert("RGB")),
        _good("png-grey-alpha", encoded(grey_alpha, "PNG"), grey.convert("RGB")),
        _good("png-1bit", encoded(bits, "PNG"), bits.convert("RGB")),
        _good("png-palette", encoded(palette, "PNG"), shown),
        _good("png-palette-transparent", encoded(palette, "PNG", transparency=bytes(range(64))), shown),
        _good("png-palette-one-transparent", encoded(palette, "PNG", transparency=3), shown),
        _good("png-palette-4bit", encoded(colour.quantize(16), "PNG", bits=4), colour.quantize(16).convert("RGB")),
        _good("png-grey16", encoded(Image.fromarray(wide[..., 0].copy()), "PNG"), _grey(rgb[..., 0])),
        _good("png-rgb16", png(wide, 2), colour),
        _good("png-rgba16", png(np.dstack([wide, wide[..., :1]]), 6), colour),
        _good("png-grey-alpha16", png(np.dstack([wide[..., :1], wide[..., :1]]), 4), _grey(rgb[..., 0])),
        _good("png-rgb-interlaced", png(rgb, 2, interlaced=True), colour),
        _good("png-grey-interlaced", png(single, 0, interlaced=True), grey.convert("RGB")),
        _good("png-rgb16-interlaced", png(wide, 2, interlaced=True), colour),
        _good("png-icc", encoded(colour, "PNG", icc_profile=profile), colour),
        _good("png-animated", encoded(colour, "PNG", save_all=True, append_images=animation[1:]), colour),
        _good("gif-palette", encoded(palette, "GIF"), shown),
        _good("gif-grey", encoded(grey, "GIF"), grey.convert("RGB")),
        _good("gif-transparent", encoded(palette, "GIF", transparency=5), shown),
        _good("gif-interlaced", encoded(palette, "GIF", interlace=1), shown),
        _good("gif-animated", encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(90)]), shown),
        _good("webp-lossless", encoded(colour, "WEBP", lossless=True), colour),
        _good("webp-lossless-rgba", encoded(rgba, "WEBP", lossless=True, exact=True), colour),
        _good(
            "webp-animated", encoded(colour, "WEBP", lossless=True, save_all=True, append_images=animation), colour
        ),
        _good("bmp-rgb", encoded(colour, "BMP"), colour),
        _good("bmp-palette", encoded(palette, "BMP"), shown),
        _good("bmp-grey", encoded(grey, "BMP"), grey.convert("RGB")),
        _good("bmp-1bit", encoded(bits, "BMP"), bits.convert("RGB")),
        _good("bmp-rgba", encoded(rgba, "BMP"), colour),
        _good("tiff-rgb", encoded(colour, "TIFF"), colour),
        _good("tiff-rgb-lzw", encoded(colour, "TIFF", compression="tiff_lzw"), colour),
        _good("tiff-rgb-deflate", encoded(colour, "TIFF", compression="tiff_adobe_deflate"), colour),
        _good("tiff-rgb-packbits", encoded(colour, "TIFF", compression="packbits"), colour),
        _good("tiff-rgba", encoded(rgba, "TIFF"), colour),
        _good("tiff-grey", encoded(grey, "TIFF"), grey.convert("RGB")),
        _good("tiff-palette", encoded(palette, "TIFF"), shown),
        _good("tiff-1bit", encoded(bits, "TIFF"), bits.convert("RGB")),
        _good("tiff-grey16", encoded(Image.fromarray(wide[..., 0].copy()), "TIFF"), _grey(rgb[..., 0])),
        _good("tiff-cmyk", encoded(cmyk, "TIFF"), cmyk.convert("RGB")),
        _good("tiff-pages", encoded(colour, "TIFF", save_all=True, append_images=animation[1:]), colour),
    ]


def _grey(values: npt.NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.repeat(values[..., None], 3, axis=2))


def _lossy() -> list[Variant]:
    colour = picture()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    jpeg = encoded(colour, "JPEG", quality=90)
    cmyk = encoded(colour.convert("CMYK"), "JPEG", quality=95)
    return [
        _good("jpeg-420", jpeg),
        _good("jpeg-444", encoded(colour, "JPEG", subsampling=0)),
        _good("jpeg-grey", encoded(colour.convert("L"), "JPEG")),
        _good("jpeg-progressive", encoded(colour, "JPEG", progressive=True)),
        _good("jpeg-restarts", encoded(colour, "JPEG", restart_marker_rows=1)),
        _good("jpeg-arithmetic", base64.b64decode(_ARITHMETIC), seen(base64.b64decode(_HUFFMAN))),
        _good("jpeg-cmyk-adobe-inverted", cmyk),
        _good("jpeg-icc", encoded(colour, "JPEG", icc_profile=profile), seen(encoded(colour, "JPEG"))),
        _good("jpeg-comment", encoded(colour, "JPEG", comment=b"[METRICS]x|#y\n"), seen(encoded(colour, "JPEG"))),
        _good("jpeg-trailing-bytes", jpeg + b"more", seen(jpeg)),
        _good("jpeg-broken-exif", encoded(colour, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff")),
        _good("jpeg-multi-picture", encoded(colour, "MPO", save_all=True, append_images=[colour.rotate(180)])),
        _good("webp-lossy", encoded(colour, "WEBP")),
        _good("webp-lossy-rgba", encoded(colour.convert("RGBA"), "WEBP")),
        _good("tiff-jpeg", encoded(colour, "TIFF", compression="jpeg")),
    ]


def _oriented() -> list[Variant]:
    colour = picture()
    made = []
    for orientation, turn in _STORED.items():
        stored = colour if turn is None else colour.transpose(turn)
        made.append(
            _good(f"png-orientation-{orientation}", encoded(stored, "PNG", exif=exif(orientation)), colour)
        )
    turned = colour.transpose(Image.Transpose.ROTATE_90)
    jpeg = seen(encoded(turned, "JPEG")).transpose(Image.Transpose.ROTATE_270)
    return [
        *made,
        _good("jpeg-orientation-6", encoded(turned, "JPEG", exif=exif(6)), jpeg),
        _good("webp-orientation-6", encoded(turned, "WEBP", lossless=True, exif=exif(6)), colour),
        _good("tiff-orientation-6", encoded(turned, "TIFF", tiffinfo={ORIENTATION: 6}), colour),
        _good("png-orientation-9", encoded(colour, "PNG", exif=exif(9)), colour),
    ]


def _shapes() -> list[Variant]:
    sizes = [(1, 1), (2, 3), (1, 90), (90, 1), (900, 30), (30, 900), (1000, 1000)]
    return [_good(f"png-{w}x{h}", encoded(picture(w, h), "PNG"), picture(w, h)) for w, h in sizes]
