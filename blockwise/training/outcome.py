"""What a training ends with: its epochs, its accuracies, where it diverged, and what it took here."""

from dataclasses import dataclass

from blockwise.training.places import Place


@dataclass(frozen=True)
class Epoch:
    """One epoch of training: the mean training loss and the validation accuracy after it."""

    epoch: int  # from 1
    block: str  # the block being trained ("" when all of them are)
    train_loss: float
    validation_accuracy: float | None  # None where the block's head predicts nothing (sim)
    seconds: float


LARGEST_SUM = "largest sum"
"""Of integers: what of a training passed 32 bits."""


@dataclass(frozen=True)
class Divergence:
    """Where a training was stopped, since a number of it was not finite, or none of a board's integers."""

    what: str  # "loss", "weights", LARGEST_SUM; or "validation loss", "test loss" and so on: of an evaluation
    block: str  # whose they are ("" when it is the loss of all blocks)
    epoch: int  # from 1
    step: int | None  # of the epoch, from 1; None for what an evaluation found
    learning_rate: float | None  # in that step; None likewise, and in integer regimes


@dataclass(frozen=True)
class Training:
    """What a regime's training reached. Absent (None) in a dry run.

    One that diverged has no accuracies and no digest; its history ends before the epoch of that.
    """

    test_accuracy: float | None  # None: it diverged
    validation_accuracy: float | None  # None: there are no validation images, or it diverged
    best_epoch: int  # chosen on the validation set; of the last block in local-resident
    epochs: int  # of each phase
    learning_rate: float | None  # peak of the schedule; None in integer regimes
    history: tuple[Epoch, ...]
    block_accuracies: dict[str, float]  # validation accuracy of each block's own head
    seconds: float
    images_per_second: float
    mu: int | None = None  # first learning rate of an integer regime, in bits
    digest: str | None = None  # of all weights, if asked for: blockwise.training.digest
    phases: int = 1  # trained one after the other: the blocks in local-resident
    steps: int = 0  # of each phase
    last_epochs: int | None = None  # of the last of several phases; None: as many as of the others
    divergence: Divergence | None = None
    test_accuracy_one_by_one: float | None = None  # of integer regimes, whose batches share exponents
    places: tuple[Place, ...] = ()  # where it was trained, in order; () where earlier versions do not tell

    @property
    def last_steps(self) -> int:
        """Of the last phase."""
        return self.steps if self.last_epochs is None else self.steps // self.epochs * self.last_epochs

    def macs(self, of_all: int, of_last: int) -> int:
        """Of the whole training; ``of_all`` are those of a step of every phase, ``of_last`` of the last."""
        return of_all * self.steps + of_last * (self.last_steps - self.steps)


@dataclass(frozen=True)
class Host:
    """What the simulation itself used on this computer; never mixed with a board's bytes."""

    peak_tensor_bytes: (
        int | None
    )  # storages PyTorch held in a training step; None: compiled, or it never got there
    peak_rss_bytes: int  # resident set size of the process, highest sample
