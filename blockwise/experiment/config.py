"""The configuration of a comparison: frozen, validated, and the source of every command-line flag."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from blockwise import heads, models, quant
from blockwise.experiment.sizes import MOST_IMAGES, check_shape, check_size
from blockwise.integer.update import FIRST_MU, LARGEST_MU, SMALLEST_MU, STATE_BITS
from blockwise.nets import norms
from blockwise.training import (
    DEFAULT_LEARNING_RATE,
    OPTIMIZERS,
    SCHEDULES,
    WEIGHT_DECAY,
)
from devices.errors import InputError, unknown_name
from devices.network import Residual
from devices.planning import REQUANTIZE, UPDATES
from devices.program.regimes import ALL_REGIMES, DEFAULT_REGIMES, find
from devices.program.state import RESIDUALS

AUTO = "auto"
LEAST_MU = SMALLEST_MU + STATE_BITS + 2
"""mu falls by 2 in a training, and counts less for states of 4 bits."""
LARGEST_SEED = 2**63 - 1
"""PyTorch keeps seeds in 64 bits."""
MOST_EPOCHS = 10**6


PAPER = "paper"
"""The convention of the method's own paper."""


def _listed(names: Any) -> str:
    return ", ".join(names)


@dataclass(frozen=True)
class Board:
    """The microcontroller."""

    device: Annotated[str, arg(help="Board name (see --list-devices) or a profile, PATH.toml.")] = "stm32"

    reserve_kib: Annotated[
        int | None,
        arg(
            metavar="KIB",
            help="RAM kept free for stack and system.",
            help_behavior_hint="(default: the profile's, 8 in the built-in ones)",
        ),
    ] = None


@dataclass(frozen=True)
class Network:
    """The network, how it is cut, and the local heads."""

    model: Annotated[
        str,
        arg(help=f"One of {_listed(models.CATALOGUE)}; or torchvision:NAME."),
    ] = "resnet20"
    width: Annotated[
        int | None,
        arg(
            metavar="CHANNELS",
            help="Channels of the first stage; scales every layer.",
            help_behavior_hint=f"(default: {models.DEFAULT_WIDTH}; torchvision's have their own)",
        ),
    ] = None
    blocks: Annotated[
        str,
        arg(
            help="Where to cut: stages, residual, layers, each (layers, and the classifier a block of its "
            "own), a number of memory-balanced blocks, or auto: 8, or as many as there are layers."
        ),
    ] = AUTO
    head: Annotated[
        str,
        arg(
            help=f"Local head: {_listed(heads.CATALOGUE)}, lookahead:WIDTH, pred:FEATURES, or auto: the "
            "widest lookahead head with which local-resident (or one of the local regimes asked for, if it "
            "is not among them) fits the board, else gap; if nothing fits, the head with the lowest peak. "
            "With local integer regimes pred-pooled, else gap."
        ),
    ] = AUTO

    norm: Annotated[
        str,
        arg(
            help=f"Norm layers: {_listed(norms.NORMS)}. batch-recompute saves memory, not accuracy; group "
            "does without statistics of the batch; frozen sets constants on the first images."
        ),
    ] = "batch"
    activation: Annotated[
        str,
        arg(help=f"One of {_listed(models.ACTIVATIONS)}; leaky-relu has slope 0.01 and is not quantized."),
    ] = models.PLAIN.activation
    dropout: Annotated[
        float,
        arg(
            metavar="RATE",
            help="Dropout behind every activation, of whole channels behind convolutions; in networks of "
            "layers in a row.",
        ),
    ] = models.PLAIN.dropout
    bias: Annotated[bool, arg(help="Give every layer a bias, before a norm as well.")] = models.PLAIN.bias
    init: Annotated[
        str,
        arg(help="First weights of convolutions: he (normal, by fan-out) or pytorch (uniform, by fan-in)."),
    ] = models.PLAIN.init

    @property
    def style(self) -> models.Style:
        """What stands around the weights. Raises InputError for what cannot be."""
        return models.Style(self.activation, self.dropout, self.bias, self.init)


@dataclass(frozen=True)
class Data:
    """The images."""

    data: Annotated[
        str,
        arg(
            help="digits (bundled), cifar10, cifar100, mnist, fashion-mnist, svhn, or the PATH of a folder "
            "with train/CLASS/ and test/CLASS/ images."
        ),
    ] = "digits"
    image_size: Annotated[
        int | None,
        arg(
            metavar="PIXELS",
            help="Side to which images are resized and cropped.",
            help_behavior_hint="(default: as they are)",
        ),
    ] = None
    in_shape: Annotated[
        tuple[int, int, int] | None,
        arg(
            metavar="C H W",
            help="Dry runs only: plan for images of this shape, without any data.",
            help_behavior_hint="(default: the data's)",
        ),
    ] = None
    classes: Annotated[int, arg(help="Classes to tell apart, with --in-shape.")] = 10
    download: Annotated[bool, arg(help="Fetch a named set that is not on this computer.")] = False


@dataclass(frozen=True)
class Quantization:
    """Bit widths in training and on the board."""

    method: Annotated[
        str, arg(help="Quantization method (run.py methods lists them): of weights and of activations.")
    ] = "lsq"
    weight_method: Annotated[
        str | None,
        arg(metavar="METHOD", help="Another method for weights.", help_behavior_hint="(default: --method's)"),
    ] = None
    activation_method: Annotated[
        str | None,
        arg(
            metavar="METHOD",
            help="Another method for activations; fp32 leaves them in float.",
            help_behavior_hint="(default: --method's own, or the one its paper takes beside it)",
        ),
    ] = None
    weight_bits: Annotated[
        int | None,
        arg(
            metavar="BITS",
            help="Bits of weights, 1 to 8 or 16, as far as the method has them; 32 leaves them in float.",
            help_behavior_hint="(default: 3, or the method's own)",
        ),
    ] = None
    activation_bits: Annotated[
        int | None,
        arg(
            metavar="BITS",
            help="Bits of activations; 32 leaves them in float.",
            help_behavior_hint="(default: 3, or the method's own)",
        ),
    ] = None
    bit_chain: Annotated[
        tuple[int, ...],
        arg(
            metavar="BITS ...",
            help="Train in stages of equal length with at least so many bits: 32 4 1 goes from float over "
            "4 bits to those asked for.",
            help_behavior_hint="(default: one stage)",
        ),
    ] = ()
    residual: Annotated[
        str,
        arg(
            help="What the skip paths of residual sums hold: codes, which the next layer reads too; float, "
            "as in most methods' own networks, beside codes and at 32 bits; or paper, the convention of the "
            "activations' method."
        ),
    ] = "codes"


@dataclass(frozen=True)
class Training:
    """How to train."""

    regimes: Annotated[
        tuple[str, ...], arg(metavar="REGIME ...", help=f"What to compare: {_listed(ALL_REGIMES)}.")
    ] = DEFAULT_REGIMES
    epochs: Annotated[int, arg(help="Passes over the training set; of each block in local-resident.")] = 5
    batch_size: Annotated[int, arg(help="Images per step, in training and in the memory figures.")] = 16
    optimizer: Annotated[str, arg(help=f"One of {_listed(OPTIMIZERS)}.")] = "sgd-momentum"
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
    requantize: Annotated[
        str,
        arg(
            help="In integer regimes, for the memory figures: sums are buffered, or computed twice to spare "
            "the buffer. The results are the same."
        ),
    ] = REQUANTIZE[0]
    seed: Annotated[int, arg(help="Seed of weights, order, augmentation and the validation split.")] = 0
    accelerator: Annotated[str, arg(help="Where to train: auto, cpu or cuda.")] = AUTO
    compile: Annotated[bool, arg(help="Compile blocks with torch.compile.")] = False


@dataclass(frozen=True)
class Output:
    """What to do and where the results go."""

    out: Annotated[
        Path | None,
        arg(
            metavar="DIR",
            help="Folder for the results.",
            help_behavior_hint="(default: a new one under runs/)",
        ),
    ] = None
    json: Annotated[bool, arg(help="Print result.json on stdout and nothing else there.")] = False
    quiet: Annotated[bool, arg(help="No progress and no report, only the verdict.")] = False
    dry_run: Annotated[bool, arg(help="Memory without training.")] = False
    digest: Annotated[
        bool,
        arg(
            help="Add a checksum of all weights to each regime, and write that after every step to "
            "checkpoints/REGIME.digests."
        ),
    ] = False
    resume: Annotated[
        Path | None,
        arg(metavar="DIR", help="Go on with the interrupted run in this folder.", help_behavior_hint=""),
    ] = None
    preset: Annotated[
        str | None,
        arg(
            metavar="NAME",
            help="Start from a published set-up instead of the defaults; other flags change it. local-loss: "
            "VGG8B with predsim heads on CIFAR-10 as Nøkland & Eidnes 2019 train it, for an accelerator.",
            help_behavior_hint="",
        ),
    ] = None
    list_devices: Annotated[bool, arg(help="List the boards and stop.")] = False
    version: Annotated[bool, arg(help="Print the version and stop.")] = False


@dataclass(frozen=True)
class Config:
    """Everything a comparison depends on. Raises InputError for values that cannot be."""

    board: Board = field(default_factory=Board)
    network: Network = field(default_factory=Network)
    images: Data = field(default_factory=Data)
    quantization: Quantization = field(default_factory=Quantization)
    training: Training = field(default_factory=Training)
    output: Output = field(default_factory=Output)

    def validate(self) -> None:
        """Raise InputError for the first value that cannot be."""
        _check_names(self)
        training, quantization = self.training, self.quantization
        check_size("--epochs", training.epochs, most=MOST_EPOCHS)
        check_size("--batch-size", training.batch_size, most=MOST_IMAGES)
        check_size("--micro-batch", training.micro_batch, most=MOST_IMAGES)
        check_size("--seed", training.seed, 0, LARGEST_SEED)
        if self.board.reserve_kib is not None:
            check_size("--reserve-kib", self.board.reserve_kib, 0, LARGEST_SEED)
        if self.network.width is not None:
            check_size("--width", self.network.width)
        self._check_planned_only()
        if self.images.image_size is not None:
            check_size("--image-size", self.images.image_size)
        if not LEAST_MU <= training.mu <= LARGEST_MU:
            raise InputError(
                "--mu", got=training.mu, wanted=f"{LEAST_MU} to {LARGEST_MU}", do="try 5, NITI's own"
            )
        self._check_rates()
        self.scheme.check(self.weight_bits, self.activation_bits)
        self._check_style()
        if quantization.bit_chain:
            self._check_chain()
        self.stages.check(training.epochs)

    def _check_rates(self) -> None:
        training = self.training
        if training.lr is not None and not 0 < training.lr < float("inf"):
            raise InputError("--lr", got=training.lr, wanted="a number above 0", do="leave it out")
        if not 0 <= training.weight_decay < float("inf"):
            raise InputError(
                "--weight-decay", got=training.weight_decay, wanted="a number from 0", do="leave it out"
            )

    def _check_style(self) -> None:
        _ = self.network.style
        if self.network.activation != models.PLAIN.activation and self.activation_bits < quant.FLOAT_BITS:
            raise InputError(
                f"--activation {self.network.activation}", got=f"{self.activation_bits}-bit activations",
                wanted="activations in float: codes start at zero", do="use --activation relu, --method fp32 "
                "or --activation-method fp32",
            )  # fmt: skip

    def _check_planned_only(self) -> None:
        if self.images.in_shape is not None:
            check_shape("--in-shape", self.images.in_shape)
            check_size("--classes", self.images.classes, 2)
        if self.output.dry_run:
            return
        if self.images.in_shape is not None:
            raise InputError(
                "--in-shape", got="a run that trains", wanted="a dry run: there are no images of that shape",
                do="add --dry-run, or name --data",
            )  # fmt: skip

    def _check_chain(self) -> None:
        chain = self.quantization.bit_chain
        falls = all(a > b for a, b in pairwise(chain))
        if not falls or not all(b in (*quant.BITS, quant.FLOAT_BITS) for b in chain):
            raise InputError(
                "--bit-chain", got=" ".join(map(str, chain)), wanted="widths of 1 to 32 bits that fall",
                do="try 32 4 1",
            )  # fmt: skip
        if self.scheme.stages.last:
            raise InputError(
                "--bit-chain", got=f"{self.scheme.name}, which trains in stages of its own",
                wanted="a method of one stage", do="leave it out",
            )  # fmt: skip
        for bits in chain:
            if bits < quant.FLOAT_BITS:
                weight, activation = max(bits, self.weight_bits), max(bits, self.activation_bits)
                self.scheme.check(weight, activation, "--bit-chain", "--bit-chain")

    @property
    def scheme(self) -> quant.Scheme:
        """The methods of weights and activations. Raises InputError for those that cannot be."""
        q = self.quantization
        return quant.scheme(q.method, q.weight_method, q.activation_method, q.weight_bits, q.activation_bits)

    @property
    def stages(self) -> quant.Stages:
        """The stages of the training: the method's, or those of the bit chain."""
        chain = self.quantization.bit_chain
        return quant.Stages.chain(chain) if chain else self.scheme.stages

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantized."""
        return self.scheme.is_float

    @property
    def weight_bits(self) -> int:
        """Bits of weights as trained."""
        asked = self.quantization.weight_bits
        return self.scheme.usual_bits("weight") if asked is None else asked

    @property
    def activation_bits(self) -> int:
        """Bits of activations as trained."""
        asked = self.quantization.activation_bits
        return self.scheme.usual_bits("activation") if asked is None else asked

    @property
    def residual(self) -> Residual:
        """What skip paths hold beside activations that are codes."""
        asked = self.quantization.residual
        if self.activation_bits == quant.FLOAT_BITS or not models.has_skips(self.network.model):
            return "codes"  # one tensor for all its readers
        return next((r for r in RESIDUALS if r == asked), self.scheme.residual)

    @property
    def learning_rate(self) -> float:
        """Peak learning rate."""
        lr = self.training.lr
        return DEFAULT_LEARNING_RATE[self.training.optimizer] if lr is None else lr

    def learning(self) -> dict[str, Any]:
        """The flat settings that decide what is learnt and counted: all but the output's."""
        groups = (self.board, self.network, self.images, self.quantization, self.training)
        return {key: value for group in groups for key, value in asdict(group).items()}

    def fingerprint(self, *extra: object) -> str:
        """A short hash of :meth:`learning` and whatever else must agree."""
        text = json.dumps([self.learning(), extra], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_names(config: Config) -> None:
    training = config.training
    known: tuple[tuple[str, str, Any], ...] = (
        ("norm", config.network.norm, norms.NORMS),
        ("head", config.network.head.partition(":")[0], {AUTO, *heads.CATALOGUE}),
        ("optimizer", training.optimizer, OPTIMIZERS),
        ("--schedule", training.schedule, SCHEDULES),
        ("--update", training.update, {AUTO, *UPDATES}),
        ("--requantize", training.requantize, REQUANTIZE),
        ("--residual", config.quantization.residual, (*RESIDUALS, PAPER)),
        ("--accelerator", training.accelerator, {AUTO, "cpu", "cuda"}),
    )
    models.check_name(config.network.model)
    for regime in training.regimes:
        find(regime)
    for subject, name, names in known:
        if name not in names:
            raise unknown_name(subject, name, names)
    if config.network.head.endswith(":"):
        raise InputError(
            "--head", got=repr(config.network.head), wanted="a width behind the colon", do="try lookahead:32"
        )
    if not training.regimes or len(set(training.regimes)) < len(training.regimes):
        got = " ".join(training.regimes) or "none"
        raise InputError(
            "--regimes", got=got, wanted="each regime once", do=f"choose of {_listed(ALL_REGIMES)}"
        )
