"""Why a program's peak is another figure than the study's: the differences, in bytes and words.

Every tensor alive at the peak either holds values that the study counts too (a claim, see
:mod:`blockwise.studies.terms`), perhaps at another width, or is left out by it. Last comes what
the study counts and the peak does not hold. Widths are compared in bits and rounding is a
difference of its own, so that study + differences = program holds to the byte.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from blockwise.studies.memory_result import Difference
from blockwise.studies.peak_tensors import ACTIVATIONS, IMAGES, LABELS, MADE_BACKWARD, Held, held_at_peak
from blockwise.studies.terms import (
    ACTIVATION,
    BIASES,
    STATE,
    WEIGHTS,
    Claim,
    TermKey,
    inference_claims,
    training_claims,
)
from devices.network import Layer, Network
from devices.network.ops import Op
from devices.program import categories as cat
from devices.program.ledger import Ledger

LEFT_OUT = {
    "mask": "the ReLUs keep masks of what they clipped",
    "argmax": "max pools keep the position of the maximum",
    "statistics": "batch norm keeps 1/std of each channel",
    "running": "running statistics of batch norm",
    "step": "step sizes of the quantizers",
    f"step {STATE}1": "momentum of the quantizers' step sizes",
    "filter": "scratch: one filter's codes, unpacked to bytes",
    LABELS: "labels",
    MADE_BACKWARD: "error gradients on their way back, at 32 bits",
}
"""What the study never counts, by what the tensor holds."""
GRADIENTS = "weight gradients that wait for their update"
ACCUMULATORS = "sums of a layer before its norm and ReLU, at 32 bits"
FURTHER = "further activations alive at the same time"
GONE = {ACTIVATION: "activations that are freed before the peak, or made after it"}
GONE_OTHERWISE = "parameters and state that are not in RAM at the peak"


def training_differences(
    network: Network, ledger: Ledger, *, bits: int, batch: int
) -> tuple[Difference, ...]:
    """From the study's training total to the peak of ``ledger``, largest first, rounding last."""
    alive = held_at_peak(network, ledger)
    return _differences(network, alive, training_claims(network, bits, batch), ledger.alignment)


def inference_differences(network: Network, ledger: Ledger, *, bits: int) -> tuple[Difference, ...]:
    """From the study's inference total to the peak of ``ledger``, largest first, rounding last.

    The study counts the largest activation alone: it stands for one as large among those alive.
    """
    alive = held_at_peak(network, ledger)
    claims, largest = inference_claims(network, bits)
    as_large = [h for h in alive if h.is_codes and h.tensor.elements == largest.elements]
    closest = min(as_large, key=lambda h: abs(h.tensor.bits - largest.width), default=None)
    key = closest.key if closest else TermKey("", ACTIVATION)
    return _differences(network, alive, {**claims, key: largest}, ledger.alignment)


def _differences(
    network: Network, alive: tuple[Held, ...], claims: dict[TermKey, Claim], alignment: int
) -> tuple[Difference, ...]:
    bits: Counter[str] = Counter()
    for words, more in _entries(network, alive, claims):
        bits[words] += more
    padding = sum(8 * h.tensor.aligned_bytes(alignment) - h.bits for h in alive) - _study_padding(claims)
    padding += sum(more % 8 for more in bits.values())  # each line is cut to whole bytes
    lines = [Difference(words, more // 8) for words, more in bits.items()]
    lines.sort(key=lambda line: -abs(line.bytes))
    rounding = f"rounding to whole bytes, and each tensor to a multiple of {alignment}"
    return tuple(line for line in (*lines, Difference(rounding, padding // 8)) if line.bytes)


def _study_padding(claims: dict[TermKey, Claim]) -> int:
    """Bits by which the study's sums (activations, parameters, optimizer) fill up to bytes."""
    sums: Counter[str] = Counter()
    for key, claim in claims.items():
        sums[STATE if STATE in key.what else ACTIVATION if key.what == ACTIVATION else "parameters"] += (
            claim.bits
        )
    return sum(-total % 8 for total in sums.values())


def _entries(
    network: Network, alive: Iterable[Held], claims: dict[TermKey, Claim]
) -> Iterator[tuple[str, int]]:
    """Words and bits: each living tensor once, and each claim once."""
    layers = {layer.name: layer for layer in network.all_layers}
    open_claims = dict(claims)
    for held in alive:
        claim = open_claims.get(held.key)
        if claim is None or claim.elements != held.tensor.elements:
            yield _left_out(held), held.bits
        else:
            yield _other_width(held, claim, layers.get(held.key.layer)), held.bits - claim.bits
            del open_claims[held.key]
    for key, claim in open_claims.items():
        yield GONE.get(key.what, GONE_OTHERWISE), -claim.bits


def _other_width(held: Held, claim: Claim, layer: Layer | None) -> str:
    at = f"at {held.tensor.bits} bits instead of {claim.width}"
    if held.key.what == ACTIVATION:
        return f"{'images' if held.made_by == IMAGES else 'activations'} {at}"
    if held.key.what == WEIGHTS and layer is not None and layer.precision == "edge":
        return f"weights of the first and last layer {at}"
    if held.key.what == BIASES and held.normalised:
        return f"scales and shifts of norms {at}"
    return f"{held.key.what} {at}"


def _left_out(held: Held) -> str:
    category, what = held.tensor.category, held.key.what
    if category == cat.WEIGHT_GRADIENTS:
        return GRADIENTS
    if what in LEFT_OUT:
        return LEFT_OUT[what]
    if held.is_codes:
        return FURTHER
    if category == cat.SAVED_ACTIVATIONS and held.normalised:
        return f"{held.maker} keeps its normalised input, at {held.tensor.bits} bits"
    if category in ACTIVATIONS and (held.normalised or _sums(held)):
        return ACCUMULATORS
    return f"{category}: {what} of {held.maker}"


def _sums(held: Held) -> bool:
    """Whether it holds sums of products."""
    return isinstance(held.made_by, Op) and held.made_by.accumulates
