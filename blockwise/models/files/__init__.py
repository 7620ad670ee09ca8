"""Networks that stand in a file: a module in Python code, a program of torch.export, an ONNX graph."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from blockwise.models.files import exported, onnx_graph, source
from devices.errors import InputError

FORMS = "PATH.py:NAME, FILE.pt2 or FILE.onnx"

READERS: dict[str, Callable[[Path, tuple[int, ...]], nn.Module]] = {
    ".pt2": exported.load, ".onnx": onnx_graph.load,
}  # fmt: skip
"""Suffix -> what reads the file, for inputs of a shape."""


def parted(model: str) -> tuple[Path, str]:
    """The file that ``model`` names, and what it names within it: PATH.py and NAME, or FILE.onnx and ""."""
    path, _, name = model.rpartition(":") if f"{source.SUFFIX}:" in model else (model, "", "")
    return Path(path), name


def is_file(model: str) -> bool:
    """Whether the name of a model is that of a file."""
    return parted(model)[0].suffix in (source.SUFFIX, *READERS)


def load(model: str, in_shape: tuple[int, ...], classes: int) -> nn.Module:
    """The module that ``model`` names, for inputs of ``in_shape`` (without the batch) in so many classes.

    A class or a function of Python code draws its first weights from PyTorch's global generator. Raises
    InputError for a file that does not exist, cannot be read, or holds no network for such inputs.
    """
    file, name = parted(model)
    if not file.is_file():
        raise InputError(f"--model {model}", got="no such file", wanted=FORMS, do="check the path")
    if file.suffix == source.SUFFIX:
        return source.load(file, name, in_shape, classes)
    return READERS[file.suffix](file, in_shape)
