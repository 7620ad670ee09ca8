"""One opened image file as 8-bit pixels: upright, on black where it is transparent, in range."""

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

Values = npt.NDArray[np.float64]
Span = tuple[float, float]
"""Lowest and highest value, which become 0 and 255."""

GREY_MODES = frozenset({"1", "L", "LA", "La"})
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})
SIXTEEN_BITS_AS_32 = frozenset({"PNG", "PPM"})
"""Formats whose grey values of 16 bits Pillow may give in its 32-bit mode."""
UNSIGNED = 1
"""TIFF's SampleFormat of unsigned integers, which Pillow gives as signed ones."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""EXIF orientation -> what brings the image upright (EXIF 2.32, tag 0x0112)."""


def upright(image: Image.Image) -> Image.Image:
    """The image, read whole and turned as its EXIF data say."""
    image.load()  # formats that keep the orientation behind the pixels know it only now
    turn = TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF data fail in a dozen ways and leave the pixels whole
        return 1


def is_wide(image: Image.Image) -> bool:
    """Whether its values are floats or integers of more than 16 bits, whose range the file does not tell."""
    return image.mode == "F" or (image.mode == "I" and image.format not in SIXTEEN_BITS_AS_32)


def wide_values(image: Image.Image) -> Values:
    """The values (H, W) of a wide image, upright. Raises ValueError for what is no number."""
    values = np.asarray(image)  # of a TIFF, the only wide format that may be turned, Pillow turns it
    tags = getattr(image, "tag_v2", {})
    if tags.get(ExifTags.Base.BitsPerSample) == (32,) and tags.get(ExifTags.Base.SampleFormat) == (UNSIGNED,):
        values = values.view(np.uint32)
    if not np.isfinite(values).all():
        raise ValueError("values that are infinite or no numbers")
    return values.astype(np.float64)


def scaled(values: Values, span: Span) -> Image.Image:
    """Values in mode L: ``span`` becomes 0 to 255, and what lies outside its nearer end."""
    low, high = span
    width = high - low or 1.0
    return Image.fromarray(np.rint((values.clip(low, high) - low) / width * 255).astype(np.uint8))


def eight_bits(image: Image.Image) -> tuple[Image.Image, bool]:
    """The image in mode L or RGB, and whether any of it is transparent: it lies on black then."""
    if image.mode in SIXTEEN_BIT_MODES:
        # Pillow's own conversion clips at 255 instead of scaling 0..65535 to 0..255.
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)), False
    grey = image.mode in GREY_MODES or (image.mode == "P" and _has_grey_palette(image))
    if _has_alpha(image):
        flat, transparent = _on_black(image.convert("LA") if image.mode == "La" else image)
    elif image.mode in GREY_MODES:
        return image.convert("L"), False
    else:
        flat, transparent = image.convert("RGB"), False
    return flat.getchannel(0) if grey else flat, transparent


def _has_alpha(image: Image.Image) -> bool:
    palette = image.palette.mode if image.mode == "P" and image.palette else ""
    return image.mode in ALPHA_MODES or "transparency" in image.info or palette.endswith("A")


def _on_black(image: Image.Image) -> tuple[Image.Image, bool]:
    full = image.convert("RGBA")
    colour, alpha = full.convert("RGB"), full.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return colour, False
    black = Image.new("RGB", image.size)
    black.paste(colour, mask=alpha)
    return black, True


def _has_grey_palette(image: Image.Image) -> bool:
    palette = image.getpalette() or []
    return palette[0::3] == palette[1::3] == palette[2::3]
