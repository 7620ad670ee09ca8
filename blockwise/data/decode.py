"""Image files of any format, size and mode to one uint8 array, decoded in parallel."""

import math
import struct
import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from blockwise.data.pixels import Span, eight_bits, is_wide, scaled, upright, wide_values
from blockwise.data.progress import ProgressCallback
from blockwise.system.processes import cores, process_pool
from blockwise.system.sizes import check_room
from devices.errors import InputError

Pixels = npt.NDArray[np.uint8]
Answer = TypeVar("Answer")

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
    """The file whose size and kind of values are demanded of the others."""
    span: Span | None = None
    """What becomes 0 and 255, if the values are wide: see :func:`blockwise.data.pixels.is_wide`."""


class Decoded(NamedTuple):
    """Images (n, 1, H, W) if all of them are grey, else (n, 3, H, W)."""

    images: Pixels
    transparent: int
    """How many of them are transparent in places."""


class DecodedImages(NamedTuple):
    """All images (N, 3, H, W), whether every one of them is grey, and what became of them in words."""

    pixels: Pixels
    grey: bool
    notes: tuple[str, ...]


def readable_suffixes() -> frozenset[str]:
    """Lower-case suffixes of the formats Pillow can open (it can only write some others)."""
    registered = Image.registered_extensions()
    return frozenset(suffix for suffix, name in registered.items() if name in Image.OPEN)


def decode_all(
    paths: Sequence[str], image_size: int | None, progress: ProgressCallback, training: int | None = None
) -> DecodedImages:
    """All images, or InputError.

    With ``image_size`` the shorter side is scaled to it and the centre cropped to a square;
    without, all images must share one size. Floats and integers of more than 16 bits are scaled by the
    range of the first ``training`` images (of all for None).
    """
    with warnings.catch_warnings(action="ignore"):  # of Pillow, on files that are large or carry odd data
        try:
            target = _target(paths[0], image_size)
            if target.span is not None:
                target = replace(target, span=_common_span(paths[:training], progress))
            return _decode_to(target, paths, progress)
        except BadImage as bad:
            raise bad.as_input_error() from bad


def _decode_to(target: Target, paths: Sequence[str], progress: ProgressCallback) -> DecodedImages:
    shape = (len(paths), 3, target.height, target.width)
    flag = "--image-size" if target.resize else "images"
    check_room(flag, f"{len(paths):,} images of {target.width}x{target.height}", math.prod(shape))
    images = np.empty(shape, np.uint8)
    done, grey, transparent = 0, True, 0
    with closing(_by_chunks(partial(decode_chunk, target=target), paths)) as chunks:
        for chunk in chunks:
            # A grey chunk has one channel, which broadcasts to the three.
            images[done : done + len(chunk.images)] = chunk.images
            done, grey = done + len(chunk.images), grey and chunk.images.shape[1] == 1
            transparent += chunk.transparent
            progress(done, len(paths))
    notes = []
    if transparent:
        notes.append(f"{transparent:,} of {done:,} images are transparent in places; they are laid on black")
    if target.span is not None:
        low, high = target.span
        notes.append(f"values from {low:g} to {high:g}, the range of all images in train/, become 0 to 255")
    return DecodedImages(images, grey, tuple(notes))


def _target(path: str, image_size: int | None) -> Target:
    """What the first image decides; its own range stands for that of all."""
    try:
        with Image.open(path) as image:
            span = span_of(wide_values(image)) if is_wide(image) else None
            width, height = upright(image).size if image_size is None else (image_size, image_size)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return Target(height, width, image_size is not None, path, span)


def span_of(values: npt.NDArray[np.float64]) -> Span:
    """Lowest and highest value."""
    return float(values.min()), float(values.max())


def _common_span(paths: Sequence[str], progress: ProgressCallback) -> Span:
    low, high, done = float("inf"), float("-inf"), 0
    with closing(_by_chunks(partial(span_chunk, model=paths[0]), paths)) as spans:
        for lowest, highest in spans:
            low, high, done = min(low, lowest), max(high, highest), min(done + CHUNK, len(paths))
            progress(done, len(paths))
    return low, high


def span_chunk(paths: Sequence[str], model: str) -> Span:
    """The range of n files, all of them wide like ``model``."""
    low, high = float("inf"), float("-inf")
    for path in paths:
        try:
            with Image.open(path) as image:
                _check_kind(path, image, model, wide=True)
                lowest, highest = span_of(wide_values(image))
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error
        low, high = min(low, lowest), max(high, highest)
    return low, high


def _by_chunks(
    work: Callable[[Sequence[str]], Answer], paths: Sequence[str]
) -> Generator[Answer, None, None]:
    """``work`` on CHUNK files at a time, in their order."""
    chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    if len(paths) < PARALLEL_FROM:
        yield from map(work, chunks)
        return
    with _executor() as executor:
        yield from executor.map(work, chunks)


def _executor() -> AbstractContextManager[Executor]:
    # Small images spend most of their time in Python, so two threads hinder each other: 20,000
    # 32x32 JPEGs took 2.3 s in one thread, 3.8-4.3 s in two, 1.2-1.7 s in two processes (2 cores).
    # Where processes are not forked each would first import torch.
    return process_pool(cores()) if sys.platform == "linux" else ThreadPoolExecutor(cores())


def decode_chunk(paths: Sequence[str], target: Target) -> Decoded:
    """n files; one channel if all of them are grey."""
    decoded = [decode(path, target) for path in paths]
    channels = max(len(one.images) for one in decoded)
    chunk = np.empty((len(paths), channels, target.height, target.width), np.uint8)
    for place, one in zip(chunk, decoded, strict=True):
        place[:] = one.images
    return Decoded(chunk, sum(one.transparent for one in decoded))


def decode(path: str, target: Target) -> Decoded:
    """One file, as (1, H, W) if it is grey, else (3, H, W)."""
    try:
        with Image.open(path) as image:
            _check_kind(path, image, target.model, wide=target.span is not None)
            if target.span is not None:
                plain, transparent = scaled(wide_values(image), target.span), False
            else:
                plain, transparent = eight_bits(upright(image))
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if not target.resize and plain.size != (target.width, target.height):
        raise _other_size(path, plain, target)
    pixels = np.asarray(_fit(plain, target))
    return Decoded(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), int(transparent))


def _fit(image: Image.Image, target: Target) -> Image.Image:
    """Scale the shorter side to the target and crop the centre, as torchvision's transforms do."""
    if not target.resize or image.size == (target.width, target.height):
        return image
    size, shorter = target.width, min(image.size)
    width, height = (int(size * side / shorter) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    scaled_image = image.resize((width, height), Image.Resampling.BILINEAR)
    return scaled_image.crop((left, top, left + size, top + size))


def _check_kind(path: str, image: Image.Image, model: str, *, wide: bool) -> None:
    if is_wide(image) != wide:
        kinds = ("values of 8 or 16 bits", "floats or integers of more than 16 bits")
        do = "convert all images to one kind"
        raise BadImage(path, kinds[is_wide(image)], f"{kinds[wide]} like {model}", do)


def _other_size(path: str, image: Image.Image, target: Target) -> BadImage:
    return BadImage(
        path,
        f"{image.width}x{image.height} pixels",
        f"{target.width}x{target.height} like {target.model}",
        "pass --image-size to bring all images to one size",
    )


def _unreadable(path: str, error: BaseException) -> BadImage:
    if isinstance(error, Image.DecompressionBombError):
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        return BadImage(path, "too many pixels", f"at most {most:,}", "scale it down or remove it")
    known = isinstance(error, UnidentifiedImageError)
    reason = "no known format" if known else (str(error).splitlines() or [type(error).__name__])[0]
    got = f"a damaged or unreadable file ({reason})"
    return BadImage(path, got, "an image that Pillow reads", "replace or remove the file")
