"""``run.py firmware``: a training step as C for the board, and a check that it does what was planned."""

import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from blockwise import report
from blockwise.cli.commands.firmware_options import FirmwareOptions, parse
from blockwise.cli.progress import CheckProgress
from blockwise.experiment import run_folder
from blockwise.experiment.alone import alone
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.firmware.check.checking import check_images, check_steps
from blockwise.firmware.emit.folder import check_folder
from blockwise.firmware.emulators import EMULATORS, Emulator
from blockwise.firmware.finished import Weights, prepared_with, weights_of
from blockwise.firmware.fits import check_fits
from blockwise.firmware.result import FirmwareResult
from blockwise.firmware.slots import check_save_every
from blockwise.firmware.toolchains import TOOLCHAINS, Toolchain
from blockwise.firmware.written import Written, write
from blockwise.report import firmware as firmware_report
from blockwise.system import exit_codes
from blockwise.system.streams import print_json, tell_then_write
from devices.errors import InputError, unknown_name


def run(arguments: Sequence[str]) -> int:
    """Write and, if asked, check; returns the exit code."""
    options = parse(arguments)
    toolchain, emulator = _tools(options)
    save_every = check_save_every(options.project.save_every)
    prepared, regime, weights = _prepared(options)
    out = options.project.out or _default_out(options, regime)
    check_folder(out)
    if options.project.check is not None:
        toolchain.require(prepared.device)
        emulator.require(prepared.device)
    check_fits(prepared, regime)
    written = write(prepared, regime, out, weights, save_every=save_every)
    if weights is not None and weights.why and not options.project.quiet:
        print(f"blockwise: {weights.regime}: {weights.why}; --regime takes another", file=sys.stderr)
    if options.project.check is None:
        return _told(written, options, arguments)
    return _checked(written, options, toolchain, emulator)


def _told(written: Written, options: FirmwareOptions, arguments: Sequence[str]) -> int:
    result, out = firmware_report.named(written.result), written.folder
    given = [*arguments] if options.project.out else [*arguments, "--out", str(out)]
    without = options.images.in_shape is not None  # any images, on which a check would train
    again = "" if without else shlex.join(["run.py", "firmware", *given, "--check", "20"])

    def tell() -> None:
        if options.project.json:
            print_json(firmware_report.dumps(result))
        elif options.project.quiet:
            print(out)
        else:
            print("\n".join(firmware_report.written_lines(result, out, again)))

    tell_then_write(tell, partial(firmware_report.write_all, result, out))
    return exit_codes.FITS


def _checked(written: Written, options: FirmwareOptions, toolchain: Toolchain, emulator: Emulator) -> int:
    asked = options.project
    assert asked.check is not None
    stderr = report.make_console(stderr=True)
    with CheckProgress(stderr, asked.check, quiet=asked.quiet) as progress:
        found = written.checked(asked.check, toolchain, emulator, trace=asked.trace, tell=progress.tell)
    result, out = firmware_report.named(found), written.folder
    tell_then_write(partial(_show, result, options, out), partial(firmware_report.write_all, result, out))
    return exit_codes.FITS if found.checked and found.checked.equal else exit_codes.FAILED


def _show(result: FirmwareResult, options: FirmwareOptions, out: Path) -> None:
    if options.project.json:
        print_json(firmware_report.dumps(result))
    elif options.project.quiet:
        print(firmware_report.headline(result))
    else:
        report.show(firmware_report.render(result, out), report.make_console())


def _prepared(options: FirmwareOptions) -> tuple[Prepared, str, Weights | None]:
    if options.project.run is None:
        return prepare(options.config(options.regime)), options.regime, None
    weights = weights_of(options.project.run, options.training.regime)
    config = alone(options.config(weights.regime), weights.regime)  # the run may have had other regimes
    return prepared_with(weights, config), weights.regime, weights


def _default_out(options: FirmwareOptions, regime: str) -> Path:
    base = run_folder.default_out(options.config(regime))
    return base.with_name(f"{base.name}-{regime}-firmware")


def _tools(options: FirmwareOptions) -> tuple[Toolchain, Emulator]:
    """Those that are named. Raises InputError for what cannot be, before any work."""
    asked = options.project
    for flag, name, known in (
        ("--toolchain", asked.toolchain, TOOLCHAINS),
        ("--emulator", asked.emulator, EMULATORS),
    ):
        if name not in known:
            raise unknown_name(flag, name, known)
    emulator = EMULATORS[asked.emulator]
    if asked.check is not None:
        check_steps(asked.check)
        check_images(options.images.in_shape)
    if asked.save_every and asked.check and not emulator.has_flash:
        able = " or ".join(name for name, found in EMULATORS.items() if found.has_flash)
        raise InputError(
            "--save-every", got=f"--emulator {asked.emulator}, whose flash is not written",
            wanted=f"one whose is: {able}", do=f"choose --emulator {able}",
        )  # fmt: skip
    if asked.trace and asked.check is None:
        raise InputError("--trace", got="no --check", wanted="a check to trace", do="add --check 1")
    if asked.trace and not emulator.watches:
        able = " or ".join(name for name, found in EMULATORS.items() if found.watches)
        raise InputError(
            "--trace", got=f"--emulator {asked.emulator}, which shows no loads and stores",
            wanted=f"one that does: {able}", do=f"choose --emulator {able}",
        )  # fmt: skip
    return TOOLCHAINS[asked.toolchain], emulator
