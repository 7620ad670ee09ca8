"""What became of the weights that a training starts from, in words."""

from dataclasses import dataclass

from blockwise.system.lists import first_few


@dataclass(frozen=True)
class Taken:
    """What a run started from, as its result tells."""

    source: str
    regime: str  # of a run that ended with them; empty: a file
    digest: str  # of all that the source has: blockwise.experiment.initial.weights
    tensors: int
    values: int
    left: tuple[str, ...]  # layers of which something begins as usual, for the source has none of it
    classifier: str  # the source's shape where that is another: it begins at random; empty if taken
    unused: tuple[str, ...]  # layers of the source that the network has not
    by_order: bool  # whether names told nothing, and order and shapes did
    heads: bool  # whether local heads come from there
    quantizers: bool  # whether steps and ranges do; otherwise they are chosen as in any training
    without_biases: bool  # whether there are biases that integer regimes leave out

    @property
    def sentence(self) -> str:
        """One line."""
        of = f" of {self.regime}" if self.regime else ""
        said = {
            f"{self.values:,} values in {self.tensors} tensors{of} are taken": True,
            "by order and shape, for names differ": self.by_order,
            f"the classifier begins at random ({self.classifier})": bool(self.classifier),
            f"as usual begin {first_few(self.left)}": bool(self.left),
            f"not used are {first_few(self.unused)}": bool(self.unused),
            "local heads are taken, too": self.heads,
            "steps and ranges of quantizers, too": self.quantizers,
            "integer regimes leave biases out": self.without_biases,
        }
        return f"--init {self.source}: {', '.join(words for words, true in said.items() if true)}"
