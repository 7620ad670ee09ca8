"""What a check tells the board is what the run itself would do: its images, its order, its rates."""

import itertools
import struct
from dataclasses import replace

import pytest
import torch

from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.experiment.trainer import options_of
from blockwise.firmware.check.batches import run_batches
from blockwise.firmware.form import check_alignment
from blockwise.firmware.making import firmware_of, reference_of
from blockwise.integer.layers import weighted
from blockwise.training import INTEGER_REGIMES, Run
from devices.boards.profile import load
from devices.errors import InputError

SETTINGS = {"model": "plain4", "width": 4, "regimes": ("niti",), "batch_size": 500, "seed": 3, "epochs": 2}
EPOCH = 2
"""Batches of 500 in an epoch of 1,368 images; the rest is left out."""


def trained(prepared, count):
    """The batches of the first steps of the training itself."""
    run = Run(prepared.build("niti"), prepared.dataset, INTEGER_REGIMES["niti"], options_of(prepared, "niti"))
    seen, step = [], run.regime.step

    class Looking:
        name = "niti"

        def step(self, net, phase, x, y):
            seen.append((x.clone(), y.clone(), net.mu))
            return step(net, phase, x, y)

    run.regime = Looking()
    run.train()
    return seen[:count]


@pytest.mark.slow
def test_batches_are_those_of_the_training_over_all_of_its_epochs():
    prepared = prepare(config_of(SETTINGS))
    wanted = trained(prepared, 2 * EPOCH)
    assert len(wanted) == 2 * EPOCH
    for (images, labels), (x, y, _) in zip(run_batches(prepared), wanted, strict=False):
        assert torch.equal(images, x) and torch.equal(labels, y)
    later = list(itertools.islice(run_batches(prepared), 3 * EPOCH))[2 * EPOCH :]
    assert not any(torch.equal(images, wanted[0][0]) for images, _ in later)  # it goes on, in another order


@pytest.mark.parametrize("regime", ["niti", "niti-local"])
def test_a_part_starts_from_weights_that_are_given_to_the_network_those_in_flash_as_well(regime, tmp_path):
    """The default head has no integer form; under one loss none of the heads is there."""
    settings = SETTINGS | {
        "regimes": (regime,),
        "train": "last:2",
        "frozen": "flash",
        "norm": "none",
        "batch_size": 4,
    }
    if regime == "niti-local":
        settings |= {"head": "gap"}
    drawn = prepare(config_of(settings))
    path = tmp_path / "given.pt"
    torch.save({name: 2 * value for name, value in drawn.chain().state_dict().items()}, path)
    prepared = prepare(config_of(settings | {"init": str(path), "seed": 4}))
    firmware, net = firmware_of(prepared, regime), prepared.build(regime)
    assert firmware.given is not None and set(firmware.given) == {t.name for t in firmware.resident}
    held = {**firmware.given, **firmware.in_flash}
    codes = [layer.weight.flatten().long() & 0xFF for body in net.bodies for layer in weighted(body)]
    names = [f"{layer.name}.weight" for layer in firmware.network.layers if layer.weights]
    assert all(torch.equal(held[name], code) for name, code in zip(names, codes, strict=True))
    assert set(firmware.in_flash) == set(names[:-3])
    assert firmware_of(drawn, regime).given is None


def test_rates_go_through_the_schedule_from_the_mu_that_was_asked_for(tmp_path):
    prepared = prepare(config_of(SETTINGS | {"mu": 7, "batch_size": 1}))
    firmware = firmware_of(prepared, "niti")
    sent = [e.sent for e in reference_of(prepared, firmware, tmp_path).exchanges(8) if e.step]
    assert [struct.unpack_from("<i", record, 8)[0] for record in sent] == [7, 7, 7, 7, 6, 6, 5, 5]


def test_augmented_images_are_those_of_the_training():
    prepared = prepare(config_of(SETTINGS))
    data = replace(prepared.dataset, policy=replace(prepared.dataset.policy, flip=True))
    augmented = replace(prepared, dataset=data)
    wanted = trained(augmented, EPOCH)
    plain = next(run_batches(prepared))[0]
    for (images, _), (x, _, _) in zip(run_batches(augmented), wanted, strict=False):
        assert torch.equal(images, x)
    assert not torch.equal(plain, wanted[0][0])


def test_a_board_whose_plans_may_put_32_bits_anywhere_is_refused_in_one_line():
    board = replace(load("stm32f746"), alignment_bytes=2)
    with pytest.raises(InputError, match="got alignment_bytes = 2, wanted 4 or more, since programs") as told:
        check_alignment(board)
    assert "\n" not in str(told.value)
    check_alignment(replace(board, alignment_bytes=4))
