"""How to train."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from blockwise.experiment.settings.words import AUTO, check_name, listed
from blockwise.integer.update import FIRST_MU, LARGEST_MU, SMALLEST_MU, STATE_BITS
from blockwise.quant.precision import FLOAT32, PRECISIONS
from blockwise.system.sizes import MOST_IMAGES, check_size
from blockwise.training.schedules import SCHEDULES
from blockwise.training.updater import DEFAULT_LEARNING_RATE, OPTIMIZERS, WEIGHT_DECAY
from devices.errors import InputError
from devices.network import partial
from devices.program.regimes import ALL_REGIMES, DEFAULT_REGIMES, REQUANTIZE, UPDATES, find
from devices.program.regimes.builder import PLACES, RAM

LEAST_MU = SMALLEST_MU + STATE_BITS + 2
"""mu falls by 2 in a training, and counts less for states of 4 bits."""
LARGEST_SEED = 2**63 - 1
"""PyTorch keeps seeds in 64 bits."""
MOST_EPOCHS = 10**6


@dataclass(frozen=True)
class TrainingSettings:
    """How to train."""

    regimes: Annotated[
        tuple[str, ...], arg(metavar="REGIME ...", help=f"What to compare: {listed(ALL_REGIMES)}.")
    ] = DEFAULT_REGIMES
    train: Annotated[
        str,
        arg(
            metavar="SPEC",
            help=f"What of the network is trained: {partial.FORMS}. All else is as deployed, packed, with "
            "norms by their running statistics; nothing goes back beyond the first layer that is trained.",
        ),
    ] = partial.ALL
    frozen: Annotated[
        str,
        arg(help="Where lies what is not trained: in ram, packed, or in flash that the core reads in place."),
    ] = RAM
    epochs: Annotated[int, arg(help="Passes over the training set; of each block in local-resident.")] = 5
    last_epochs: Annotated[
        int | None,
        arg(
            metavar="N",
            help="Passes of the last block, whose output is the network's, in local-resident.",
            help_behavior_hint="(default: --epochs)",
        ),
    ] = None
    batch_size: Annotated[int, arg(help="Images per step, in training and in the memory figures.")] = 16
    optimizer: Annotated[str, arg(help=f"One of {listed(OPTIMIZERS)}.")] = "sgd-momentum"
    lr: Annotated[
        float | None,
        arg(
            metavar="RATE",
            help="Highest learning rate of the schedule.",
            help_behavior_hint="(default: "
            + ", ".join(f"{rate:g} for {name}" for name, rate in DEFAULT_LEARNING_RATE.items())
            + ")",
        ),
    ] = None
    schedule: Annotated[
        str,
        arg(
            help="How the learning rate goes: one-cycle (up for a fifth of the training, then down to 0) or "
            "steps (a quarter of it from 50, 75, 89 and 94 % of the training on)."
        ),
    ] = "one-cycle"
    weight_decay: Annotated[
        float, arg(metavar="RATE", help="Of convolution and linear weights; methods may have their own.")
    ] = WEIGHT_DECAY
    update: Annotated[
        str, arg(help="When gradients are applied: end (of the step), fused (in backward), auto (by regime).")
    ] = AUTO
    micro_batch: Annotated[
        int, arg(help="Images at a time in bp-micro, also where it is listed only as a baseline.")
    ] = 1
    mu: Annotated[
        int,
        arg(
            metavar="BITS",
            help="First learning rate of integer regimes: the largest gradient moves its 8-bit weight by "
            "2^BITS; one bit less after a half and after three quarters of the training.",
        ),
    ] = FIRST_MU
    jump_every: Annotated[
        int,
        arg(
            metavar="BATCHES",
            help="Where 4-bit weights jump (niti4-jump and its kin): once in so many steps, by the sum of "
            "their gradients, which waits in 32 bits a weight. All other weights step with each batch.",
        ),
    ] = 1
    requantize: Annotated[
        str,
        arg(
            help="In integer regimes, for the memory figures: sums are buffered, computed twice to spare the "
            "buffer, or (auto) computed twice where their buffers would not fit. The results are the same."
        ),
    ] = REQUANTIZE[0]
    seed: Annotated[int, arg(help="Seed of weights, order, augmentation and the validation split.")] = 0
    accelerator: Annotated[str, arg(help="Where to train: auto, cpu or cuda.")] = AUTO
    precision: Annotated[
        str,
        arg(
            help="How this computer computes convolutions in float regimes: "
            + "; ".join(f"{name}: {words}" for name, words in PRECISIONS.items())
            + ". Memory and time of the board stay what they are."
        ),
    ] = FLOAT32
    compile: Annotated[bool, arg(help="Compile steps with torch.compile, which takes minutes.")] = False

    def __post_init__(self) -> None:
        self._check_regimes()
        check_name("optimizer", self.optimizer, OPTIMIZERS)
        check_name("--schedule", self.schedule, SCHEDULES)
        check_name("--update", self.update, {AUTO, *UPDATES})
        check_name("--requantize", self.requantize, REQUANTIZE)
        check_name("--precision", self.precision, PRECISIONS)
        check_name("--accelerator", self.accelerator, {AUTO, "cpu", "cuda"})
        check_size("--epochs", self.epochs, most=MOST_EPOCHS)
        if self.last_epochs is not None:
            check_size("--last-epochs", self.last_epochs, most=MOST_EPOCHS)
        check_size("--batch-size", self.batch_size, most=MOST_IMAGES)
        check_size("--micro-batch", self.micro_batch, most=MOST_IMAGES)
        check_size("--jump-every", self.jump_every, most=MOST_IMAGES)
        check_size("--seed", self.seed, 0, LARGEST_SEED)
        self._check_rates()
        self._check_part()

    def _check_part(self) -> None:
        check_name("--frozen", self.frozen, PLACES)
        if self.frozen != RAM and self.part.whole:
            raise InputError(
                "--frozen", got=f"{self.frozen} with --train {partial.ALL}",
                wanted="something that is not trained", do="leave it out, or name a part by --train",
            )  # fmt: skip

    def _check_regimes(self) -> None:
        for regime in self.regimes:
            find(regime)
        if not self.regimes or len(set(self.regimes)) < len(self.regimes):
            got = " ".join(self.regimes) or "none"
            raise InputError(
                "--regimes", got=got, wanted="each regime once", do=f"choose of {listed(ALL_REGIMES)}"
            )

    def check_jumps(self) -> None:
        """Raise InputError where batches are to be waited for, and no regime has weights that jump."""
        if self.jump_every > 1 and not any(find(regime).jumps for regime in self.regimes):
            names = listed([name for name, regime in ALL_REGIMES.items() if regime.jumps])
            raise InputError(
                "--jump-every", got=f"{self.jump_every} with {' '.join(self.regimes)}",
                wanted="a regime whose weights jump", do=f"leave it out, or choose of {names}",
            )  # fmt: skip

    def check_wait(self, images: int) -> None:
        """Raise InputError where so many training images make fewer steps than jumps are to wait for."""
        jumping = [find(regime) for regime in self.regimes if find(regime).jumps]
        last = self.last_epochs if any(regime.one_by_one for regime in jumping) else None
        steps = images // self.batch_size * min(self.epochs, last or self.epochs)
        if jumping and self.jump_every > steps:
            raise InputError(
                "--jump-every", got=f"{self.jump_every} batches, of which a training has {steps}",
                wanted=f"at most {steps}, for else no weight of 4 bits moves",
                do="let weights jump more often, or train longer",
            )  # fmt: skip

    def _check_rates(self) -> None:
        if not LEAST_MU <= self.mu <= LARGEST_MU:
            raise InputError(
                "--mu", got=self.mu, wanted=f"{LEAST_MU} to {LARGEST_MU}", do="try 5, NITI's own"
            )
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise InputError("--lr", got=self.lr, wanted="a number above 0", do="leave it out")
        if not 0 <= self.weight_decay < float("inf"):
            raise InputError(
                "--weight-decay", got=self.weight_decay, wanted="a number from 0", do="leave it out"
            )

    @property
    def part(self) -> partial.Choice:
        """What is trained of a network. Raises InputError for what can be a part of none."""
        return partial.choice(self.train)

    @property
    def learning_rate(self) -> float:
        """Peak learning rate: as asked for, or the optimizer's."""
        return DEFAULT_LEARNING_RATE[self.optimizer] if self.lr is None else self.lr

    @property
    def asked_update(self) -> str | None:
        """When gradients are to be applied; None where each regime decides."""
        return None if self.update == AUTO else self.update
