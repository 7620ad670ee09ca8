"""The command line: finds the command, runs it, and turns errors into exit codes."""

import sys
from collections.abc import Sequence

from blockwise import __version__
from blockwise.cli.commands import COMMANDS, COMPARE
from blockwise.system import interrupts
from blockwise.system.beside import own_process
from blockwise.system.collector import looking_no_more
from blockwise.system.exit_codes import FAILED, FITS
from blockwise.system.files import NO_ROOM, reason
from blockwise.system.notes import told_in_lines
from blockwise.system.streams import abandon_stdout, accept_any_text, one_line
from devices.errors import InputError, unknown_name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and prints every error as one line on stderr.

    Without ``arguments`` they are the process's own, and so is the process.
    """
    for stream in (sys.stdout, sys.stderr):
        accept_any_text(stream)
    with interrupts.sigterm_raises(), told_in_lines():
        if arguments is not None:
            return _answered(list(arguments))
        with own_process():
            code = _answered(sys.argv[1:])
        looking_no_more()
        return code


def _answered(arguments: Sequence[str]) -> int:
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()  # what cannot be printed is told here, not by Python at its end
    except InputError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt as stop:
        _complain("; ".join(("interrupted", *map(str, stop.args))))
        return interrupts.exit_code(stop)
    except BrokenPipeError:
        abandon_stdout()  # its reader has left; nothing more can be told
        return FAILED
    except (OSError, RuntimeError, MemoryError) as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in NO_ROOM:
            abandon_stdout()  # files name themselves: see blockwise.system.files
            _complain(f"standard output: got {reason(error)}, wanted room for the answer; print it elsewhere")
        else:
            text = " ".join(str(error).split()) or "no details"
            _complain(f"failed while running: {type(error).__name__}: {text}")
        return FAILED


def _complain(text: str) -> None:
    print(f"blockwise: {one_line(text)}", file=sys.stderr)


def _run(arguments: Sequence[str]) -> int:
    if [*arguments] == ["--version"]:  # which need not wait for PyTorch
        print(f"blockwise {__version__}")
        return FITS
    if not arguments or arguments[0].startswith("-"):
        return COMPARE(arguments)
    name, *rest = arguments
    if name not in COMMANDS:
        error = unknown_name("command", name, COMMANDS)
        wanted = f"{error.wanted}, or flags alone, which compare regimes"
        raise InputError(error.subject, got=error.got, wanted=wanted, do=error.do)
    return COMMANDS[name](rest)


if __name__ == "__main__":
    sys.exit(main())
