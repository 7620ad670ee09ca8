"""``PATH.py:NAME``: a module, a class of modules, or a function that makes one."""

import importlib.util
import inspect
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from blockwise.system.notes import note
from devices.errors import InputError
from devices.network.trace import place_of

SUFFIX = ".py"
CLASSES = (
    "num_classes", "n_classes", "classes", "num_class", "n_class", "num_labels", "n_labels", "n_outputs",
    "out_features", "output_dim",
)  # fmt: skip
"""Parameters that count classes, as networks call them."""

PREFIX = "blockwise_model_"
"""Before the name of the file in Python's table of modules: nothing else is hidden by it."""


def load(path: Path, name: str, in_shape: tuple[int, ...], classes: int) -> nn.Module:
    """What ``name`` is in the file; made of the shape and the classes by the arguments that it takes.

    Raises InputError for code that fails, a name that is not in it, or one that is no module and makes none.
    """
    code = run(path)
    if not name:
        raise InputError(
            f"--model {path}", got="no name behind the file", wanted=f"{path}:NAME",
            do=f"name one of {_known(code)}",
        )  # fmt: skip
    if not hasattr(code, name):
        do = f"name one of {_known(code)}"
        raise InputError(f"--model {path}:{name}", got="no such name in it", wanted="a module", do=do)
    found = getattr(code, name)
    made = found if isinstance(found, nn.Module) else _made(found, path, f"{path}:{name}", in_shape, classes)
    if not isinstance(made, nn.Module):
        raise InputError(
            f"--model {path}:{name}", got=f"a {type(made).__name__}",
            wanted="a torch.nn.Module, its class, or a function that makes one", do="name another",
        )  # fmt: skip
    return made


def run(path: Path) -> ModuleType:
    """The file's code, executed once; what stands beside it can be imported by it."""
    name = f"{PREFIX}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    code = importlib.util.module_from_spec(spec)
    sys.modules[name] = code
    try:
        with _beside(path):
            spec.loader.exec_module(code)
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise _failed(f"--model {path}", error, "code that runs") from error
    return code


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """For code of the file, which can import what stands beside it, and prints to stderr."""
    own = str(path.resolve().parent)
    sys.path.insert(0, own)
    try:
        with redirect_stdout(sys.stderr):  # stdout is the program's own
            yield
    finally:
        with suppress(ValueError):  # the code may have taken it away
            sys.path.remove(own)


def arguments(in_shape: tuple[int, ...], classes: int) -> Mapping[str, Any]:
    """What parameters of these names are given."""
    channels, features = in_shape[0], math.prod(in_shape)
    return {
        **dict.fromkeys(("in_shape", "input_shape"), in_shape),
        **dict.fromkeys(("in_channels", "in_chans", "input_channels"), channels),
        **dict.fromkeys(("in_features", "input_size", "input_dim"), features),
        **dict.fromkeys(("length", "seq_len", "in_length"), in_shape[-1]),
        **dict.fromkeys(CLASSES, classes),
    }


def _made(factory: Any, path: Path, subject: str, in_shape: tuple[int, ...], classes: int) -> Any:
    if not callable(factory):
        return factory
    known = arguments(in_shape, classes)
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # of a built-in function
        return factory
    taken = [p for p in parameters if p.kind is not p.POSITIONAL_ONLY]
    given = {p.name: known[p.name] for p in taken if p.name in known}
    missing = [
        p.name for p in taken
        if p.name not in known and p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]  # fmt: skip
    if missing:
        raise InputError(
            f"--model {subject}", got=f"the parameter {missing[0]!r} without a default",
            wanted=f"defaults, or names among {', '.join(known)}",
            do="name a function that makes the module",
        )  # fmt: skip
    try:
        with _beside(path):
            made = factory(**given)
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise _failed(f"--model {subject}", error, f"a module of {_call(given)}") from error
    if given:
        note(f"{subject} is made of {_call(given)}")
    return made


def _call(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in given.items()) or "no arguments"


def _failed(subject: str, error: BaseException, wanted: str) -> InputError:
    words = " ".join(f"{type(error).__name__}: {error}".split())[:160]
    return InputError(f"{subject}{place_of(error)}", got=words, wanted=wanted, do="mend the file")


def _known(code: ModuleType) -> str:
    """Names of what may be meant."""
    own = {key: value for key, value in vars(code).items() if not key.startswith("_")}
    modules = [
        key for key, value in own.items() if isinstance(value, nn.Module) or _is_own_class(value, code)
    ]
    functions = [
        key for key, value in own.items() if inspect.isfunction(value) and value.__module__ == code.__name__
    ]
    return ", ".join((*modules, *functions)) or "its modules, of which it has none"


def _is_own_class(value: Any, code: ModuleType) -> bool:
    return inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == code.__name__
