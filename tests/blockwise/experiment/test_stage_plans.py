"""The plan of a training in stages is that of the stage which needs the most; firmware does the last one."""

from dataclasses import replace

import pytest

from blockwise.data import blank
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.settings import (
    BoardSettings,
    ImageSettings,
    NetworkSettings,
    OutputSettings,
    QuantizationSettings,
    TrainingSettings,
)

REGIMES = ("bp", "bp-best", "local", "local-resident")
CONFIG = Config(
    board=BoardSettings(device="stm32"),
    network=NetworkSettings(model="plain4", width=4, head="gap", blocks="stages"),
    images=ImageSettings(in_shape=(1, 8, 8)),
    training=TrainingSettings(regimes=REGIMES, epochs=4, batch_size=8),
    output=OutputSettings(dry_run=True),
)


def prepared(method: str, bits: int, chain: tuple[int, ...] = ()):
    numbers = QuantizationSettings(method, weight_bits=bits, activation_bits=bits, bit_chain=chain)
    return prepare(replace(CONFIG, quantization=numbers), blank((1, 8, 8), 10))


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("method", ["lsq", "dorefa"])
def test_a_training_that_falls_from_floats_is_planned_with_them(method, regime):
    chain = prepared(method, 3, (32, 8, 3))
    stages = {bits: prepared(method, bits).plan(regime).peak_bytes for bits in (32, 8, 3)}
    assert chain.plan(regime).peak_bytes == max(stages.values()) > stages[3]
    assert chain.plan_of_last_stage(regime).peak_bytes == stages[3]
    assert chain.plan(regime, 1).peak_bytes == max(
        prepared(method, bits).plan(regime, 1).peak_bytes for bits in stages
    )


def test_so_is_the_best_backpropagation():
    chain, floats = prepared("lsq", 3, (32, 3)), prepared("lsq", 32)
    found, alone = chain.lowest_backpropagation().peak_bytes, floats.lowest_backpropagation().peak_bytes
    assert found == max(alone, prepared("lsq", 3).lowest_backpropagation().peak_bytes)


def test_without_a_chain_there_is_one_plan():
    one = prepared("lsq", 3)
    assert one.plan("local").peak_bytes == one.plan_of_last_stage("local").peak_bytes
