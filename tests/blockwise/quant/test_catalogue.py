"""What the catalogue of methods says of each, and what it refuses."""

import re

import pytest
from quantizer_cases import every_quantizing

from blockwise import quant
from devices.errors import InputError


@pytest.mark.parametrize("name", ["lsq", "dorefa"])
@pytest.mark.parametrize("bits", [0, 9, -1, True, "3", 2.5, None])
def test_widths_outside_one_to_eight_are_refused(name, bits):
    with pytest.raises(
        InputError, match=f"weight bits: got {re.escape(str(bits))}, wanted 1 to 8 or 16 with {name}; choose"
    ):
        quant.make(name, bits, "weight")


@every_quantizing
def test_widths_that_a_method_does_not_have_are_refused(name, bits, role):
    others = set(range(1, 9)) - set(quant.method(name).bits(role))
    for other in others:
        with pytest.raises(InputError, match=f"{role} bits: got {other}, wanted .* with {name}"):
            quant.make(name, other, role)


@pytest.mark.parametrize("entry", quant.METHODS.values(), ids=quant.METHODS)
def test_what_a_method_lacks_is_taken_from_its_partner_and_refused_if_asked_for(entry):
    for role in ("weight", "activation"):
        if entry.quantizer(role) is None:
            with pytest.raises(InputError, match=f"--{role}-method: got {entry.name}, which quantizes"):
                quant.scheme("lsq", **{f"{role}_method": entry.name})
            with pytest.raises(InputError, match=f"--{role}-method: got {entry.name}"):
                quant.make(entry.name, 3, role)
            assert getattr(quant.scheme(entry.name), role).name == entry.partner
        else:
            assert getattr(quant.scheme(entry.name), role) is entry


@pytest.mark.parametrize("entry", quant.METHODS.values(), ids=quant.METHODS)
def test_every_entry_says_where_it_comes_from_and_what_it_has(entry):
    assert entry.description
    assert entry.source
    assert entry.edge_bits in (1, 8, 32)
    assert entry.stages[0] == 0
    assert list(entry.stages) == sorted(set(entry.stages))


@pytest.mark.parametrize("name", ["lsq", "dorefa"])
def test_thirty_two_bits_point_to_fp32(name):
    with pytest.raises(InputError, match="use --method fp32 for 32"):
        quant.make(name, 32, "activation")


@pytest.mark.parametrize("bits", [1, 8, True])
def test_fp32_has_no_other_width(bits):
    with pytest.raises(InputError, match=f"bits: got {bits}, wanted 32 with fp32"):
        quant.make("fp32", bits)


def test_an_unknown_method_names_its_nearest_match():
    with pytest.raises(InputError, match=r"method: got 'lqs'.*did you mean 'lsq'\?"):
        quant.make("lqs")


def test_an_unknown_role_names_its_nearest_match():
    with pytest.raises(InputError, match=r"role: got 'weights'.*did you mean 'weight'\?"):
        quant.make("lsq", 3, "weights")
