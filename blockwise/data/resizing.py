"""Square images of a set brought to another size."""

import torch
from torch import Tensor
from torch.nn import functional

from blockwise.data.dataset import RawSet
from blockwise.data.samples import Split
from blockwise.system.sizes import check_room
from devices.errors import InputError

RESIZE_BATCH = 1024


def resized(raw: RawSet, image_size: int | None) -> RawSet:
    """``raw`` with images of ``image_size`` squared, as it is for None.

    Raises InputError for samples that are no square images.
    """
    if image_size is None or raw.train.images.shape[2:] == (image_size, image_size):
        return raw
    images, test = raw.train.images, raw.test
    if images.ndim != 4 or images.dtype != torch.uint8 or images.shape[2] != images.shape[3]:
        shape = "x".join(map(str, images.shape[1:]))
        raise InputError(
            "--image-size",
            got=f"samples of {shape}",
            wanted="square images of 8 bits to resize",
            do="leave it out",
        )
    pixels = image_size**2 * images.shape[1] * (len(images) + (0 if test is None else len(test)))
    check_room("--image-size", f"images of {image_size}x{image_size}", pixels)
    sized = [
        None if part is None else Split(resize(part.images, image_size), part.labels, part.groups)
        for part in (raw.train, test)
    ]
    assert sized[0] is not None
    return RawSet(raw.classes, sized[0], sized[1], raw.groups)


def resize(images: Tensor, size: int) -> Tensor:
    """Square images uint8 (N, C, H, H) to (N, C, size, size), bilinear with antialiasing."""
    # In pieces: the resampling kernels hold a float copy of what they work on.
    pieces = [
        functional.interpolate(piece, (size, size), mode="bilinear", antialias=True)
        for piece in torch.split(images, RESIZE_BATCH)
    ]
    return torch.cat(pieces)
