"""Sets of torchvision, stubbed: their layouts, their splits and their downloads."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision  # type: ignore[import-untyped]
from sets import message, pixels

from blockwise.data import (
    Augment,
    load,
)
from devices.errors import InputError


class Stub:
    """Stands in for one class of torchvision.datasets and records how it is constructed."""

    def __init__(self, present: bool, **arrays: Any) -> None:
        self.present, self.arrays, self.calls = present, arrays, list[dict[str, Any]]()
        self.failure: Exception = RuntimeError("Dataset not found or corrupted.\nSecond line")

    def __call__(self, **arguments: Any) -> SimpleNamespace:
        self.calls.append(arguments)
        if not (self.present or arguments["download"]):
            raise RuntimeError("Dataset not found or corrupted.")
        if arguments["download"] and self.arrays.get("fails"):
            raise self.failure
        return SimpleNamespace(**self.arrays)


def targets(n: int = 40) -> list[int]:
    return [i % 2 for i in range(n)]


NHWC = np.arange(40 * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 32, 32, 3)


def use(monkeypatch: pytest.MonkeyPatch, name: str, stub: Stub) -> None:
    monkeypatch.setattr(torchvision.datasets, name, stub)


@pytest.mark.parametrize(("name", "class_name"), [("cifar10", "CIFAR10"), ("cifar100", "CIFAR100")])
def test_cifar_is_turned_from_nhwc_and_read_without_downloading(
    name: str, class_name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = Stub(True, data=NHWC, targets=targets(), classes=["cat", "dog"])
    use(monkeypatch, class_name, stub)
    dataset = load(name, cache_dir=tmp_path, download=True)
    root = str(tmp_path / "torchvision")
    assert stub.calls == [
        {"root": root, "train": True, "download": False},
        {"root": root, "train": False, "download": False},
    ]
    assert dataset.classes == ("cat", "dog") and dataset.in_shape == (3, 32, 32)
    assert torch.equal(dataset.test.images, torch.from_numpy(NHWC).permute(0, 3, 1, 2))
    assert dataset.policy == Augment(crop_padding=4, flip=True)
    assert dataset.augment.fill == tuple(round(255 * mean) for mean in dataset.mean)


@pytest.mark.parametrize(
    ("name", "class_name", "policy"),
    [
        ("mnist", "MNIST", Augment()),
        ("fashion-mnist", "FashionMNIST", Augment(crop_padding=2, flip=True)),
    ],
)
def test_mnist_and_its_twin_gain_a_channel(
    name: str, class_name: str, policy: Augment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = pixels(40, 28, 28)
    stub = Stub(True, data=data, targets=torch.tensor(targets()), classes=["a", "b"])
    use(monkeypatch, class_name, stub)
    dataset = load(name, cache_dir=tmp_path)
    assert torch.equal(dataset.test.images, data.unsqueeze(1))
    assert dataset.policy == policy


def test_svhn_takes_its_split_by_name_and_its_labels_from_labels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nchw = NHWC.transpose(0, 3, 1, 2)
    stub = Stub(True, data=nchw, labels=np.array(targets()))
    use(monkeypatch, "SVHN", stub)
    dataset = load("svhn", cache_dir=tmp_path)
    assert [call["split"] for call in stub.calls] == ["train", "test"]
    assert "train" not in stub.calls[0]
    assert np.array_equal(dataset.test.images.numpy(), nchw)
    assert dataset.test.labels.tolist() == targets()
    assert not dataset.policy.flip and len(dataset.classes) == 10


def test_absent_files_are_one_line_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = Stub(False)
    use(monkeypatch, "CIFAR10", stub)
    with pytest.raises(InputError) as raised:
        load("cifar10", cache_dir=tmp_path)
    text = message(raised)
    assert "--download" in text and str(tmp_path / "torchvision") in text and "--data" in text
    assert [call["download"] for call in stub.calls] == [False]


def test_a_download_happens_only_when_asked_for_and_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = Stub(False, data=NHWC, targets=targets(), classes=["cat", "dog"])
    use(monkeypatch, "CIFAR10", stub)
    load("cifar10", cache_dir=tmp_path, download=True)
    assert [call["download"] for call in stub.calls] == [False, True, False, True]


@pytest.mark.parametrize(
    "failure", [URLError("no route to host"), RuntimeError("Error downloading\nmirror 2: 404")]
)
def test_a_failed_download_is_one_line(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = Stub(False, fails=True)
    stub.failure = failure
    use(monkeypatch, "SVHN", stub)
    with pytest.raises(InputError, match="failed download") as raised:
        load("svhn", cache_dir=tmp_path, download=True)
    assert "network" in message(raised)
