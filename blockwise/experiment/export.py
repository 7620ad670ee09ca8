"""A trained network as a board stores it: packed codes and the network's input, in a safetensors file.

Per quantized layer ``LAYER.codes`` (uint8, low bits first) and the float32 values that decode them,
``LAYER.NAME``; all other parameters and running statistics as they are. The header tells, as JSON, per
layer bits, shape and quantizer (``layers``), the shape of the ``input`` with mean and standard deviation of
each channel and, of signals, the values that became levels 0 and 255, the ``class_names`` in the order of the
logits, and the ``config`` of network and quantizers.
:mod:`blockwise.experiment.exported` reads it all back.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from blockwise import quant
from blockwise.data import blank
from blockwise.experiment import result_json as json_report
from blockwise.experiment import run_folder as outfolder
from blockwise.experiment.config import Config
from blockwise.experiment.exported import CODES, FORMAT
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import best_of
from blockwise.layers.weighted import Weighted
from blockwise.models import as_chain
from blockwise.models.files import keeping
from blockwise.nets.blocks import BlockNet
from blockwise.quant.layers import QuantWeighted
from blockwise.system.files import atomic_write
from blockwise.training import checkpoint
from devices.boards import profile
from devices.errors import InputError
from devices.program.regimes import find


@dataclass(frozen=True)
class Export:
    """What was written."""

    path: Path
    regime: str
    why: str  # it was taken; empty if it was asked for
    layers: int  # that are quantized
    weights: int
    weight_bytes: int  # of all weights, with what decodes them
    file_bytes: int


def export(
    folder: Path, regime: str | None = None, path: Path | None = None, own: nn.Module | None = None
) -> Export:
    """Write the weights that ``regime`` ended with in the run of ``folder``.

    By default the regime is the verdict's (the most accurate of those that fit the board) and the file
    REGIME.safetensors in ``folder``. ``own`` stands for the network of a run that was given one,
    if it did not keep it. Raises InputError if there is no such run, it is not finished, nothing
    in it was trained, or its files do not fit together.
    """
    config, found = outfolder.saved_config(folder, "export"), _result(folder)
    row, why = _choice(found, folder) if regime is None else (_asked(found, folder, regime), "")
    _check_input(found, folder)
    model = found["model"]
    images = blank(tuple(model["in_shape"]), model["num_classes"])
    own = keeping.load(folder, config.network.model) if own is None else own
    network = None if own is None else as_chain(own, images.in_shape)
    chain, net = Prepared(config, profile.load(config.board.device), images, network).build_parts()
    config.stages.enter(net.bodies, config.stages.last)
    name = row["regime"]
    _load(net, folder / outfolder.CHECKPOINTS / f"{row['trained_as'] or name}.pt", config.scheme.name)
    tensors, layers = _tensors(chain.units)
    payload = save(tensors, metadata=_header(found, config, name) | {"layers": json.dumps(layers)})
    path = path or folder / f"{name}.safetensors"
    atomic_write(path, payload)
    count = sum(m.weight.numel() for m in chain.modules() if isinstance(m, Weighted))
    return Export(path, name, why, len(layers), count, quant.stored_bytes(net.bodies), len(payload))


def _result(folder: Path) -> dict[str, Any]:
    result = folder / "result.json"
    if not result.exists():
        raise InputError(
            str(folder), got="a run without result.json", wanted="a finished run",
            do=f"finish it with --resume {folder}",
        )  # fmt: skip
    return json_report.read(result)


def _choice(found: dict[str, Any], folder: Path) -> tuple[dict[str, Any], str]:
    """The regime that the verdict names, or the best where none fits; and why it is that one."""
    trained = [row for row in found["regimes"] if row["test_accuracy"] is not None]
    if not trained:
        raise _untrained(folder)
    floats = [row for row in trained if not find(row["regime"]).is_integer]
    if not floats:
        raise _integers(folder, trained[0]["regime"])
    fitting = best_of((row, row["test_accuracy"]) for row in floats if row["fits"])
    board = found["device"]["title"]
    if fitting is None:
        best = best_of((row, row["test_accuracy"]) for row in floats)
        assert best is not None
        return best, f"none that can be exported fits {board}; this is the most accurate"
    first = best_of((row, row["test_accuracy"]) for row in trained if row["fits"])
    assert first is not None
    better = "" if first is fitting else f"; {first['regime']} is more so, but its checkpoint holds integers"
    return fitting, f"the most accurate that fits {board}{better}"


def _asked(found: dict[str, Any], folder: Path, regime: str) -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = {row["regime"]: row for row in found["regimes"]}
    trained = [name for name, row in rows.items() if row["test_accuracy"] is not None]
    if not trained:
        raise _untrained(folder)
    if regime not in trained:
        got = f"{regime}, which was not trained to the end" if regime in rows else repr(regime)
        wanted = f"one of {', '.join(trained)}"
        raise InputError(f"regime in {folder}", got=got, wanted=wanted, do="choose one")
    if find(regime).is_integer:
        raise _integers(folder, regime)
    return rows[regime]


def _untrained(folder: Path) -> InputError:
    return InputError(
        f"export {folder}", got="a run in which no regime was trained to the end", wanted="trained weights",
        do="train without --dry-run, or at another --lr",
    )  # fmt: skip


def _integers(folder: Path, regime: str) -> InputError:
    return InputError(
        f"regime in {folder}", got=regime, wanted="one that trains float weights behind codes",
        do="read its integers off the checkpoint: they are the weights",
    )  # fmt: skip


def _check_input(found: dict[str, Any], folder: Path) -> None:
    """Runs of earlier versions did not keep what their images were normalised by."""
    if not found["data"].get("mean"):
        raise InputError(
            str(folder / "result.json"), got="no mean of its images", wanted="that of this version",
            do=f"write it again with --resume {folder}",
        )  # fmt: skip


def _header(found: dict[str, Any], config: Config, regime: str) -> dict[str, str]:
    model, data = found["model"], found["data"]
    images = {"shape": model["in_shape"], "mean": data["mean"], "std": data["std"]}
    pixels = "uint8; (pixel / 255 - mean) / std per channel"
    if data.get("low"):
        images |= {"low": data["low"], "high": data["high"]}
        pixels = "round((value - low) / (high - low) * 255) per channel, clipped to 0..255: " + pixels
    network = replace(config.network, init=config.network.style.init)  # where it began is nobody's affair
    groups = {"network": asdict(network), "quantization": asdict(config.quantization)}
    return {
        "format": FORMAT,
        "regime": regime,
        "method": config.scheme.name,
        "model": model["name"],
        "width": str(model["width"]),
        "in_shape": "x".join(map(str, model["in_shape"])),
        "classes": str(model["num_classes"]),
        "data": data["name"],
        "input": json.dumps(images | {"pixels": pixels}),
        "class_names": json.dumps(data["classes"], ensure_ascii=False),
        "config": json.dumps(groups),
    }


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
        if not isinstance(module, QuantWeighted):
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
