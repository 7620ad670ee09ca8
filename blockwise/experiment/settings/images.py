"""Which images."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from blockwise.data import AUGMENTS, DEFAULT_AUGMENT, VALIDATION, is_named
from blockwise.data.own_sets import LOG_MEL, bands_of
from blockwise.system.sizes import check_shape, check_size
from devices.errors import InputError, unknown_name


@dataclass(frozen=True)
class ImageSettings:
    """The images."""

    data: Annotated[
        str,
        arg(
            help="digits (bundled), cifar10, cifar100, mnist, fashion-mnist, svhn, watch, aeon:NAME, or a "
            "PATH: of a folder with train/CLASS/ and test/CLASS/ images or .wav files, or of arrays x_train, "
            "y_train, x_test, y_test, .npz or a folder of .npy."
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
    validation: Annotated[
        float | None,
        arg(
            metavar="SHARE",
            help="Share of the training samples that the epoch is chosen on: by class, or by whole groups.",
            help_behavior_hint=f"(default: {VALIDATION:g}, or the set's own)",
        ),
    ] = None
    hold_out: Annotated[
        tuple[str, ...],
        arg(
            metavar="GROUP ...",
            help="Groups (people, machines) to test on, in place of the set's own test samples.",
            help_behavior_hint="(default: the set's own test samples)",
        ),
    ] = ()
    augment: Annotated[
        str,
        arg(help="How training samples are changed at random: default, as suits the set, or none."),
    ] = DEFAULT_AUGMENT
    features: Annotated[
        str | None,
        arg(
            metavar="NAME",
            help="What networks see of .wav files: log-mel, log-mel:BANDS or waveform.",
            help_behavior_hint=f"(default: {LOG_MEL})",
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.image_size is not None:
            check_size("--image-size", self.image_size)
        if self.augment not in AUGMENTS:
            raise unknown_name("--augment", self.augment, AUGMENTS)
        if self.features is not None:
            bands_of(self.features)
        if self.validation is not None and not 0 < self.validation < 1:
            raise InputError(
                "--validation", got=f"{self.validation:g}", wanted="more than 0 and less than 1", do="try 0.1"
            )
        if self.in_shape is not None:
            check_shape("--in-shape", self.in_shape)
            check_size("--classes", self.classes, 2)
            self._check_alone()
        else:
            self._check_classes()

    def _check_classes(self) -> None:
        """Refuse classes beside images, which have theirs."""
        if self.classes != type(self).classes:
            raise InputError(
                "--classes", got=f"{self.classes} without --in-shape", wanted="the classes of the data",
                do="leave it out, or add --in-shape to plan without data",
            )  # fmt: skip

    def _check_alone(self) -> None:
        """Refuse what would have no say beside a shape, which stands for images that are not there."""
        own = "" if is_named(self.data) else self.data  # a named set may be a preset's
        without_say = {
            "--data": own,
            "--image-size": self.image_size,
            "--hold-out": self.hold_out,
            "--features": self.features,
        }
        for flag, given in without_say.items():
            if given:
                raise beside_shape(flag)


def beside_shape(flag: str) -> InputError:
    """About a flag of images beside a shape without any."""
    return InputError(
        "--in-shape", got=f"{flag} beside it", wanted="a shape without images, or images, which have one",
        do="leave one of the two out",
    )  # fmt: skip
