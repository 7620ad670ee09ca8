"""The simulation's state as a board would hold it: what a planned step starts from, and must end with."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from blockwise.layers.norms import BATCH_NORMS, ConstantNorm
from blockwise.layers.weighted import Weighted
from blockwise.nets.blocks import BlockNet
from blockwise.nets.chain import Chain
from blockwise.nets.modules import modules_of
from blockwise.quant.layers import FloatReLU
from blockwise.quant.numeric.ranges import SMALLEST_STEP
from blockwise.quant.on_board import QuantizerOnBoard, on_board
from blockwise.quant.quantizer import Quantizer
from blockwise.training.directions import DirectionUpdater
from blockwise.training.sizes import SHARE
from blockwise.training.tensors import own_quantizer, parameters_of, quantizes, weight_quantizer
from blockwise.training.updater import Updater
from devices.network import Layer
from devices.network.ops import ShiftedNorm
from devices.program.kernels import shares
from devices.program.kernels.machine import FloatMachine
from devices.program.kernels.updates import Optimizer, Pace, Paces
from devices.program.kernels.zeroth_order import Directions
from devices.program.regimes import find
from devices.program.state import FROZEN

STATES: dict[str, tuple[str, ...]] = {
    "sgd": (), "sgd-momentum": ("momentum_buffer",), "adam": ("exp_avg", "exp_avg_sq"),
}  # fmt: skip
"""torch.optim's names of the values that each optimizer keeps for a parameter."""


def machine_of(
    chain: Chain, net: BlockNet, updater: Updater | DirectionUpdater, optimizer: str,
    batch: tuple[Tensor, Tensor], normalize: Callable[[Tensor], Tensor], layers: Mapping[str, Layer],
    regime: str,
) -> FloatMachine:  # fmt: skip
    """A float machine that starts where ``net`` and ``updater`` stand; they stay as they are.

    ``layers`` are those of the schedule, of ``regime``; ``batch`` uint8 images (B, C, H, W) and labels (B,).
    """
    modules = dict(modules_of(chain, net, layers))
    steps, states = _optimizer_state(updater, STATES[optimizer])
    start, paces, firsts = {}, {}, {}
    constraints: dict[str, Callable[[Tensor], Tensor]] = {}
    for name, module in modules.items():
        layer = layers[name]
        for what, value in (tensors_of(module, layer) | frozen_tensors(module, layer)).items():
            start[f"{name}.{what}"] = value
        if layer.weights_of:  # of the next block as it is deployed
            source = layer.weights_of
            for what, value in frozen_tensors(modules[source], layers[source]).items():
                start[f"{source}.{what.removesuffix(FROZEN)}before"] = value
        for what, parameters in parameters_of(module, layer).items():
            key = f"{name}.{what}"
            paces[key], firsts[key] = _pace_of(updater, parameters), parameters[0]
            for i in range(len(STATES[optimizer])):
                state = torch.cat([states(p, i) for p in parameters])
                start[f"{key}.state{i + 1}"] = _as_trained(layer, what, state)
        quantizer = weight_quantizer(module)
        if quantizer is not None and type(quantizer).constrain is not Quantizer.constrain:
            constraints[f"{name}.weight"] = partial(_constrained, quantizer)
    found = {name: on_board(q) for name, m in modules.items() if (q := quantizes(m)) is not None}
    return FloatMachine(
        start, batch, normalize, found, Optimizer(optimizer, steps), paces,
        {name: m.form for name, m in modules.items() if isinstance(m, FloatReLU)}, constraints,
        directions=_directions(updater, firsts) if isinstance(updater, DirectionUpdater) else None,
        loss_weights=_loss_weights(net) if find(regime).heads else {},
    )  # fmt: skip


def tensors_of(module: nn.Module, layer: Layer | None = None) -> dict[str, Tensor]:
    """What a board holds of a layer, by the names that plans have for it; flat copies.

    Of a ``layer`` of which a share is trained, or a shift, that is what is trained.
    """
    found = {
        what: _as_trained(layer, what, torch.cat([p.detach().flatten() for p in ps]))
        for what, ps in parameters_of(module, layer).items()
    }
    if layer is not None and isinstance(layer.op, ShiftedNorm):
        found["running"], found["bias"] = _folded(module).chunk(2)
    elif isinstance(module, ConstantNorm):
        found["running"] = torch.cat([module.scale, module.shift]).clone()
    elif getattr(module, "running_mean", None) is not None:
        found["running"] = torch.cat([module.running_mean, module.running_var])  # type: ignore[list-item]
    quantizer = own_quantizer(module)
    if quantizer is not None and len(kept := QuantizerOnBoard.kept(quantizer)):
        found["levels"] = kept.clone()
    return found


def _loss_weights(net: BlockNet) -> dict[str, float]:
    """Of the losses by which blocks learn, where it is not 1: of an output layer that learns alone."""
    weight = net.loss_weight(len(net) - 1)
    return {} if weight == 1.0 else {f"{net.last_units[-1]}.head.loss": weight}


def _directions(updater: DirectionUpdater, firsts: Mapping[str, nn.Parameter]) -> Directions:
    """Those of the step to come, by the names of tensors; ``firsts`` are their first parameters."""
    given, steps = updater.directions, updater.directions.steps
    found = {id(parts[0]): number for number, parts in given.tensors.items()}
    numbers = {name: found[id(first)] for name, first in firsts.items() if id(first) in found}
    return Directions(
        given.eps, lambda name, index: given.draw(numbers[name], index, steps), given.count, numbers
    )


def _as_trained(layer: Layer | None, what: str, value: Tensor) -> Tensor:
    """A tensor of a layer as far as it is trained."""
    shared = layer is not None and layer.is_shared and what == "weight"
    return shares.trained(layer, value) if shared and layer is not None else value


def frozen_tensors(module: nn.Module, layer: Layer) -> dict[str, Tensor]:
    """What a board would hold of a layer that is not trained, as plans call it; flat copies."""
    state, found = tensors_of(module), dict[str, Tensor]()
    quantizer = quantizes(module)
    if isinstance(module, Weighted):
        weight, trained, kept = state["weight"], state.get("step"), state.get("levels")
        codes, constants = on_board(quantizer).packed(weight, trained, kept) if quantizer else (weight, None)
        found["codes"] = shares.rest(layer, codes) if layer.is_shared else codes.flatten()
        found |= {} if constants is None else {"step": constants}
    elif quantizer is not None:
        own = own_quantizer(module)
        assert own is not None
        values = [state[what] for what in ("step", "levels") if what in state]
        found |= {"step": torch.cat(values)[: own.memory(own.bits).frozen]} if values else {}
    elif "running" in state:
        found["folded"] = state["running"] if isinstance(module, ConstantNorm) else _folded(module)
    if "bias" in state:
        found["bias"] = state["bias"]
    return {f"{what}.{FROZEN}": value for what, value in found.items()}


def _folded(norm: nn.Module) -> Tensor:
    """Running statistics and the affine pair of a batch norm as one scale and one shift."""
    assert isinstance(norm, BATCH_NORMS)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else norm.weight.detach() * scale
    shift = -norm.running_mean * scale
    return torch.cat([scale, shift if norm.bias is None else norm.bias.detach() + shift])


def _pace_of(updater: Updater | DirectionUpdater, parameters: Sequence[nn.Parameter]) -> Pace | Paces:
    """One of all, where all have the same."""
    paces = [_pace(updater, p) for p in parameters]
    if len(set(paces)) == 1:
        return paces[0]
    return tuple((p.numel(), pace) for p, pace in zip(parameters, paces, strict=True))


def _pace(updater: Updater | DirectionUpdater, parameter: nn.Parameter) -> Pace:
    if isinstance(updater, DirectionUpdater) and updater.perturbs(parameter):
        return Pace(*updater.pace(parameter))
    for optimizer in updater.optimizers:
        for group in optimizer.param_groups:
            if any(p is parameter for p in group["params"]):
                size = group["size_decay"]
                if size is not None:
                    return Pace(group["lr"], size, SHARE, SMALLEST_STEP)
                return Pace(group["lr"], group["weight_decay"])
    return Pace(0.0)


def _optimizer_state(
    updater: Updater | DirectionUpdater, names: tuple[str, ...]
) -> tuple[int, Callable[[nn.Parameter, int], Tensor]]:
    """How many steps were made, and the i-th state of a parameter."""
    found = {p: dict(state) for o in updater.optimizers for p, state in o.state.items()}

    def state(parameter: nn.Parameter, index: int) -> Tensor:
        value = found.get(parameter, {}).get(names[index])
        return torch.zeros(parameter.numel()) if value is None else value.detach().flatten().clone()

    counts = [int(s["step"]) if "step" in s else 1 for s in found.values()]
    return max(counts, default=0), state


def _constrained(quantizer: Quantizer, value: Tensor) -> Tensor:
    latent = value.clone().view(quantizer.shape)
    copy.deepcopy(quantizer).constrain(latent)
    return latent.flatten()


def difference(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], board: Mapping[str, Tensor]
) -> float:
    """|board - after| / |after - before|, over all tensors of ``after``."""
    error = torch.cat([apart(board[name], value) for name, value in after.items()]).norm()
    update = torch.cat([apart(value, before[name]) for name, value in after.items()]).norm()
    return float(error / update)


def apart(found: Tensor, wanted: Tensor) -> Tensor:
    """``found - wanted``; no difference where both are infinite, as masks are."""
    return torch.where(found == wanted, 0.0, found.double() - wanted.double())
