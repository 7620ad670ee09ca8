"""The first difference, by hand: packed elements, steps, and bits behind the last element."""

from blockwise.firmware.check.compare import START, Difference, compared
from blockwise.firmware.check.reference import Exchange, class_of
from devices.program.categories import PACKED_WEIGHTS
from devices.program.schedule import Tensor

TENSORS = (
    Tensor("w", (3,), 4, PACKED_WEIGHTS, "x", resident=True),
    Tensor("r", (1,), 32, PACKED_WEIGHTS, "x", resident=True),
)
FIRST = (b"\x21\x03", b"\x00\x00\x00\x00")
SECOND = (b"\x21\x03", b"\x01\x00\x00\x00")
EXCHANGES = (
    Exchange(b"", FIRST, step=False),
    Exchange(b"", None),
    Exchange(b"", FIRST),
    Exchange(b"", SECOND),
)


def answer(*states):
    return b"".join(part for state in states for part in state)


def test_answers_that_are_right_are_counted_by_steps():
    found = compared(TENSORS, EXCHANGES, answer(FIRST, FIRST, SECOND))
    assert (found.steps, found.difference, found.missing) == (2, None, False)


def test_a_packed_element_is_named_with_its_code():
    found = compared(TENSORS, EXCHANGES, answer(FIRST, FIRST, (b"\xf1\x03", SECOND[1])))
    assert found.difference == Difference(1, "w", 1, 0xF, 2, 1)
    assert str(found.difference) == "w[1] is 0xf instead of 0x2 after step 1 (1 element(s) of it differ)"


def test_a_wrong_start_is_told_as_such():
    found = compared(TENSORS, EXCHANGES, answer((FIRST[0], b"\x00\x01\x00\x00")))
    assert found.difference == Difference(START, "r", 0, 256, 0, 1)
    assert "before the first step" in str(found.difference)


def test_bits_behind_the_last_element_have_to_be_the_same_too():
    found = compared(TENSORS, EXCHANGES, answer((b"\x21\x13", FIRST[1])))
    assert found.difference == Difference(START, "w", 3, 0, 0, 0)


def test_an_output_that_ends_early_is_missing_the_rest():
    found = compared(TENSORS, EXCHANGES, answer(FIRST, FIRST) + b"\x21")
    assert (found.steps, found.difference, found.missing) == (1, None, True)


def test_classes_of_test_images_are_compared_behind_the_last_step():
    predicted = [Exchange(b"", (bytes([n, 0, 0, 0]),), step=False, tensors=class_of(n)) for n in (0, 1)]
    exchanges = [*EXCHANGES, *predicted]
    right = answer(FIRST, FIRST, SECOND) + bytes([0, 0, 0, 0, 1, 0, 0, 0])
    found = compared(TENSORS, exchanges, right)
    assert (found.difference, found.missing, found.predictions) == (None, False, 2)
    wrong = compared(TENSORS, exchanges, right[:-4] + bytes([7, 0, 0, 0]))
    assert wrong.predictions == 0 and "class of test image 1[0] is 0x7 instead of 0x1" in str(
        wrong.difference
    )
    assert compared(TENSORS, exchanges, right[:-1]).missing
