"""A trained network's weights as a board stores them: packed codes, in a safetensors file.

Per quantized layer ``LAYER.codes`` (uint8, low bits first) and the float32 values that decode them,
``LAYER.NAME``; all other parameters and running statistics as they are. The header tells, per layer,
bits, shape and quantizer (``layers``, JSON), and which network and data the weights belong to.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from blockwise import outfolder, quant
from blockwise.blocks import BlockNet
from blockwise.data import blank
from blockwise.files import atomic_write
from blockwise.quant.layers import QuantConv2d, QuantLinear
from blockwise.report import json_report
from blockwise.setup import Setup
from blockwise.training import INTEGER_REGIMES, checkpoint
from devices import profile
from devices.errors import InputError

FORMAT = "blockwise-1"
CODES = "codes"


@dataclass(frozen=True)
class Export:
    """What was written."""

    path: Path
    layers: int  # that are quantized
    weights: int
    weight_bytes: int  # of all weights, with what decodes them
    file_bytes: int


def export(folder: Path, regime: str, path: Path) -> Export:
    """Write the weights that ``regime`` ended with in the run of ``folder``.

    Raises InputError if there is no such run, it is not finished, or its files do not fit together.
    """
    chain, net, about = _trained(folder, regime)
    tensors, layers = _tensors(chain)
    header = {"format": FORMAT, "layers": json.dumps(layers), **about}
    payload = save(tensors, metadata=header)
    atomic_write(path, payload)
    count = sum(m.weight.numel() for m in chain.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    return Export(path, len(layers), count, quant.stored_bytes(net.bodies), len(payload))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The network's tensors in float, as the fake-quantized network uses them, and the file's header.

    Raises InputError for a file that :func:`export` did not write.
    """
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
            str(path), got=f"format {header.get('format')}", wanted=FORMAT, do="export with this version"
        )
    layers = json.loads(header["layers"])
    return _decoded(tensors, layers), header


def _trained(folder: Path, regime: str) -> tuple[nn.Module, BlockNet, dict[str, str]]:
    config = outfolder.saved_config(folder, "export")
    result = folder / "result.json"
    if not result.exists():
        raise InputError(
            str(folder), got="a run without result.json", wanted="a finished run",
            do=f"finish it with --resume {folder}",
        )  # fmt: skip
    found = json_report.read(result)
    rows = [row for row in found["regimes"] if row["training"]]
    trained = {row["regime"]: row["trained_as"] or row["regime"] for row in rows}
    if regime not in trained:
        names = ", ".join(trained) or "none: it was a dry run"
        raise InputError(f"regime in {folder}", got=repr(regime), wanted=f"one of {names}", do="choose one")
    if regime in INTEGER_REGIMES:
        raise InputError(
            f"regime in {folder}", got=regime, wanted="one that trains float weights behind codes",
            do="read its integers off the checkpoint: they are the weights",
        )  # fmt: skip
    model = found["model"]
    images = blank(tuple(model["in_shape"]), model["num_classes"])
    setup = Setup(config, profile.load(config.board.device), images)
    chain, net = setup.build_parts()
    config.stages.enter(net.bodies, config.stages.last)
    _load(net, folder / outfolder.CHECKPOINTS / f"{trained[regime]}.pt", config.scheme.name)
    about = {
        "regime": regime,
        "method": config.scheme.name,
        "model": model["name"],
        "width": str(model["width"]),
        "in_shape": "x".join(map(str, model["in_shape"])),
        "classes": str(model["num_classes"]),
        "data": found["data"]["name"],
    }
    return chain.units, net, about


def _load(net: BlockNet, path: Path, method: str) -> None:
    state = checkpoint.load(path, None)
    if state is None:
        raise InputError(
            f"checkpoint {path}",
            got="no such file",
            wanted="that of a finished run",
            do="restore it, or train again with another --out",
        )
    try:
        net.load_state_dict(state["net"])
    except (RuntimeError, KeyError) as error:
        raise InputError(
            f"checkpoint {path}", got="the state of another network or method", wanted=f"one of {method}",
            do="restore the run's own config.json",
        ) from error  # fmt: skip
    net.eval()


def _tensors(chain: nn.Module) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """All tensors of the file, and what the header tells of the quantized layers."""
    tensors: dict[str, Tensor] = {}
    layers: dict[str, dict[str, Any]] = {}
    packed_names: set[str] = set()
    for name, module in chain.named_modules():
        if not isinstance(module, QuantConv2d | QuantLinear):
            continue
        packed = quant.pack(module.weight_quantizer, module.weight.detach())
        tensors |= {f"{name}.{CODES}": packed.codes}
        tensors |= {f"{name}.{key}": value.contiguous() for key, value in packed.constants.items()}
        layers[name] = {
            "quantizer": type(module.weight_quantizer).__name__,
            "method": quant.name_of(module.weight_quantizer),
            "bits": packed.bits,
            "shape": packed.shape,
            "codes": packed.count,
            "constants": sorted(packed.constants),
        }
        packed_names.add(f"{name}.weight")
    for name, tensor in chain.state_dict().items():
        if name not in packed_names and ".weight_quantizer." not in name:
            tensors[name] = tensor.detach().clone().contiguous()
    return tensors, layers


def _decoded(tensors: dict[str, Tensor], layers: dict[str, dict[str, Any]]) -> dict[str, Tensor]:
    decoded = dict(tensors)
    for name, layer in layers.items():
        constants = {key: decoded.pop(f"{name}.{key}") for key in layer["constants"]}
        codes = decoded.pop(f"{name}.{CODES}")
        packed = quant.Packed(layer["bits"], tuple(layer["shape"]), layer["codes"], codes, constants)
        kind = quant.method(layer["method"]).weight
        assert kind is not None  # only what has one was written
        with torch.no_grad():
            decoded[f"{name}.weight"] = quant.unpack(kind, packed)
    return decoded
