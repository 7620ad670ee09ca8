"""How a configuration plans any network on its board."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from blockwise.experiment.config import Config
from devices.boards.profile import Device
from devices.network import Network
from devices.pace.workload import Workloads
from devices.planning import Plan, part_of
from devices.program.accountings import DEVICE
from devices.program.made_once import Schedules
from devices.program.regimes import BEST, Step, find, update_of
from devices.trainability import Obstacle, obstacle


@dataclass(frozen=True)
class Planner:
    """A configuration and the board that it names, or another; planners of several share their schedules."""

    config: Config
    device: Device
    schedules: Schedules = field(default_factory=Schedules, repr=False, compare=False)
    workloads: Workloads = field(default_factory=Workloads, repr=False, compare=False)

    def step(self, regime: str, batch: int | None = None, least_bits: int = 0) -> Step:
        """What a training step of ``regime`` is made of, at the run's batch size or another.

        That of the last stage, which is deployed, or of one whose numbers have at least ``least_bits``.
        """
        config, training, together = self.config, self.config.training, find(regime).learns_together
        weights, activations = (max(least_bits, b) for b in (config.weight_bits, config.activation_bits))
        bits = config.scheme.bits(weights, activations, config.residual)
        return Step(
            training.batch_size if batch is None else batch, training.optimizer, bits,
            self.update(regime) == "fused", DEVICE, micro_batch=training.micro_batch,
            limit_bytes=self.device.usable_bytes, alignment=self.device.alignment_bytes,
            twice=training.requantize == "twice", by_tensor=training.requantize == "auto",
            perturbations=config.zeroth_order.zo_directions, backprop_blocks=config.zeroth_order.zo_backprop,
            frozen=training.frozen, jump_every=training.jump_every,
            distillation=config.local.distillation if together else None,
            skip_heads=config.local.skip_heads if together else 0.0,
        )  # fmt: skip

    def on(self, device: Device) -> "Planner":
        """The same for another board."""
        return replace(self, device=device)

    def part_of(self, network: Network) -> Network:
        """The network of which that is trained which the configuration says."""
        return part_of(network, self.config.training.part, self.step(BEST))

    def update(self, regime: str) -> str:
        """When gradients are applied in ``regime``: in its plan, and in its training."""
        return update_of(regime, self.config.training.asked_update)

    def plan(self, network: Network, regime: str, batch: int | None = None) -> Plan:
        """The memory plan of ``regime``, in that stage of the training which needs the most."""
        return self._most(network, regime, self._steps(regime, batch))

    def of_last_stage(self, network: Network, regime: str, batch: int | None = None) -> Plan:
        """The same of the last stage."""
        return self._plan(network, regime, self.step(regime, batch))

    def lowest(self, network: Network) -> Plan:
        """The best-engineered backpropagation as low as it gets, even if one that repeats less would fit."""
        return self._most(network, BEST, [replace(s, limit_bytes=None) for s in self._steps(BEST, None)])

    def obstacle(self, network: Network, regime: str, batch: int | None = None) -> Obstacle | None:
        """Why ``regime`` cannot be trained; None if it can."""
        training = self.config.training
        return obstacle(
            network,
            regime,
            training.batch_size if batch is None else batch,
            training.micro_batch,
            self.config.zeroth_order.zo_backprop,
            training.jump_every,
            self.config.local.distillation,
            self.config.local.skip_heads,
        )

    def _steps(self, regime: str, batch: int | None) -> list[Step]:
        """Those of all stages that differ, the last first."""
        chain = () if find(regime).is_integer else self.config.quantization.bit_chain
        return list(dict.fromkeys(self.step(regime, batch, bits) for bits in (0, *reversed(chain))))

    def _most(self, network: Network, regime: str, steps: Iterable[Step]) -> Plan:
        return max((self._plan(network, regime, s) for s in steps), key=lambda plan: plan.peak_bytes)

    def _plan(self, network: Network, regime: str, step: Step) -> Plan:
        made = partial(self.schedules.of, regime, network)
        return Plan(self.device, regime, step.batch, self.update(regime), made(step)).with_places(step, made)
