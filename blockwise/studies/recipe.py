"""What the best block-local training is made of: a base recipe, and one ingredient of it changed at a time.

A recipe is judged by its error and by its peak beside that of plain backpropagation of the same network, bits
and batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from blockwise import quant
from blockwise.experiment.config import Config
from blockwise.experiment.settings import (
    ImageSettings,
    LocalSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
)
from blockwise.models import PLAIN
from blockwise.quant.precision import FLOAT32
from blockwise.studies.jobs import Job
from blockwise.studies.qat import PROTOCOLS as QAT_PROTOCOLS
from blockwise.studies.qat import QatProtocol
from blockwise.studies.records import SAME
from devices.program.regimes import find

STUDY = "recipe"
ALIKE = (*SAME, "precision", "residual")
"""Conditions that all recipes of one table share."""
PROTOCOLS: dict[str, QatProtocol] = {
    "short": replace(QAT_PROTOCOLS["short"], description="5 epochs at 16x16: to find what is worth more"),
    "full": QAT_PROTOCOLS["full"],
    "long": replace(
        QAT_PROTOCOLS["full"], name="long", epochs=60, seeds=(0, 1, 2),
        description="60 epochs at full size, 3 seeds: to confirm a recipe",
    ),
}  # fmt: skip
"""Of the networks, epochs and images of the study of quantization methods."""


@dataclass(frozen=True)
class Recipe:
    """The ingredients, by the names of the conditions in records."""

    regime: str = "local"
    blocks: str = "4"
    head: str = "lookahead:64"
    bits: int = 3  # of weights and activations; 32: float32
    bit_chain: tuple[int, ...] = ()
    last_epochs: int = 1  # of the last block, in those of the others; where blocks are trained one by one
    init: str = ""  # the run or file of trained weights to start from; empty: they are drawn
    distill: str = ""  # T:WEIGHT, by which the last block teaches the others; empty: it does not
    skip_heads: float = 0.0  # share of the steps that each block but the last skips

    @property
    def idle(self) -> dict[str, Any]:
        """The ingredients that this training takes no notice of, and what they are then."""
        regime = find(self.regime)
        return {
            **({} if regime.heads else {"blocks": "auto", "head": "gap"}),
            **({} if regime.one_by_one else {"last_epochs": 1}),
            **({} if regime.learns_together else {"distill": "", "skip_heads": 0.0}),
            **({} if self.bits < quant.FLOAT_BITS else {"bit_chain": ()}),
        }

    @property
    def trained(self) -> "Recipe":
        """The same training, with ingredients as they are where nothing is told of them."""
        return replace(self, **self.idle)

    def changes(self, base: "Recipe") -> dict[str, Any]:
        """The ingredients that are others than in ``base``, of those that matter here."""
        found = {name: value for name, value in asdict(self).items() if getattr(base, name) != value}
        return {name: value for name, value in found.items() if name not in self.idle}


def recipe_of(row: Mapping[str, Any]) -> Recipe:
    """That of a recorded run."""
    return Recipe(
        row["regime"], row["blocks"], row["head"], row["weight_bits"], tuple(row["bit_chain"]),
        (row["last_epochs"] or row["epochs"]) // row["epochs"], row.get("init_name") or "",
        row["distill"] or "", row["skip_heads"] or 0.0,
    ).trained  # fmt: skip


INGREDIENTS: dict[str, tuple[Any, ...]] = {
    "regime": ("local", "local-resident", "bp"),
    "blocks": ("4", "2", "6", "8", "residual"),
    "head": ("lookahead:64", "gap", "lookahead:32", "lookahead:96", "lookahead:64x3", "lookahead-shared:64"),
    "bit_chain": ((), (32, 8, 4, 3)),
    "bits": (3, 8, quant.FLOAT_BITS),
    "last_epochs": (1,),
    "init": ("",),
    "distill": ("",),
    "skip_heads": (0.0,),
}
"""The values of each: the first is the base's, every other one is tried alone."""


@dataclass(frozen=True)
class RecipeSpace:
    """What is trained, and what all trainings share."""

    values: Mapping[str, Sequence[Any]]  # of each ingredient, the base's first
    model: str = "resnet20"
    method: str = "lsq"
    source: str = "cifar10"
    accelerator: str = "auto"
    precision: str = FLOAT32  # of the simulation
    compile: bool = False

    @property
    def base(self) -> Recipe:
        """The first value of every ingredient."""
        return Recipe(**{name: values[0] for name, values in self.values.items()})

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The base, and it with each other value of each ingredient, each once."""
        others = (
            replace(self.base, **{name: value})
            for name, values in self.values.items()
            for value in values[1:]
        )
        return tuple(dict.fromkeys(recipe.trained for recipe in (self.base, *others)))


def jobs(space: RecipeSpace, protocol: QatProtocol) -> tuple[Job, ...]:
    """The trainings, seed by seed, so that a table of one seed stands before the next begins."""
    return tuple(job for job, _ in _jobs(space, protocol))


def named(space: RecipeSpace, protocol: QatProtocol) -> dict[str, Recipe]:
    """The recipes of :func:`jobs`, by the keys of their lines, which know weights by more than a name.

    Of weights under two names the first.
    """
    found: dict[str, Recipe] = {}
    for job, recipe in _jobs(space, protocol):
        for key, _ in job.lines:
            found.setdefault(key, recipe)
    return found


def _jobs(space: RecipeSpace, protocol: QatProtocol) -> Iterator[tuple[Job, Recipe]]:
    for seed in protocol.seeds:
        for recipe in space.recipes:
            yield Job(STUDY, protocol.name, config_of(space, protocol, recipe, seed)), recipe


def config_of(space: RecipeSpace, protocol: QatProtocol, recipe: Recipe, seed: int) -> Config:
    """The training of one recipe. Raises InputError for one that cannot be trained."""
    is_float = recipe.bits == quant.FLOAT_BITS
    return Config(
        network=NetworkSettings(
            model=space.model, width=protocol.width, blocks=recipe.blocks, head=recipe.head,
            init=recipe.init or PLAIN.init,
        ),
        images=ImageSettings(data=space.source, image_size=protocol.image_size),
        quantization=QuantizationSettings(
            method="fp32" if is_float else space.method, weight_bits=recipe.bits,
            activation_bits=recipe.bits, bit_chain=recipe.bit_chain,
        ),
        training=TrainingSettings(
            regimes=(recipe.regime,), epochs=protocol.epochs,
            last_epochs=None if recipe.last_epochs == 1 else recipe.last_epochs * protocol.epochs,
            batch_size=protocol.batch_size,
            optimizer=protocol.optimizer, lr=protocol.lr, seed=seed,
            accelerator=space.accelerator, compile=space.compile, precision=space.precision,
        ),
        output=OutputSettings(quiet=True),
        local=LocalSettings(recipe.distill or None, recipe.skip_heads),
    )  # fmt: skip
