"""``run.py boards``: on which boards a network can be trained, and what the others lack."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated

from tyro.conf import arg

from blockwise.cli import flags
from blockwise.experiment import board
from blockwise.experiment.boards import on_boards
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import named
from blockwise.experiment.settings import (
    BoardSettings,
    ImageSettings,
    LocalSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
    ZerothOrderSettings,
)
from blockwise.experiment.settings.images import beside_shape
from blockwise.nets.usual import IN_SHAPE
from blockwise.report import boards as boards_report
from blockwise.report.console import make_console, show
from blockwise.system.exit_codes import FITS, NONE_FITS
from blockwise.system.notes import note
from blockwise.system.sizes import check_size
from blockwise.system.streams import print_json
from devices.boards import profile
from devices.boards.profile import Device
from devices.errors import InputError

DESCRIPTION = (
    "Which boards can train this network, by which regimes, and what do the others lack? Plans every regime "
    "on every board; nothing is trained. A profile of a board of your own: run.py boards --template > my.toml"
)


@dataclass(frozen=True)
class WhichBoards:
    """Which boards, and what to print."""

    device: Annotated[
        tuple[str, ...],
        arg(
            metavar="NAME|PATH.toml ...", help="Boards (see run.py --list-devices), or profiles.",
            help_behavior_hint="(default: all built-in ones)",
        ),
    ] = ()  # fmt: skip
    reserve_kib: Annotated[
        int | None,
        arg(
            metavar="KIB", help="RAM kept free for stack and system, of each.",
            help_behavior_hint="(default: the profile's)",
        ),
    ] = None  # fmt: skip
    json: Annotated[bool, arg(help="Print every figure as JSON instead of a table.")] = False
    template: Annotated[bool, arg(help="Print a commented profile to be filled in, and stop.")] = False


@dataclass(frozen=True)
class WhichImages(ImageSettings):
    """The images: of a shape, or those of a set."""

    data: Annotated[
        str,
        arg(help="Plan for the images of this set, as run.py has it.", help_behavior_hint="(default: none)"),
    ] = ""
    in_shape: Annotated[
        tuple[int, ...] | None,
        arg(
            metavar="C H W",
            help="Shape of the images where no --data is named; C L of signals, F of features.",
            help_behavior_hint=f"(default: {' '.join(map(str, IN_SHAPE))})",
        ),
    ] = None

    def _check_alone(self) -> None:
        if self.data:
            raise beside_shape("--data")

    def _check_classes(self) -> None:
        if self.data:
            super()._check_classes()
        check_size("--classes", self.classes, 2)

    @property
    def settings(self) -> ImageSettings:
        """Those of a comparison."""
        given = {f.name: getattr(self, f.name) for f in fields(ImageSettings)}
        if self.data:
            return ImageSettings(**given)
        return ImageSettings(**given | {"data": ImageSettings.data, "in_shape": self.in_shape or IN_SHAPE})


@dataclass(frozen=True)
class BoardsOptions:
    """All flags, in groups."""

    boards: WhichBoards = field(default_factory=WhichBoards)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    images: WhichImages = field(default_factory=WhichImages)
    quantization: QuantizationSettings = field(default_factory=QuantizationSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    zeroth_order: ZerothOrderSettings = field(default_factory=ZerothOrderSettings)
    local: LocalSettings = field(default_factory=LocalSettings)

    @property
    def config(self) -> Config:
        """The configuration of a comparison on any one board."""
        groups = self.network, self.images.settings, self.quantization, self.training
        return Config(
            BoardSettings(), *groups, OutputSettings(dry_run=True), zeroth_order=self.zeroth_order,
            local=self.local,
        )  # fmt: skip


def _devices(asked: WhichBoards) -> dict[str, Device]:
    """By what they were asked for; of all built-in ones those whose RAM is more than the reserve, noted.

    Raises InputError.
    """
    found: dict[str, Device] = {}
    if asked.device or asked.reserve_kib is None:
        names = asked.device or profile.catalogue()
        for name in names:
            device = board.load(name, asked.reserve_kib)
            if device not in found.values():  # else it is one by another name
                found[name] = device
        board.check_names(found.values())
        return found
    left_out = []
    for name in profile.catalogue():
        try:
            found[name] = board.load(name, asked.reserve_kib)
        except InputError as error:
            left_out.append(name)
            last = error
    if not found:
        raise last
    if left_out:
        note(f"left out, whose longest run of RAM is no more than the reserve: {', '.join(left_out)}")
    return found


def run(arguments: Sequence[str]) -> int:
    """Plan and print; returns the exit code."""
    options = flags.parse(BoardsOptions(), arguments, prog="run.py boards", description=DESCRIPTION)
    asked = options.boards
    if asked.template:
        print(profile.TEMPLATE.read_text("utf-8"), end="")
        return FITS
    options.training.check_jumps()
    devices = _devices(asked)
    result = on_boards(named(options.config, device=next(iter(devices.values()))), devices)
    if asked.json:
        print_json(json.dumps(result.to_json(), indent=1, ensure_ascii=False, allow_nan=False))
    else:
        show(boards_report.render(result), make_console())
    return FITS if result.smallest else NONE_FITS
