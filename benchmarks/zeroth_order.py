"""Zeroth order on the bundled digits: what its settings reach, beside backpropagation in as many epochs.

    python benchmarks/zeroth_order.py [--seeds 0 1 2] [--record]

Two small networks, an mlp in float32 and at 4 bits, and plain4 on integers. Every training is a line of
zeroth_order.jsonl, seed by seed; what is recorded is not trained again. The defaults of --zo-eps, --zo-lr,
--zo-range and --zo-mu are those of the best rows.
"""

import output

from blockwise.experiment.config import Config
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
    ZerothOrderSettings,
)
from blockwise.studies.jobs import Job, missing, run_all

EPOCHS = 10
MLP = NetworkSettings("mlp", 16, blocks="layers")
PLAIN = NetworkSettings("plain4", 4, blocks="layers", norm="none", head="gap")
FLOAT, FOUR_BITS = QuantizationSettings("fp32"), QuantizationSettings("lsq", weight_bits=4, activation_bits=4)

Setting = tuple[str, NetworkSettings, QuantizationSettings, ZerothOrderSettings]


def settings() -> list[Setting]:
    """Regime, network, precision, and how it steps."""
    usual = ZerothOrderSettings()
    floats = [
        ZerothOrderSettings(zo_eps=eps, zo_lr=rate, zo_directions=count)
        for eps, rate, count in (
            (1e-3, 5e-3, 1), (1e-2, 5e-3, 1), (1e-1, 5e-3, 1), (1e-2, 1e-3, 1), (1e-2, 2e-2, 1),
            (1e-2, 2e-2, 4),
        )
    ]  # fmt: skip
    narrow = [ZerothOrderSettings(zo_eps=eps, zo_lr=5e-3) for eps in (1e-2, 5e-2)]
    integers = [
        ZerothOrderSettings(zo_range=largest, zo_mu=mu)
        for largest, mu in ((7, 1), (15, 1), (15, 2), (31, 1), (31, 2))
    ]
    return [
        ("bp", MLP, FLOAT, usual),
        *(("zo", MLP, FLOAT, told) for told in floats),
        ("zo-hybrid", MLP, FLOAT, ZerothOrderSettings(zo_eps=1e-2, zo_lr=5e-3)),
        ("bp", MLP, FOUR_BITS, usual),
        *(("zo", MLP, FOUR_BITS, told) for told in narrow),
        ("niti", PLAIN, FLOAT, usual),
        *(("niti-zo", PLAIN, FLOAT, told) for told in integers),
        ("niti-zo-hybrid", PLAIN, FLOAT, ZerothOrderSettings(zo_range=15, zo_mu=1)),
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
    for row in run_all(missing(jobs(arguments.seeds), path), path, "digits"):
        told = {key: row[key] for key in row if key.startswith("zo_")}
        print(f"{row['regime']:15} seed {row['seed']} error {row['test_error']} {told}", flush=True)


if __name__ == "__main__":
    main()
