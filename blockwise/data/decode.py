"""Image files of any format, size and mode to one uint8 array, decoded in parallel."""

import struct
import sys
from collections.abc import Generator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from blockwise.data.progress import ProgressCallback
from blockwise.processes import cores, process_pool
from devices.errors import InputError

Pixels = npt.NDArray[np.uint8]

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})
CHUNK = 64
"""Files per task: long enough to hide the cost of a task, short enough for a smooth bar."""
PARALLEL_FROM = 1024
"""Files from which worker processes pay for their start."""

_UNREADABLE = (
    OSError, EOFError, SyntaxError, ValueError, IndexError, struct.error,
    Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow's readers raise on damaged files."""


class BadImage(Exception):
    """A file that cannot be used; its arguments are plain so that it crosses processes."""

    def __init__(self, path: str, got: str, wanted: str, do: str) -> None:
        super().__init__(path, got, wanted, do)

    def as_input_error(self) -> InputError:
        """The same, for the user."""
        path, got, wanted, do = self.args
        return InputError(f"image {path}", got=got, wanted=wanted, do=do)


@dataclass(frozen=True)
class Target:
    """The size every image must come out with: (H, W), made so if ``resize``, else demanded."""

    height: int
    width: int
    resize: bool
    model: str
    """The file whose size is demanded of the others."""


def readable_suffixes() -> frozenset[str]:
    """Lower-case suffixes of the formats Pillow can open (it can only write some others)."""
    registered = Image.registered_extensions()
    return frozenset(suffix for suffix, name in registered.items() if name in Image.OPEN)


def decode_all(
    paths: Sequence[str], image_size: int | None, progress: ProgressCallback
) -> tuple[Pixels, bool]:
    """All images as (N, 3, H, W), and whether every one of them is grey; or InputError.

    With ``image_size`` the shorter side is scaled to it and the centre cropped to a square;
    without, all images must share one size.
    """
    try:
        target = _target(paths[0], image_size)
        images = np.empty((len(paths), 3, target.height, target.width), np.uint8)
        done, grey = 0, True
        with closing(_decoded_chunks(paths, target)) as chunks:
            for chunk in chunks:
                # A grey chunk has one channel, which broadcasts to the three.
                images[done : done + len(chunk)] = chunk
                done, grey = done + len(chunk), grey and chunk.shape[1] == 1
                progress(done, len(paths))
    except BadImage as bad:
        raise bad.as_input_error() from bad
    return images, grey


def _target(path: str, image_size: int | None) -> Target:
    if image_size is not None:
        return Target(image_size, image_size, True, path)
    try:
        with Image.open(path) as image:
            return Target(image.height, image.width, False, path)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _decoded_chunks(paths: Sequence[str], target: Target) -> Generator[Pixels, None, None]:
    chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    if len(paths) < PARALLEL_FROM:
        yield from (decode_chunk(chunk, target) for chunk in chunks)
        return
    with _executor() as executor:
        yield from executor.map(decode_chunk, chunks, repeat(target))


def _executor() -> AbstractContextManager[Executor]:
    # Small images spend most of their time in Python, so two threads hinder each other: 20,000
    # 32x32 JPEGs took 2.3 s in one thread, 3.8-4.3 s in two, 1.2-1.7 s in two processes (2 cores).
    # Where processes are not forked each would first import torch.
    return process_pool(cores()) if sys.platform == "linux" else ThreadPoolExecutor(cores())


def decode_chunk(paths: Sequence[str], target: Target) -> Pixels:
    """(n, 1, H, W) if all n files are grey, else (n, 3, H, W)."""
    decoded = [decode(path, target) for path in paths]
    channels = max(len(image) for image in decoded)
    chunk = np.empty((len(paths), channels, target.height, target.width), np.uint8)
    for place, image in zip(chunk, decoded, strict=True):
        place[:] = image
    return chunk


def decode(path: str, target: Target) -> Pixels:
    """One file as (1, H, W) if it is grey, else (3, H, W). Transparency is dropped."""
    try:
        with Image.open(path) as image:
            if not target.resize and image.size != (target.width, target.height):
                raise _other_size(path, image, target)
            image.load()
            fitted = _fit(_eight_bits(image), target)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    pixels = np.asarray(fitted)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image in mode L or RGB."""
    if image.mode in SIXTEEN_BIT_MODES:
        # Pillow's own conversion clips at 255 instead of scaling 0..65535 to 0..255.
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in GREY_MODES:
        return image.convert("L")
    if image.mode == "P" and _has_grey_palette(image):
        return image.convert("RGB").getchannel(0)
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _has_grey_palette(image: Image.Image) -> bool:
    palette = image.getpalette() or []
    return palette[0::3] == palette[1::3] == palette[2::3]


def _fit(image: Image.Image, target: Target) -> Image.Image:
    """Scale the shorter side to the target and crop the centre, as torchvision's transforms do."""
    if not target.resize or image.size == (target.width, target.height):
        return image
    size, shorter = target.width, min(image.size)
    width, height = (int(size * side / shorter) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    return scaled.crop((left, top, left + size, top + size))


def _other_size(path: str, image: Image.Image, target: Target) -> BadImage:
    return BadImage(
        path,
        f"{image.width}x{image.height} pixels",
        f"{target.width}x{target.height} like {target.model}",
        "pass --image-size to bring all images to one size",
    )


def _unreadable(path: str, error: BaseException) -> BadImage:
    known = isinstance(error, UnidentifiedImageError)
    reason = "no known format" if known else (str(error).splitlines() or [type(error).__name__])[0]
    got = f"a damaged or unreadable file ({reason})"
    return BadImage(path, got, "an image that Pillow reads", "replace or remove the file")
