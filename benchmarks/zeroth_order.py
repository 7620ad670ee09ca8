"""Zeroth order on the bundled digits: what its settings reach, beside backpropagation in as many epochs.

    python benchmarks/zeroth_order.py [--seeds 0 1 2] [--record]

A small mlp, with batch norm in float32 and at 4 bits, and without norms on integers. Every training is a line
of zeroth_order.jsonl, seed by seed; what is recorded is not trained again. The defaults of --zo-eps, --zo-lr,
--zo-range and --zo-mu follow from these rows.
"""

import output

from blockwise.executors.serial import Serial
from blockwise.executors.storage import Folder
from blockwise.executors.task import Untold
from blockwise.experiment.config import Config
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
    ZerothOrderSettings,
)
from blockwise.studies.jobs import Job, missing
from blockwise.studies.tasks import run_all, task_of
from blockwise.system.locks import only_writer

EPOCHS = 10
MLP = NetworkSettings("mlp", 16, blocks="layers")
PLAIN = NetworkSettings("mlp", 16, blocks="layers", norm="none")
FLOAT, FOUR_BITS = QuantizationSettings("fp32"), QuantizationSettings("lsq", weight_bits=4, activation_bits=4)

Setting = tuple[str, NetworkSettings, QuantizationSettings, ZerothOrderSettings]


def in_float(eps: float, rate: float, count: int = 1) -> ZerothOrderSettings:
    """Whatever the defaults are: a record is known by all of its settings."""
    return ZerothOrderSettings(eps, rate, count, zo_backprop=1, zo_range=15, zo_mu=1)


def on_integers(largest: int, mu: int, count: int = 1) -> ZerothOrderSettings:
    """The same."""
    return ZerothOrderSettings(1e-2, 1e-2, count, zo_backprop=1, zo_range=largest, zo_mu=mu)


FLOATS = (
    (1e-3, 5e-3), (1e-2, 1e-3), (1e-2, 5e-3), (1e-2, 2e-2), (3e-2, 5e-3), (3e-2, 1e-2), (1e-1, 5e-3),
    (1e-2, 2e-2, 4),
)  # fmt: skip
NARROW = ((1e-2, 5e-3), (3e-2, 5e-3), (5e-2, 5e-3))
INTEGERS = ((15, 1), (15, 2), (7, 2), (7, 2, 4))


def settings() -> list[Setting]:
    """Regime, network, precision, and how it steps."""
    return [
        ("bp", MLP, FLOAT, in_float(1e-2, 1e-2)),
        *(("zo", MLP, FLOAT, in_float(*told)) for told in FLOATS),
        ("zo-hybrid", MLP, FLOAT, in_float(1e-2, 5e-3)),
        ("bp", MLP, FOUR_BITS, in_float(1e-2, 1e-2)),
        *(("zo", MLP, FOUR_BITS, in_float(*told)) for told in NARROW),
        ("niti", PLAIN, FLOAT, on_integers(7, 2)),
        *(("niti-zo", PLAIN, FLOAT, on_integers(*told)) for told in INTEGERS),
        ("niti-zo-hybrid", PLAIN, FLOAT, on_integers(7, 2)),
    ]


def jobs(seeds: list[int]) -> list[Job]:
    """The trainings, seed by seed."""
    found = []
    for seed in seeds:
        for regime, network, quantization, told in settings():
            training = TrainingSettings((regime,), epochs=EPOCHS, seed=seed)
            config = Config(
                network=network, images=ImageSettings("digits"), quantization=quantization, training=training,
                output=OutputSettings(quiet=True), zeroth_order=told,
            )  # fmt: skip
            found.append(Job("zeroth-order", "digits", config))
    return found


def main() -> None:
    """Train what is not recorded, and print a line for each."""
    parser = output.parser(__doc__)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    path = output.file_of("zeroth_order", record=arguments.record).with_suffix(".jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    with only_writer(path, "record", "wait for it"):
        left = missing(jobs(arguments.seeds), path)
        tasks = [task_of(job, job.regime, path, "digits") for job in left]
        for row in run_all(tasks, path, Serial(), Folder(path.parent), Untold()):
            told = {key: row[key] for key in row if key.startswith("zo_")}
            print(f"{row['regime']:15} seed {row['seed']} error {row['test_error']} {told}", flush=True)


if __name__ == "__main__":
    main()
