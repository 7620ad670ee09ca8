"""The command line: flags to configuration, configuration to report, errors to exit codes."""

import argparse
import contextlib
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from blockwise import __version__, outfolder, report
from blockwise.compare import compare
from blockwise.config import Config
from blockwise.progress import ConsoleWatcher
from blockwise.result import Result
from blockwise.setup import Setup
from devices import profile
from devices.errors import InputError

DESCRIPTION = (
    "Can this network be trained on this microcontroller, how, and how well? Trains it globally and block "
    "by block under quantization, and accounts for every byte the board would hold."
)
FITS, FAILED, NONE_FITS, INTERRUPTED = 0, 1, 3, 130
"""Exit codes beside that of bad usage (2). 130 is the shells' code for Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and prints every error as one line on stderr."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run(arguments)
    except InputError as error:
        print(f"blockwise: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("blockwise: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of stdout has left; nothing more can be told
        return FAILED
    except (OSError, RuntimeError, MemoryError) as error:
        text = " ".join(str(error).split()) or "no details"
        print(f"blockwise: failed while running: {type(error).__name__}: {text}", file=sys.stderr)
        return FAILED


def _run(arguments: Sequence[str]) -> int:
    config = parse(arguments)
    if config.output.version:
        print(f"blockwise {__version__}")
        return FITS
    if config.output.list_devices:
        report.make_console().print(devices_table())
        return FITS
    return _compare(config)


def _compare(config: Config) -> int:
    setup = Setup.of(config)
    out = outfolder.prepare(config)
    stderr = report.make_console(stderr=True)
    try:
        result = _train(setup, out, stderr, quiet=config.output.quiet)
    except KeyboardInterrupt:
        print(f"blockwise: interrupted; go on with --resume {out}", file=sys.stderr)
        return INTERRUPTED
    result = report.write_all(result, out)
    _show(result, config, out)
    return FITS if result.fits else NONE_FITS


def _train(setup: Setup, out: Path, stderr: Console, *, quiet: bool) -> Result:
    checkpoints = out / outfolder.CHECKPOINTS
    if quiet or setup.config.output.dry_run:
        return compare(setup, checkpoints)
    with ConsoleWatcher(stderr, setup.config.training.epochs) as watcher:
        return compare(setup, checkpoints, watcher)


def _show(result: Result, config: Config, out: Path) -> None:
    if config.output.json:
        print(report.dumps(result))
    elif config.output.quiet:
        print(report.headline(result))
    else:
        report.print_report(result, report.make_console(), out)


# ------------------------------------------------------------------------ flags


def parse(arguments: Sequence[str]) -> Config:
    """The configuration that ``arguments`` ask for. Raises InputError for what cannot be parsed.

    With ``--resume`` the saved configuration is the default, and may not be changed.
    """
    folder = _resume_folder(arguments)
    if folder is None:
        return _parse(arguments, Config())
    saved = outfolder.saved_config(folder)
    config = _parse(arguments, saved)
    if config.output.out is not None:
        raise InputError(
            f"--resume {folder}", got=f"--out {config.output.out} beside it", wanted="one of the two",
            do="leave --out out: results go to the folder that is resumed",
        )  # fmt: skip
    changed = [key for key, value in config.learning().items() if value != saved.learning()[key]]
    if changed or config.output.dry_run != saved.output.dry_run:
        flag = "--" + (changed[0] if changed else "dry_run").replace("_", "-")
        raise InputError(
            f"--resume {folder}", got=f"another {flag} than the run has", wanted="the same configuration",
            do="leave the flag out, or start a new run with --out",
        )  # fmt: skip
    return config


def _resume_folder(arguments: Sequence[str]) -> Path | None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--resume", type=Path)
    with contextlib.suppress(argparse.ArgumentError):
        folder: Path | None = parser.parse_known_args(list(arguments))[0].resume
        return folder
    return None


def _parse(arguments: Sequence[str], default: Config) -> Config:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                Config, prog="run.py", description=DESCRIPTION, args=list(arguments), default=default,
                config=(tyro.conf.OmitArgPrefixes,),
            )  # fmt: skip
    except SystemExit as stop:
        if not stop.code:
            raise  # --help
        raise _bad_usage(complaint.getvalue()) from None


def _bad_usage(complaint: str) -> InputError:
    """The parser's boxed complaint as an error in one line."""
    text = " ".join(re.sub(r"[─-╿]|\x1b\[[0-9;]*m|-{4,}", " ", complaint).split())
    see = "see --help"
    if unknown := re.search(r"Unrecognized options: (\S+?)(?=[,\s]|$)", text):
        near = re.search(r"Perhaps you meant: (--[\w-]+)", text) or re.search(r"similar.*?(--[\w-]+)", text)
        do = f"did you mean {near[1]}? {see}" if near else see
        return InputError("command line", got=repr(unknown[1]), wanted="flags that exist", do=do)
    if bare := re.search(r"Missing value for argument '(--[\w-]+)", text):
        return InputError(bare[1], got="no value", wanted="one behind the flag", do=see)
    if wrong := re.search(
        r"Error parsing (--[\w-]+): (.*?)(?: Argument helptext.*| For full helptext.*)?$", text
    ):
        value = re.search(r"from \['(.*?)'\]|: '(.*?)'", wrong[2])
        got = repr(value[1] or value[2]) if value else wrong[2]
        wanted = (
            "a whole number"
            if "int()" in wrong[2]
            else "a number"
            if "float" in wrong[2].lower()
            else "a value"
        )
        return InputError(wrong[1], got=got, wanted=wanted, do=see)
    return InputError(
        "command line", got=text.removeprefix("Parsing error ").split(" For full helptext")[0],
        wanted="flags that exist, with their values", do=see,
    )  # fmt: skip


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


if __name__ == "__main__":
    sys.exit(main())
