"""One step of a float regime twice: by the simulation, and on bytes at planned addresses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.hooks import RemovableHandle

from blockwise import models, quant
from blockwise.layers.norms import replace_norms
from blockwise.models import Chain
from blockwise.models.resnet import resnet
from blockwise.models.style import restyle
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet, frozen_statistics
from blockwise.nets.modules import modules_of
from blockwise.nets.partial import holding, restrict
from blockwise.quant import Quantizer
from blockwise.quant.layers import QuantActivation, QuantReLU
from blockwise.training import float_regime
from blockwise.training.directions import DirectionUpdater
from blockwise.training.numerics import FloatNumerics
from blockwise.training.on_board import apart, difference, machine_of, tensors_of
from blockwise.training.options import Perturbation, TrainOptions
from blockwise.training.phase import Phase
from blockwise.training.updater import Updater
from devices.memory.arena import buffers_of, pack
from devices.network import Layer, Residual
from devices.network.partial import choice
from devices.program.distillation import Distillation
from devices.program.execute import Memory, execute
from devices.program.kernels.machine import FloatMachine
from devices.program.operation import Operation
from devices.program.regimes import Step, find, schedule, update_of
from devices.program.schedule import Schedule

MEAN, STD = 0.4, 0.3
USUAL_SQUARE = 1e-4
PERTURBATION = Perturbation(eps=0.25, rate=0.5, directions=2)
"""So far that losses differ, whose difference is rounded as they are, and more than weights are rounded."""


def normalize(images: torch.Tensor) -> torch.Tensor:
    return (images.float() / 255 - MEAN) / STD


def built(
    name: str | nn.Module,
    in_shape: tuple[int, ...],
    classes: int,
    width: int,
    norm: str,
    style: models.Style = models.PLAIN,
) -> Chain:
    """A model of the catalogue, ``resnet8`` (a block for each of three stages), or a module of one's own.

    One that several steps are taken of may be a chain already: it is copied.
    """
    if isinstance(name, nn.Module):
        chain = name if isinstance(name, Chain) else models.from_module(name, in_shape)
        return models.replica(chain, norm, style, None)
    if name != "resnet8":
        return models.build(name, in_shape, classes, width, norm, style)
    chain = resnet(8, in_shape, classes, width)
    restyle(chain, style)
    replace_norms(chain, norm)
    chain.norm = norm
    return chain


@dataclass
class OneStep:
    regime: str = "bp"
    model: str | nn.Module = "cnn"
    norm: str = "batch"
    method: str = "fp32"
    optimizer: str = "sgd-momentum"
    fused: bool = True
    batch: int = 4
    micro_batch: int = 2
    width: int = 4
    in_shape: tuple[int, ...] = (1, 8, 8)
    blocks: str = "2"
    head: str = "lookahead:4"
    residual: Residual = "codes"
    style: models.Style = models.PLAIN
    before: int = 1  # steps of plain training that come first
    perturbation: Perturbation = PERTURBATION
    widths: tuple[int, int] | None = None  # bits of weights and activations; None: the method's usual ones
    train: str = "all"
    frozen: str = "ram"
    distillation: Distillation | None = None
    activation_method: str | None = None

    def __post_init__(self) -> None:
        self.fused = update_of(self.regime, "fused" if self.fused else "end") == "fused"
        torch.manual_seed(0)
        bits = (32, 32) if self.method == "fp32" else (None, None)
        scheme = quant.scheme(self.method, None, self.activation_method, *bits)
        if self.method == "fp32":
            weight, activation = 32, 32
        else:
            usual = scheme.usual_bits("weight"), scheme.usual_bits("activation")
            weight, activation = self.widths or usual
        chain = built(self.model, self.in_shape, 3, self.width, self.norm, self.style)
        self.step = Step(
            self.batch,
            self.optimizer,
            scheme.bits(weight, activation, self.residual),
            self.fused,
            micro_batch=self.micro_batch,
            limit_bytes=None,
            perturbations=self.perturbation.directions,
            backprop_blocks=self.perturbation.backprop_blocks,
            frozen=self.frozen,
            distillation=self.distillation,
        )
        anatomy = Anatomy(chain, self.head)
        groups = anatomy.cut(self.blocks, self.step)
        self.network = choice(self.train).of(anatomy.network(groups))
        quant.quantize(chain, scheme, weight, activation, self.residual)
        self.chain, self.net = chain, restrict(BlockNet(chain, groups, self.head), chain, self.network)
        g = torch.Generator().manual_seed(1)
        self.images = torch.randint(0, 256, (self.batch, *self.in_shape), dtype=torch.uint8, generator=g)
        self.labels = torch.randint(0, 3, (self.batch,), generator=g)
        self.procedure = float_regime(self.regime, self.micro_batch, self.distillation)
        with torch.no_grad(), frozen_statistics(self.net):  # quantizers set themselves up
            self.net.train()
            self.net.run(normalize(self.images.repeat(4, *[1] * len(self.in_shape))), 0, len(self.net))
        self.net.hold()
        for norm in self.net.modules():  # so that statistics and scales are nobody's defaults
            norms = nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm
            if isinstance(norm, norms) and norm.weight is not None:
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.uniform_(norm.bias, -0.3, 0.3)

    @cached_property
    def plan(self) -> Schedule:
        return schedule(self.regime, self.network, self.step)

    def updater(self, net: BlockNet) -> Any:
        if find(self.regime).perturbs:
            told = TrainOptions(
                1, self.batch, self.optimizer, 0.05, self.fused, seed=4, perturbation=self.perturbation
            )
            updater = FloatNumerics().updater(net, told, self.regime)
            assert isinstance(updater, DirectionUpdater)
            updater.rate = told.perturbation.rate
            if updater.rear:
                updater.rear.set_learning_rate(0.05)
            return updater
        updater = Updater(
            [p for p in net.parameters() if p.requires_grad],
            self.optimizer,
            fused=self.fused,
            rules=holding(net, quant.ParameterRules.of(net)),
            peak=0.05,
        )
        updater.set_learning_rate(0.05)
        return updater

    def settle(self, updater: Any) -> None:
        """Adam divides by what a gradient usually is: where that is zero, it steps by rounding errors.

        So no parameter's second moment is near zero here, as it is none behind many steps.
        """
        if self.optimizer != "adam":
            return
        for optimizer in updater.optimizers:
            for group in optimizer.param_groups:
                for p in group["params"]:
                    state = optimizer.state[p]
                    state.setdefault("step", torch.tensor(1.0))
                    state.setdefault("exp_avg", torch.zeros_like(p))
                    state["exp_avg_sq"] = state.get("exp_avg_sq", torch.zeros_like(p)) + USUAL_SQUARE

    def simulated(self, net: BlockNet, updater: Any, phase: Phase) -> None:
        net.eval()
        for index in range(phase.first, phase.last):
            for part in (net.bodies, net.tails, net.heads):
                part[index].train()
        net.rest()
        with torch.no_grad():
            x = net.run(normalize(self.images), 0, phase.first)
        self.procedure.step(net, phase, x, self.labels)
        updater.finish_step()

    def run(self, plan: Schedule | None = None, offsets: Mapping[str, int] | None = None) -> float:
        plan = plan or self.plan
        chain, net = self.chain, self.net
        updater = self.updater(net)
        phases = self.procedure.phases(net)
        for _ in range(self.before if len(phases) == 1 else 0):
            self.simulated(net, updater, phases[0])
        self.settle(updater)
        machine = machine_of(
            chain,
            net,
            updater,
            self.optimizer,
            (self.images, self.labels),
            normalize,
            plan.layers,
            self.regime,
        )
        modules = dict(modules_of(chain, net, plan.layers))
        start = _state(modules, plan.layers)
        codes, drops = Codes(machine, modules), dropping(machine, modules)
        for phase in phases:
            if len(phases) > 1:
                for index in range(len(net)):
                    net.bodies[index].requires_grad_(phase.first <= index < phase.last)
                    net.heads[index].requires_grad_(phase.first <= index < phase.last)
                net.hold()
                updater.close()
                updater = self.updater(net)
                self.settle(updater)
            self.simulated(net, updater, phase)
        updater.close()
        codes.close()
        for handle in drops:
            handle.remove()
        after = {name: v for name, v in _state(modules, plan.layers).items() if name in plan.tensors}
        offsets = offsets or pack(buffers_of(plan, 8), 8).offsets
        memory = execute(plan, offsets, machine, self.watching(codes))
        board = {name: _read(machine, memory, name) for name in after}
        self.after, self.board, self.start = after, board, start
        self.codes, self.flips = codes.count, codes.flips
        return difference(start, after, board)

    def watching(self, codes: "Codes") -> Callable[[Operation, Memory], None]:
        return codes.compare

    def worst(self) -> list[tuple[str, float, float]]:
        found = [
            (n, float(apart(self.board[n], v).abs().max()), float(apart(v, self.start[n]).abs().max()))
            for n, v in self.after.items()
        ]
        return sorted(found, key=lambda r: -r[1])[:8]


class Codes:
    """Counts the codes of activations that a board makes otherwise than the simulation."""

    def __init__(self, machine: FloatMachine, modules: Mapping[str, nn.Module]) -> None:
        self.machine, self.count, self.flips = machine, 0, 0
        self.simulated: dict[str, list[torch.Tensor]] = {}
        kinds = QuantReLU | QuantActivation | Quantizer
        quantized = {n: m for n, m in modules.items() if isinstance(m, kinds)}
        self.handles = [m.register_forward_hook(self._hook(name)) for name, m in quantized.items()]

    def _hook(self, name: str) -> Callable[[nn.Module, object, torch.Tensor], None]:
        def keep(module: nn.Module, _: object, output: torch.Tensor) -> None:
            if module.training:
                self.simulated.setdefault(name, []).append(output.detach().clone())

        return keep

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()

    def compare(self, operation: Operation, memory: Memory) -> None:
        expected = self.simulated.get(operation.layer, [])
        makes = operation.action == operation.phase == "forward" and not operation.at_rest
        if not makes or not expected:
            return
        name = next(target for role, target in operation.results if role == "output")
        levels = [memory.load(x) for x in (f"{operation.layer}.step", f"{operation.layer}.levels")
                  if x in memory.tensors]  # fmt: skip
        quantizer = self.machine.quantizers[operation.layer]
        board = quantizer.decode(memory.load(name), torch.cat(levels) if levels else None)
        expected[:1] = expected[0].split(len(board))  # a program may pass image by image
        simulated = expected.pop(0)
        apart = (board - simulated).abs() > 1e-3 * simulated.abs().max()
        self.count, self.flips = self.count + apart.numel(), self.flips + int(apart.sum())


def dropping(machine: FloatMachine, modules: Mapping[str, nn.Module]) -> list[RemovableHandle]:
    """Both sides drop the same: what is drawn here, in place of the simulation's own draws."""
    g, handles = torch.Generator().manual_seed(2), []

    def drop(name: str) -> Callable[[_DropoutNd, tuple[torch.Tensor], torch.Tensor], torch.Tensor | None]:
        def again(module: _DropoutNd, inputs: tuple[torch.Tensor], _: object) -> torch.Tensor | None:
            if not module.training:
                return None
            (x,) = inputs
            shape = x.shape if isinstance(module, nn.Dropout) else x.shape[:2]
            kept = torch.rand(shape, generator=g) >= module.p
            before = [machine.draws[name]] if name in machine.draws else []
            machine.draws[name] = torch.cat([*before, kept])
            return x * kept.view(*kept.shape, *[1] * (x.ndim - kept.ndim)) / (1 - module.p)

        return again

    for name, module in modules.items():
        if isinstance(module, _DropoutNd):
            handles.append(module.register_forward_hook(drop(name)))
    return handles


def _state(modules: Mapping[str, nn.Module], layers: Mapping[str, Layer]) -> dict[str, torch.Tensor]:
    return {f"{n}.{w}": v.clone() for n, m in modules.items() for w, v in tensors_of(m, layers[n]).items()}


def _read(machine: FloatMachine, memory: Memory, name: str) -> torch.Tensor:
    if name in machine.flash:
        return machine.flash[name].flatten()
    return memory.load(name).flatten()
