"""A network from its exported file alone: weights decoded, the input's normalisation, the classes' names."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from blockwise import quant
from blockwise.data import Normalize, Scaling
from blockwise.experiment import run_folder as outfolder
from blockwise.experiment.networks import float_chain, quantize
from blockwise.experiment.settings import NetworkSettings, QuantizationSettings
from blockwise.models import as_chain, replica
from blockwise.models.files import keeping
from blockwise.quant.layers import QuantWeighted
from devices.errors import InputError

FORMAT = "blockwise-2"
CODES = "codes"


@dataclass(frozen=True, eq=False)
class Exported:
    """What :func:`load` makes of a file; ``network`` takes normalised images and gives logits."""

    network: nn.Module
    normalize: Normalize
    classes: tuple[str, ...]
    header: dict[str, str]
    scaling: Scaling | None = None  # of values that were no bytes

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (B, K) of uint8 images (B, *in_shape), or of measured values where there is a scaling."""
        if self.scaling is not None and images.dtype != torch.uint8:
            images = self.scaling(images)
        with torch.inference_mode():
            logits: Tensor = self.network(self.normalize(images))
        return logits


def load(path: Path, own: nn.Module | None = None) -> Exported:
    """The trained network with its weights as decoded, in evaluation mode.

    ``own`` is the module of which a network was trained that no name builds; its weights do not count. It is
    not needed beside what the run kept.
    Raises InputError for a file that :func:`blockwise.experiment.export.export` did not write.
    """
    tensors, header = read(path)
    groups, images = json.loads(header["config"]), json.loads(header["input"])
    classes = tuple(json.loads(header["class_names"]))
    network = outfolder.group(NetworkSettings, groups["network"])
    quantization = outfolder.group(QuantizationSettings, groups["quantization"])
    shape = tuple(images["shape"])
    own = keeping.load(path.parent, network.model) if own is None else own
    if own is None:
        chain = float_chain(network, shape, len(classes), seed=0)
    else:
        chain = replica(as_chain(own, shape), network.norm, network.style, network.width)
    units = quantize(chain, quantization, network.model)
    quantization.stages.enter(units, quantization.stages.last)
    for module in units.modules():
        if isinstance(module, QuantWeighted):
            module.weight_quantizer = nn.Identity()  # type: ignore[assignment]  # they are quantized
    units.units.load_state_dict(tensors)
    normalize = Normalize(tuple(images["mean"]), tuple(images["std"]))
    scaling = Scaling(tuple(images["low"]), tuple(images["high"])) if "low" in images else None
    return Exported(units.eval(), normalize, classes, header, scaling)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The network's tensors in float, as the fake-quantized network uses them, and the file's header.

    Raises InputError for a file that :func:`blockwise.experiment.export.export` did not write.
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
