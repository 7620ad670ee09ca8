"""What runs of a study start from: trained weights, and what it took to train them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from blockwise.experiment.finished import SEEDS_FILE, finished_run
from blockwise.experiment.initial import sources
from blockwise.experiment.initial.weights import Weights


@dataclass(frozen=True, eq=False)
class Start:
    """Weights, and of the run that ended with them its peaks in bytes by batch size and all its work.

    Of a file nothing is known: it was trained elsewhere.
    """

    weights: Weights
    peak_bytes: int = 0  # at the batch of the run
    peak_by_batch: tuple[tuple[int, int], ...] = ()
    macs: int = 0

    def peak_at(self, batch: int) -> int:
        """In bytes; where that batch was not planned, or cannot be trained, at that of the run."""
        return dict(self.peak_by_batch).get(batch, self.peak_bytes)


def start_of(given: str, seed: int) -> Start:
    """From ``given``, as for ``--init``; of a folder that ``--seeds`` made, the run of this seed.

    Each seed holds out validation images of its own, which its start then has not seen either. Raises
    InputError for what is not there, or holds no trained network.
    """
    several = (Path(given).expanduser() / SEEDS_FILE).exists()
    return _read(f"{given}/seed-{seed}" if several else given)


@cache
def _read(given: str) -> Start:
    weights, path = sources.read(given), Path(given).expanduser()
    if not path.is_dir():
        return Start(weights)
    (row,) = (row for row in finished_run(path).regimes if row.regime == weights.regime)
    return Start(weights, row.peak_bytes, tuple(row.peak_by_batch.items()), row.training_macs or 0)
