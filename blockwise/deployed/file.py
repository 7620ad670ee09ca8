"""One file with all that a program needs: safetensors, whose header has the steps and what surrounds them.

docs/exported-file.md describes it; examples/predict.py reads it without this package.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from blockwise.deployed.program import Function, Program
from blockwise.deployed.steps import Step
from blockwise.deployed.weights import CODES, LEVELS, SCALE, decoded
from devices.errors import InputError

FAMILY = "blockwise-"
FORMAT = f"{FAMILY}3"
LENGTH = 8
"""Bytes that count the header."""
INTEGER, FLOAT = "float64", "float32"
"""In which a program computes: whole numbers up to 2^53 are exact in the former."""
BESIDE = ("affine", "mul", "add")
"""Operations whose tensors, one value to a channel, are shaped to stand beside maps."""
PREDICTING = ("normalise", "quantize", "levels")
"""Those whose tensors belong to no layer with weights."""
READY = "ready"
"""Of a norm: whether its constants are set."""
PARTS = (CODES, SCALE, LEVELS)


@dataclass(frozen=True, eq=False)
class Deployed:
    """What a file holds: the text of its header, its steps, and the tensors as they are stored."""

    header: dict[str, str]
    steps: tuple[Step, ...]
    tensors: dict[str, Tensor]

    @property
    def epsilons(self) -> dict[str, float]:
        """What batch norms add to variances, by the names of their tensors up to the last dot."""
        norms = [step for step in self.steps if "running_var" in step.tensors]
        return {step.tensors["running_var"].rpartition(".")[0]: step.options["eps"] for step in norms}

    def weights(self) -> dict[str, Tensor]:
        """Those of the layers in float32 and in the shapes of training, weights as what their codes mean."""
        found = self._unpacked()
        for step in self.steps:
            if step.exponent is not None:
                name = step.tensors["weight"]
                found[name] = (found[name] * 2.0**step.exponent).float()
            for name in step.tensors.values():
                if step.op in PREDICTING:
                    del found[name]
                elif step.op in BESIDE:
                    found[name] = found[name].flatten()
            if step.op == "affine":
                found[f"{step.name}.{READY}"] = torch.ones(())
        return found

    def program(self, operations: Mapping[str, Function] | None = None) -> Program:
        """Its steps as a function; ``operations`` from outside by their names."""
        dtype = getattr(torch, self.header["dtype"])
        return Program(self.steps, self._unpacked(), dtype, operations)

    def _unpacked(self) -> dict[str, Tensor]:
        found = dict(self.tensors)
        for step in self.steps:
            if step.codes is not None:
                parts = {p: found.pop(f"{step.name}.{p}") for p in PARTS if f"{step.name}.{p}" in found}
                found[step.tensors["weight"]] = decoded(step.codes, parts)
        return found


def payload(deployed: Deployed) -> bytes:
    """The file; of the same network the same bytes."""
    steps = json.dumps([step.to_json() for step in deployed.steps])
    return _in_order(save(deployed.tensors, metadata=deployed.header | {"steps": steps}))


def _in_order(made: bytes) -> bytes:
    """The same file with its header sorted: the library writes it in another order each time."""
    end = LENGTH + int.from_bytes(made[:LENGTH], "little")
    header = json.dumps(json.loads(made[LENGTH:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % LENGTH)  # tensors stay aligned
    return len(header).to_bytes(LENGTH, "little") + header + made[end:]


def read(path: Path) -> Deployed:
    """What :func:`payload` wrote. Raises InputError for any other file."""
    try:
        with safe_open(path, "pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise InputError(
            str(path), got=f"{type(error).__name__}: {error}", wanted="a safetensors file", do="export again"
        ) from error
    if header.get("format") != FORMAT:
        raise InputError(
            str(path), got=f"format {header.get('format')}", wanted=FORMAT,
            do="export the run with this version",
        )  # fmt: skip
    with whole(path):
        steps = tuple(_step(told) for told in json.loads(header["steps"]))
    return Deployed(header, steps, tensors)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """What is read within this context of the file's header has to be there. Raises InputError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            str(path), got=f"a damaged header ({type(error).__name__}: {error})",
            wanted="the file as it was written", do="export again",
        ) from error  # fmt: skip


def _step(told: dict[str, Any]) -> Step:
    return Step(**told | {"inputs": tuple(told["inputs"]), "shape": tuple(told["shape"])})
