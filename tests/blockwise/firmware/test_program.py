"""Firmware of a configuration: what it holds are the tensors of its plan, whatever heads the network has."""

from dataclasses import replace

import pytest

from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.firmware.integer_facts import state_of
from blockwise.firmware.program import of_plan
from devices.errors import InputError
from devices.program.integer import integer_network


def config(regime: str, head: str, device: str = "stm32", batch: int = 1) -> Config:
    found = Config()
    return replace(
        found,
        network=replace(found.network, model="plain4", norm="none", head=head, width=4),
        images=replace(found.images, in_shape=(1, 8, 8), classes=3),
        training=replace(found.training, regimes=(regime,), batch_size=batch),
        board=replace(found.board, device=device),
        output=replace(found.output, dry_run=True),
    )


@pytest.mark.parametrize(
    ("regime", "head"), [("niti", "lookahead:8"), ("niti4-jump", "gap"), ("nitro-local", "gap")]
)
def test_the_state_of_a_network_is_all_that_the_plan_keeps(regime, head):
    prepared = prepare(config(regime, head))
    net, network = prepared.build(regime), integer_network(prepared.network)
    firmware = of_plan(prepared.plan(regime), network, net, 1)
    state = state_of(net, network, firmware.schedule)
    assert {tensor.name: tensor.elements for tensor in firmware.resident} == {
        name: state[name].numel() for name in state if name in firmware.schedule.tensors
    }
    for tensor in firmware.schedule.tensors.values():
        spot, place = firmware.spots[tensor.name], prepared.plan(regime).placement.places[tensor.name]
        assert firmware.stretches[spot.stretch].start + spot.offset == place.address


def test_a_plan_that_does_not_fit_is_refused_in_one_line():
    prepared = prepare(config("niti", "gap", "stm32f103", batch=130))
    net, network = prepared.build("niti"), integer_network(prepared.network)
    with pytest.raises(InputError, match="firmware for stm32f103: got a plan that needs"):
        of_plan(prepared.plan("niti"), network, net, 1)
