"""What the studies that train have in common."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from blockwise import models, report
from blockwise.cli.executing import Executing
from blockwise.cli.task_table import TaskTable
from blockwise.experiment.settings.words import check_name
from blockwise.quant.precision import PRECISIONS
from blockwise.studies.jobs import Job, distinct, lines_of, missing, revision_of
from blockwise.studies.records import SAME, read
from blockwise.studies.tasks import run_all, task_of
from blockwise.system.files import make_folder
from blockwise.system.locks import only_writer
from blockwise.system.streams import as_text
from devices.errors import InputError

OF_PRESET = "(default: the preset's)"
"""The hint of flags whose value is otherwise the preset's."""
SUFFIX = ".jsonl"
TRIALS, RECORDS = Path("runs/studies"), Path("results/studies")

Model = Annotated[str, arg(help=f"One of {', '.join(models.CATALOGUE)}.")]
Width = Annotated[
    int | None, arg(metavar="CHANNELS", help="Channels of the first stage.", help_behavior_hint=OF_PRESET)
]
Precision = Annotated[str, arg(help=f"Of the simulation's convolutions: {', '.join(PRECISIONS)}.")]
Compile = Annotated[bool, arg(help="Compile steps with torch.compile, which takes minutes.")]
Record = Annotated[bool, arg(help=f"Keep what is found in {RECORDS}/, from where documents show it.")]


def recorded_file(name: str, out: Path | None) -> Path:
    """The file ``name`` of the records. Raises InputError if ``--out`` names another."""
    if out is not None:
        raise InputError(
            "--record", got=f"--out {out} too", wanted=f"one file: {RECORDS / name} or that of --out",
            do="leave one of them out",
        )  # fmt: skip
    return RECORDS / name


@dataclass(frozen=True)
class TrainingStudy:
    """The flags that all of them have."""

    data: Annotated[str, arg(help="As for the comparison: a named set or the PATH of an image folder.")] = (
        "cifar10"
    )
    data_name: Annotated[str, arg(help="What to call the data in the record and the figure.")] = ""
    seeds: Annotated[
        tuple[int, ...] | None,
        arg(metavar="SEED ...", help="Seeds.", help_behavior_hint=OF_PRESET),
    ] = None
    accelerator: Annotated[str, arg(help="Where to train: auto, cpu or cuda.")] = "auto"
    out: Annotated[
        Path | None,
        arg(
            metavar="FILE.jsonl",
            help="Where runs are kept; figure and page stand beside it.",
            help_behavior_hint=f"(default: {TRIALS}/STUDY_PRESET.jsonl)",
        ),
    ] = None
    record: Record = False
    executing: Executing = field(default_factory=Executing)
    dry_run: Annotated[bool, arg(help="Show what is recorded and what is missing; train nothing.")] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_name", as_text(self.data_name))  # figures show it

    def file(self, study: str, preset: str) -> Path:
        """The file of the finished runs. Raises InputError if two are asked for, or another kind of file."""
        name = f"{study}_{preset}.jsonl"
        if self.record:
            return recorded_file(name, self.out)
        if self.out is not None and self.out.suffix != SUFFIX:
            raise InputError(
                f"--out {self.out}", got="another kind of file", wanted=f"one of lines, NAME{SUFFIX}",
                do=f"name it {self.out.stem}{SUFFIX}; figure and page have its name too",
            )  # fmt: skip
        return self.out or TRIALS / name


@dataclass(frozen=True)
class EpochsStudy(TrainingStudy):
    """The flags of those whose presets may be shortened."""

    epochs: Annotated[int | None, arg(metavar="N", help="Epochs.", help_behavior_hint=OF_PRESET)] = None

    def instead(self, *others: str) -> dict[str, Any]:
        """What is asked for instead of the preset's values, of ``others`` as well."""
        asked = {name: getattr(self, name) for name in ("seeds", "epochs", *others)}
        return {name: value for name, value in asked.items() if value is not None}


def check_trainable(jobs: Sequence[Job]) -> None:
    """Refuse what cannot be trained before hours of work; seeds make no difference. Raises InputError."""
    for job in jobs:
        if job.config.training.seed == jobs[0].config.training.seed:
            job.prepare()


def train_missing(
    jobs: Sequence[Job],
    path: Path,
    options: TrainingStudy,
    epochs: int,
    told: Callable[[dict[str, Any]], str],
) -> None:
    """Train what ``path`` holds no line of, and tell of each on stderr what ``told`` makes of its line.

    Raises InputError while another command does so.
    """
    make_folder(path.parent, "--out")
    with only_writer(path, f"--out {path}", "wait for it, or name another file by --out"):
        of = distinct(jobs)
        left = missing(of, path)
        if not left:
            report.make_console(stderr=True).print(
                f"{len(of)} of {len(of)} runs are recorded in {path}: nothing is left to train",
                soft_wrap=True,
            )
            return

        def title(row: dict[str, Any]) -> str:
            return f"{told(row)}, seed {row['seed']}"

        tasks = [task_of(job, title(job.conditions), path, options.data_name) for job in left]
        executor, storage = options.executing.made(), options.executing.kept_in(path.parent)
        console, done = report.make_console(stderr=True), len(of) - len(left)
        with storage.only_user(path.stem), TaskTable(console, epochs, len(left)) as table:
            for row in run_all(tasks, path, executor, storage, table):
                done += 1
                ended = f"{title(row)}: {_ended(row)}, {row['seconds']:.0f} s"
                console.print(f"{done} of {len(of)}: {ended}", soft_wrap=True)


def _ended(row: dict[str, Any]) -> str:
    found = row["divergence"]
    if found is None:
        return f"test error {row['test_error']:.1%}"
    return f"diverged in epoch {found['epoch']}" + (f", block {found['block']}" if found["block"] else "")


def recorded(
    jobs: Sequence[Job], path: Path, data_name: str = "", alike: Sequence[str] = SAME
) -> list[dict[str, Any]]:
    """The lines of ``path`` that stand beside ``jobs`` in a table: of the same network, images and epochs.

    The conditions ``alike`` are those of ``jobs``; regimes may have none such. Which data that are is known
    from the lines of ``jobs`` themselves, else by name. Runs of an earlier revision of the training stand
    in none.
    """
    if not jobs:
        return []
    rows, first = read(path), jobs[0]
    same = {name: {None, *(job.conditions[name] for job in jobs)} for name in alike}
    same["augment"] = {first.augment}
    names = {row["data"] for row in lines_of(jobs, rows)} or {data_name or first.images.name}
    return [
        row
        for row in rows
        if row["data"] in names
        and row["contents"] in (None, first.images.contents)
        and row["revision"] == revision_of(row["regime"])
        and all(row[name] in values for name, values in same.items())
    ]


def tell_recorded(jobs: Sequence[Job], path: Path) -> None:
    """How much of a study is done, on stdout."""
    of = distinct(jobs)
    print(f"{len(of) - len(missing(of, path))} of {len(of)} runs are recorded")


def check_names(*named: tuple[str, Iterable[str], Collection[str]]) -> None:
    """Raise InputError for the first name of (subject, names, those that are known) that is unknown."""
    for subject, names, known in named:
        for name in names:
            check_name(subject, name, known)


def check_values(flags: dict[str, Sequence[object] | None]) -> None:
    """Raise InputError for the first flag that is given no value, or one twice. None: it is not given."""
    for flag, values in flags.items():
        if values is not None and (not values or len(set(values)) < len(values)):
            got = " ".join(map(str, values)) or "no value"
            do = "leave out what is repeated" if values else "name one, or leave the flag out"
            raise InputError(flag, got=got, wanted="different values, at least one", do=do)
