"""The commands of ``run.py``, one per file, each with ``run(arguments) -> exit code``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from blockwise.system.beside import load_beside
from blockwise.system.collector import leaving_alone

Run = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Command:
    """A command as the catalogue lists it; its module is imported when it is called."""

    module: str
    summary: str
    draws: bool = False

    def __call__(self, arguments: Sequence[str]) -> int:
        """Run it; returns the exit code."""
        if self.draws:
            load_beside(_what_draws)
        with leaving_alone(partial(import_module, f"blockwise.cli.commands.{self.module}")) as module:
            run: Run = module.run
            return run(arguments)


def _what_draws() -> None:
    import_module("blockwise.report.drawing").load()


COMPARE = Command("compare", "train under several regimes and count every byte", draws=True)
"""What is run where no command is named."""

COMMANDS: dict[str, Command] = {
    "adapt": Command("adapt", "adapt a trained network to a person, in every way a board has"),
    "arena": Command("arena", "place buffers with known lifetimes in one stretch of memory"),
    "boards": Command("boards", "which boards can train a network, and what the others lack"),
    "firmware": Command("firmware", "a training step as C for the board, emulated and compared"),
    "fit": Command("fit", "what would fit a board, and at what price"),
    "methods": Command("methods", "the catalogue of quantization methods"),
    "plan": Command("plan", "the comparison's memory without its training: --dry-run", draws=True),
    "show": Command("show", "the report of a finished run, without planning or training"),
    "diff": Command("diff", "two finished runs beside each other"),
    "export": Command("export", "the weights of a finished run, packed as a board stores them"),
    "study": Command("study", "the reference study's experiments"),
}
