"""Which quantizer for 2-bit weights? And what is stored of the best one?

    python examples/compare_methods.py [FOLDER]

Trains a small network with three methods, and exports the weights of the best as packed codes.
"""

import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import blockwise
from blockwise.experiment import exported
from blockwise.experiment.export import export

METHODS = ("lsq", "dorefa", "twn")
HOW: dict[str, Any] = {"width": 8, "epochs": 3, "weight_bits": 2, "activation_method": "lsq"}


def main(folder: Path) -> None:
    """Accuracies, then the file of the best, which gives back the trained network."""
    accuracy = {}
    for method in METHODS:
        row = blockwise.train("cnn", regimes=("bp",), method=method, out=folder / method, **HOW).regimes[0]
        accuracy[method] = row.test_accuracy or 0.0
        print(f"{method:8} {accuracy[method]:6.1%}")
    best = max(METHODS, key=accuracy.__getitem__)
    file = export(folder / best)
    classes = exported.load(file.path).classes
    print(f"{best}: {file.weights:,} weights in {file.weight_bytes:,} bytes, {len(classes)} classes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if sys.argv[1:] else mkdtemp()))
