"""``run.py`` without a command: the comparison of regimes, its flags, its output and its folder."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.table import Table

from blockwise import __version__, report
from blockwise.cli import flags
from blockwise.cli.commands import COMMANDS
from blockwise.cli.commands.train import trained
from blockwise.cli.log import check_log
from blockwise.cli.progress import ConsoleWatcher
from blockwise.experiment import run_folder as outfolder
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.presets import PRESETS
from blockwise.experiment.result import Result
from blockwise.report.drawing import Drawing
from blockwise.system import exit_codes
from blockwise.system.collector import looking_seldom
from blockwise.system.files import WriteError
from blockwise.system.streams import print_json, tell_then_write
from devices.boards import profile
from devices.errors import InputError, unknown_name

DESCRIPTION = (
    "Can this network be trained on this microcontroller, how, and how well? Trains it globally and block "
    "by block under quantization, and accounts for every byte the board would hold."
)


def run(arguments: Sequence[str]) -> int:
    """Compare as ``arguments`` say; returns the exit code."""
    config = parse(arguments)
    if config.output.version:
        print(f"blockwise {__version__}")
        return exit_codes.FITS
    if config.output.list_devices:
        report.show_table(devices_table())
        return exit_codes.FITS
    check_log(config.output.log)
    if config.output.seeds:
        from blockwise.cli.commands.compare_seeds import compare_seeds

        return compare_seeds(config)
    return _compare(config)


def _compare(config: Config) -> int:
    with looking_seldom():
        prepared = prepare(config)
    out = outfolder.prepare(config, prepared)
    with outfolder.only_command(out):
        return _compare_in(out, prepared)


def _compare_in(out: Path, prepared: Prepared) -> int:
    config, stderr, drawing = prepared.config, report.make_console(stderr=True), Drawing()
    try:
        with ConsoleWatcher(stderr, config.training.epochs) as watcher:
            result = trained(prepared, out, stderr, watcher, drawing)
        result = report.named(result, arenas=config.output.arena_csv)
        tell_then_write(partial(_show, result, config, out), partial(_write, result, out, drawing))
    except KeyboardInterrupt as stop:
        raise type(stop)(f"go on with --resume {out}") from stop
    except WriteError as error:
        raise error.before(f"go on with --resume {out}") from error
    return exit_codes.of(fits=result.fits, diverged=result.diverged)


def _write(result: Result, out: Path, drawing: Drawing) -> None:
    """Behind the answer."""
    with looking_seldom():
        report.write_all(result, out, drawing)


def _show(result: Result, config: Config, out: Path) -> None:
    if config.output.json or config.output.quiet:  # the report itself says so
        for sentence in report.divergence_sentences(result):
            print(f"blockwise: {sentence}", file=sys.stderr)
    if config.output.json:
        print_json(report.dumps(result))
    elif config.output.quiet:
        print(report.answer(result))
    else:
        report.print_report(result, report.make_console(), out, full=config.output.full)


def parse(arguments: Sequence[str]) -> Config:
    """The configuration that ``arguments`` ask for. Raises InputError for what cannot be parsed.

    With ``--resume`` the saved configuration is the default, and may not be changed; with ``--preset`` that
    of the preset is.
    """
    flags.check(arguments)
    arguments, others = flags.several(arguments, "--device")
    config = _asked_for(arguments)
    if not others:
        return config
    return replace(config, board=replace(config.board, other_devices=tuple(dict.fromkeys(others))))


def _asked_for(arguments: Sequence[str]) -> Config:
    folder, preset = _asked(arguments)
    if preset is not None and preset not in PRESETS:
        raise unknown_name("--preset", preset, PRESETS)
    if folder is None:
        return _parse(arguments, PRESETS[preset] if preset else Config())
    if preset is not None:
        raise InputError(
            f"--resume {folder}", got=f"--preset {preset} beside it", wanted="one of the two",
            do="leave --preset out: the run has its configuration",
        )  # fmt: skip
    saved = outfolder.saved_config(folder)
    config = _parse(arguments, saved)
    if config.output.out is not None:
        raise InputError(
            f"--resume {folder}", got=f"--out {config.output.out} beside it", wanted="one of the two",
            do="leave --out out: results go to the folder that is resumed",
        )  # fmt: skip
    if changed := outfolder.changed(config, saved):
        flag = outfolder.as_flag(changed[0])
        raise InputError(
            f"--resume {folder}", got=f"another {flag} than the run has", wanted="the same configuration",
            do="leave the flag out, or start a new run with --out",
        )  # fmt: skip
    return config


def _asked(arguments: Sequence[str]) -> tuple[Path | None, str | None]:
    """What the defaults come from: the folder of a run, or a preset."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--preset")
    with contextlib.suppress(argparse.ArgumentError):
        found = parser.parse_known_args(list(arguments))[0]
        return found.resume, found.preset
    return None, None


def _parse(arguments: Sequence[str], default: Config) -> Config:
    others = f"Other commands, each with its own --help: {', '.join(COMMANDS)}."
    return flags.parse(default, arguments, prog="run.py", description=f"{DESCRIPTION}\n\n{others}")


def devices_table() -> Table:
    """The built-in boards."""
    table = Table(title="Boards for --device")
    for column in ("name", "board", "core", "MHz", "RAM KiB", "largest run KiB", "flash KiB"):
        table.add_column(column, justify="left" if column in ("name", "board", "core") else "right")
    for device in sorted(profile.catalogue().values(), key=lambda d: d.ram_bytes):
        names = ", ".join((device.name, *device.aliases))
        flash = f"{device.flash_bytes // 1024}" if device.flash_bytes else "external"
        table.add_row(
            names, device.title, device.core, f"{device.clock_mhz:g}", f"{device.ram_bytes // 1024}",
            f"{device.largest_contiguous_bytes // 1024}", flash,
        )  # fmt: skip
    return table
