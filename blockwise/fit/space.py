"""The settings that are searched: one tuple of values per axis, and the candidates they make."""

import random
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from blockwise.fit.networks import BALANCING_HEAD, WHOLE, Atlas, Balance, NetworkKey
from blockwise.heads import CATALOGUE
from blockwise.layers.norms import NORMS
from blockwise.quant import FLOAT_BITS
from blockwise.system.sizes import MOST_IMAGES, check_size
from devices.errors import InputError, unknown_name
from devices.network import Network
from devices.program.regimes import REGIMES, UPDATES, update_of
from devices.program.state import OPTIMIZER_STATES
from devices.trainability import obstacle


@dataclass(frozen=True)
class Candidate:
    """One way to train. What makes no difference to its regime is None."""

    regime: str
    blocks: str | None
    head: str | None
    norm: str
    batch: int
    optimizer: str
    weight_bits: int
    activation_bits: int
    update: str
    micro_batch: int | None

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantized."""
        return self.weight_bits == self.activation_bits == FLOAT_BITS

    @property
    def balance(self) -> Balance:
        """The step for which its blocks are balanced where it is trained."""
        return Balance(self.batch, self.optimizer, self.weight_bits, self.activation_bits, self.update)

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of ``run.py`` that train this candidate, the model's and the board's apart."""
        pairs: list[tuple[str, object]] = [
            ("--regimes", self.regime), ("--blocks", self.blocks or "1"),
            ("--head", self.head or BALANCING_HEAD), ("--norm", self.norm), ("--batch-size", self.batch),
            ("--optimizer", self.optimizer), ("--update", self.update),
            ("--weight-bits", self.weight_bits), ("--activation-bits", self.activation_bits),
        ]  # fmt: skip
        if self.micro_batch is not None:
            pairs.append(("--micro-batch", self.micro_batch))
        return tuple(str(part) for pair in pairs for part in pair)

    @property
    def key(self) -> NetworkKey:
        """The network it trains, as an atlas lists it."""
        return NetworkKey(self.norm, self.head, self.blocks)


@dataclass(frozen=True)
class Space:
    """The values of each axis; ``bits`` are pairs of weight and activation bits.

    Zeroth-order regimes are searched where they are asked for: a step of theirs costs least and teaches
    least, so that beside them nothing else would be shown.
    """

    regimes: tuple[str, ...] = tuple(name for name, regime in REGIMES.items() if not regime.perturbs)
    blocks: tuple[str, ...] = ("stages", "residual", "2", "4", "auto")
    heads: tuple[str, ...] = ("gap", "lookahead:8", "lookahead:16", "lookahead:32", "lookahead:64")
    norms: tuple[str, ...] = ("batch", "batch-recompute", "group")
    batches: tuple[int, ...] = (1, 4, 16, 32)
    optimizers: tuple[str, ...] = ("sgd", "sgd-momentum", "adam")
    bits: tuple[tuple[int, int], ...] = ((2, 2), (3, 3), (4, 4), (8, 8), (32, 32))
    updates: tuple[str, ...] = UPDATES
    micro_batches: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        named = {
            "--regimes": self.regimes, "--blocks": self.blocks, "--head": self.heads, "--norm": self.norms,
            "--batch-size": self.batches, "--optimizer": self.optimizers, "--bits": self.bits,
            "--update": self.updates, "--micro-batch": self.micro_batches,
        }  # fmt: skip
        for flag, values in named.items():
            if not values or len(set(values)) < len(values):
                got = " ".join(map(str, values)) or "no value"
                raise InputError(flag, got=got, wanted="one or more different values", do="correct them")
        known: tuple[tuple[str, tuple[str, ...], Collection[str]], ...] = (
            ("regime", self.regimes, REGIMES),
            ("head", tuple(head.partition(":")[0] for head in self.heads), CATALOGUE),
            ("norm", self.norms, NORMS),
            ("optimizer", self.optimizers, OPTIMIZER_STATES),
            ("--update", self.updates, UPDATES),
        )
        for subject, asked, names in known:
            for name in asked:
                if name not in names:
                    raise unknown_name(subject, name, names)
        for head in self.heads:
            if head.endswith(":"):
                raise InputError(
                    "--head", got=repr(head), wanted="a width behind the colon", do="try lookahead:32"
                )
        for flag, counts in (("--batch-size", self.batches), ("--micro-batch", self.micro_batches)):
            for count in counts:
                check_size(flag, count, most=MOST_IMAGES)

    @property
    def reference(self) -> Balance:
        """The step for which blocks are balanced during the search: the first value of each axis."""
        update = "fused" if "fused" in self.updates else self.updates[0]
        return Balance(self.batches[0], self.optimizers[0], *self.bits[0], update)


def candidates(space: Space, atlas: Atlas) -> Iterator[Candidate]:
    """Every combination that makes a program of its own and can be trained."""
    for regime, norm in product(space.regimes, space.norms):
        for key in _keys(space, atlas, regime, norm):
            network = atlas.networks[key]
            micros = {batch: _micro_batches(space, regime, batch, network) for batch in space.batches}
            rest = product(space.batches, space.bits, _updates(space, regime, key))
            for batch, (weights, activations), update in rest:
                for micro, optimizer in product(micros[batch], _optimizers(space, regime)):
                    yield Candidate(
                        regime, key.blocks, key.head, norm, batch, optimizer, weights, activations, update,
                        micro,
                    )  # fmt: skip


def _optimizers(space: Space, regime: str) -> tuple[str, ...]:
    """One stands for all where the regime has its own."""
    return space.optimizers if REGIMES[regime].has_optimizer else space.optimizers[:1]


def _keys(space: Space, atlas: Atlas, regime: str, norm: str) -> Sequence[NetworkKey]:
    """Different networks only."""
    found = REGIMES[regime]
    if not found.cuts:
        return (NetworkKey(norm, *WHOLE),)
    heads = space.heads if found.heads else (None,)
    return tuple(
        dict.fromkeys(atlas.same[NetworkKey(norm, head, blocks)] for head in heads for blocks in space.blocks)
    )


def _updates(space: Space, regime: str, key: NetworkKey) -> tuple[str, ...]:
    """Without those under which the same step is listed as another regime's."""
    updates = dict.fromkeys(update_of(regime, update) for update in space.updates)
    same = (key.blocks is None and REGIMES[regime].in_one_block) or regime
    others = [o for o in set(space.regimes) - {regime} if same in (o, REGIMES[o].variant_of)]
    return tuple(u for u in updates if not any(update_of(other, u) == u for other in others))


def _micro_batches(space: Space, regime: str, batch: int, network: Network) -> tuple[int | None, ...]:
    """With which the regime can be trained; one that holds the whole batch is another regime."""
    sizes: tuple[int | None, ...] = (None,)
    whole = REGIMES[regime].in_one_pass
    if whole:
        fitting = dict.fromkeys(min(size, batch) for size in space.micro_batches)
        sizes = tuple(size for size in fitting if size < batch or whole not in space.regimes)
    return tuple(size for size in sizes if not obstacle(network, regime, batch, size or 1))


def sample(found: Sequence[Candidate], most: int, seed: int = 0) -> list[Candidate]:
    """About ``most`` of the candidates and no more, each as likely as any other, in their order.

    Candidates that differ in their optimizer alone are taken together: they share a schedule.
    """
    if len(found) <= most:
        return list(found)
    families: dict[Candidate, list[int]] = defaultdict(list)
    for number, candidate in enumerate(found):
        families[replace(candidate, optimizer="")].append(number)
    drawn = random.Random(seed).sample(list(families.values()), len(families))
    largest = max(map(len, drawn))
    numbers = [number for family in drawn[: max(1, most // largest)] for number in family]
    return [found[number] for number in sorted(numbers)[:most]]
