"""The sets that torchvision downloads and unpacks, brought to one layout."""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from blockwise.data.dataset import RawSet
from blockwise.data.samples import Split
from devices.errors import InputError

_UNUSABLE = (RuntimeError, OSError, ValueError, KeyError, EOFError, AssertionError)
"""What torchvision raises for absent or damaged files and failed downloads (URLError: OSError)."""

TO_NCHW = {"NHW": (0, 1, 2), "NHWC": (0, 3, 1, 2), "NCHW": (0, 1, 2, 3)}


@dataclass(frozen=True)
class TorchvisionSet:
    """How one class of ``torchvision.datasets`` names its splits, arrays and labels."""

    class_name: str
    layout: str
    labels: str = "targets"
    splits_by_name: bool = False
    """Whether the constructor takes split="train" instead of train=True."""
    classes: tuple[str, ...] = ()
    """Where torchvision does not know them."""

    def read(self, cache_dir: Path | None, download: bool) -> RawSet:
        """Read from the cache folder; fetch into it only if that fails and ``download`` is asked for."""
        if cache_dir is None:
            raise InputError(
                f"data set {self.class_name}", got="a user without a home folder",
                wanted="a place for its files",
                do="set HOME or XDG_CACHE_HOME, or use --data PATH for an image folder",
            )  # fmt: skip
        root = cache_dir / "torchvision"
        train, test = (self._open(root, part, download) for part in ("train", "test"))
        return RawSet(self.classes or tuple(train.classes), self._split(train), self._split(test))

    def _open(self, root: Path, part: str, download: bool) -> Any:
        try:
            return self._construct(root, part, download=False)
        except _UNUSABLE as error:
            if not download:
                raise self._error(root, f"no usable files in {root}", "use --download") from error
        try:
            return self._construct(root, part, download=True)
        except _UNUSABLE as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise self._error(
                root, f"a failed download ({reason})", "check the network and try again"
            ) from error

    def _construct(self, root: Path, part: str, *, download: bool) -> Any:
        # Slow to import, and digits and folders do not need it.
        import torchvision  # type: ignore[import-untyped]

        chosen: dict[str, Any] = {"split": part} if self.splits_by_name else {"train": part == "train"}
        # stdout is for results; older versions report their downloads there.
        with contextlib.redirect_stdout(sys.stderr):
            make = getattr(torchvision.datasets, self.class_name)
            return make(root=str(root), download=download, **chosen)

    def _error(self, root: Path, got: str, do: str) -> InputError:
        advice = f"{do}, or place the files in {root}, or use --data PATH for an image folder"
        return InputError(f"data set {self.class_name}", got=got, wanted="the files of the set", do=advice)

    def _split(self, dataset: Any) -> Split:
        images = torch.as_tensor(dataset.data).permute(TO_NCHW[self.layout])
        if self.layout == "NHW":
            images = images.unsqueeze(1)
        labels = torch.as_tensor(getattr(dataset, self.labels), dtype=torch.int64)
        return Split(images.contiguous(), labels)


CIFAR10 = TorchvisionSet("CIFAR10", "NHWC")
CIFAR100 = TorchvisionSet("CIFAR100", "NHWC")
MNIST = TorchvisionSet("MNIST", "NHW")
FASHION_MNIST = TorchvisionSet("FashionMNIST", "NHW")
SVHN = TorchvisionSet(
    "SVHN",
    "NCHW",
    labels="labels",
    splits_by_name=True,
    classes=tuple(str(digit) for digit in range(10)),
)
