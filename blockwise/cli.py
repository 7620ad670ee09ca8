"""The command line: finds the command, runs it, and turns errors into exit codes."""

import sys
from collections.abc import Sequence

from blockwise.commands import COMMANDS, COMPARE
from blockwise.exit_codes import FAILED, INTERRUPTED
from devices.errors import InputError, unknown_name


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
    if not arguments or arguments[0].startswith("-"):
        return COMPARE(arguments)
    name, *rest = arguments
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    return COMMANDS[name](rest)


if __name__ == "__main__":
    sys.exit(main())
