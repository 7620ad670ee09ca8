"""Which images."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from blockwise.system.sizes import check_shape, check_size


@dataclass(frozen=True)
class ImageSettings:
    """The images."""

    data: Annotated[
        str,
        arg(
            help="digits (bundled), cifar10, cifar100, mnist, fashion-mnist, svhn, or the PATH of a folder "
            "with train/CLASS/ and test/CLASS/ images."
        ),
    ] = "digits"
    image_size: Annotated[
        int | None,
        arg(
            metavar="PIXELS",
            help="Side to which images are resized and cropped.",
            help_behavior_hint="(default: as they are)",
        ),
    ] = None
    in_shape: Annotated[
        tuple[int, ...] | None,
        arg(
            metavar="C H W",
            help="Dry runs only: plan for images of this shape (C L of signals, F of features) without "
            "any data.",
            help_behavior_hint="(default: the data's)",
        ),
    ] = None
    classes: Annotated[int, arg(help="Classes to tell apart, with --in-shape.")] = 10
    download: Annotated[bool, arg(help="Fetch a named set that is not on this computer.")] = False

    def __post_init__(self) -> None:
        if self.image_size is not None:
            check_size("--image-size", self.image_size)
        if self.in_shape is not None:
            check_shape("--in-shape", self.in_shape)
            check_size("--classes", self.classes, 2)
