"""What to do, and where the results go."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from blockwise.experiment.settings.training import LARGEST_SEED
from blockwise.experiment.settings.words import check_name
from blockwise.system.sizes import check_size
from devices.errors import InputError

LOGS = ("tensorboard", "trackio")
"""Programs that metrics go to, by the names of their packages."""


@dataclass(frozen=True)
class OutputSettings:
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
    quiet: Annotated[bool, arg(help="No progress and no report, only the verdict and the accuracy.")] = False
    full: Annotated[bool, arg(help="Print all tables, not only the first screen.")] = False
    arena_csv: Annotated[
        bool,
        arg(
            help="Also write arena-REGIME.csv: every tensor of a step with its address, size and lifetime. "
            "result.json has them, too."
        ),
    ] = False
    log: Annotated[
        str | None,
        arg(
            metavar="NAME",
            help=f"Metrics of every epoch also go to {' or '.join(LOGS)}, an extra of each name.",
            help_behavior_hint="",
        ),
    ] = None
    seeds: Annotated[
        tuple[int, ...],
        arg(
            metavar="SEED ...",
            help="Train under each of these seeds instead of --seed, in a folder for each; the report has "
            "the mean and the standard deviation of the accuracies.",
            help_behavior_hint="",
        ),
    ] = ()
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

    def __post_init__(self) -> None:
        """Refuse logs that there are not, and seeds of which there is no deviation."""
        if self.log is not None:
            check_name("--log", self.log, LOGS)
        for seed in self.seeds:
            check_size("--seeds", seed, 0, LARGEST_SEED)
        if self.seeds and len(set(self.seeds)) < max(len(self.seeds), 2):
            given = " ".join(map(str, self.seeds))
            raise InputError(
                "--seeds", got=given, wanted="two or more different seeds",
                do="name more of them, or one as --seed",
            )  # fmt: skip
        if self.seeds and self.dry_run:
            raise InputError(
                "--seeds", got="--dry-run beside it", wanted="a run that trains",
                do="leave one of them out: memory is the same for all seeds",
            )  # fmt: skip
