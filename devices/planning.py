"""From a model, a device and a regime to a memory plan."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from devices.boards.profile import Device, load
from devices.errors import InputError, unknown_name
from devices.memory.arena import Arena, Placement, buffers_of, pack, place_on
from devices.memory.paging import Paging, paging
from devices.network import Network, Residual
from devices.network.bits import FLOAT_BITS, ONE_STEP, Bits, QuantizerMemory
from devices.network.partial import ALL, Choice, choice
from devices.program.accountings import DEVICE, CostTable
from devices.program.distillation import Distillation
from devices.program.ledger import Ledger, Moment
from devices.program.regimes import REQUANTIZE, UPDATES, Describable, Step, find, schedule, update_of
from devices.program.regimes.builder import FLASH, PLACES, RAM
from devices.program.regimes.skipping import check_share
from devices.program.schedule import Schedule, Tensor
from devices.trainability import obstacle

DEFAULT_BLOCKS = "auto"
FUSED = "bp-fused"
"""By whose step a part is chosen that is to fit."""
DEFAULT_HEAD = "lookahead"


@dataclass(frozen=True)
class Plan:
    """What one training step would hold in a board's RAM, and when. All sizes in bytes."""

    device: Device
    regime: str
    batch_size: int
    update: str
    schedule: Schedule

    @cached_property
    def ledger(self) -> Ledger:
        """The bytes of the schedule on this device."""
        return Ledger(self.schedule, self.device.alignment_bytes)

    @property
    def peak_bytes(self) -> int:
        """Highest sum of live bytes."""
        return self.ledger.peak_bytes

    @property
    def by_category(self) -> dict[str, int]:
        """Live bytes at the peak by category; they add up to :attr:`peak_bytes`."""
        return dict(self.ledger.peak.by_category)

    @property
    def timeline(self) -> tuple[Moment, ...]:
        """Live bytes at every operation."""
        return self.ledger.timeline

    @cached_property
    def arena(self) -> Arena:
        """Offsets for all tensors in one stretch of memory, as low as a quick search gets."""
        alignment = self.device.alignment_bytes
        return pack(buffers_of(self.schedule, alignment), alignment)

    @cached_property
    def placement(self) -> Placement:
        """A place for every tensor in the board's RAM, its reserve left free."""
        return place_on(self.schedule, self.device, self.device.reserve_bytes)

    @cached_property
    def paging(self) -> Paging | None:
        """The traffic between RAM and flash; None if nothing is paged."""
        return paging(self.schedule, self.device)

    @property
    def may_fit(self) -> bool:
        """Whether nothing rules out that it fits: the sum of live bytes, and the size of the flash."""
        return self.peak_bytes <= self.device.usable_bytes and self.flash_fits

    @property
    def flash_fits(self) -> bool:
        """Whether the board's flash holds what is read in place and what is paged; an open size does."""
        return not self.flash_missing_bytes and self.flash_is_read

    @property
    def flash_is_read(self) -> bool:
        """Whether the core reads the board's flash in place, if weights are to be read so."""
        return not self.schedule.mapped_bytes or _maps_flash(self.device)

    @cached_property
    def fits(self) -> bool:
        """Whether every tensor has a place in the board's RAM, and what is paged one in its flash."""
        return self.may_fit and self.placement.fits

    @cached_property
    def missing_bytes(self) -> int:
        """By which the RAM is too short: for live bytes, or where these fit for a place for each tensor."""
        lacking = self.peak_bytes - self.device.usable_bytes
        return lacking if lacking > 0 else self.placement.missing_bytes

    @property
    def flash_missing_bytes(self) -> int:
        """By which the flash is too short for what is read in place and paged; 0 where its size is open.

        What is read in place lies where the core reads programs, too: of an external chip as much as is
        mapped, and of any behind the boot stage.
        """
        device, mapped = self.device, self.schedule.mapped_bytes
        room = device.flash.program_room if device.flash else 0
        ring = 0 if self.paging is None else self.paging.ring_bytes
        return max(0, _over(mapped, room), _over(mapped + ring, device.flash_bytes))

    def with_places(self, step: Step, made: Callable[[Step], Schedule]) -> "Plan":
        """This plan, or where its bytes fit and its tensors find no place, one of less RAM that has places.

        ``made`` gives the schedule of a step, which regimes that look at the RAM choose within its limit:
        that is lowered by what was missing, until all are placed. This plan, where it gets no lower before.
        """
        found, chooses = self, step.limit_bytes is not None and find(self.regime).chooses(step)
        while chooses and found.may_fit and not found.placement.fits:
            missing = max(self.device.alignment_bytes, found.placement.missing_bytes)
            lower = replace(found, schedule=made(replace(step, limit_bytes=found.peak_bytes - missing)))
            if lower.peak_bytes >= found.peak_bytes:
                return self
            found = lower
        return found

    @property
    def tensors_at_peak(self) -> tuple[Tensor, ...]:
        """Tensors alive at the peak, largest first."""
        return self.ledger.tensors_at(self.ledger.peak_index)

    @cached_property
    def peak_by_block(self) -> dict[str, int]:
        """Highest live bytes while an operation of each block, or of its head, runs."""
        peaks: dict[str, int] = {}
        for moment in self.timeline:
            block = moment.operation.block.removesuffix(".head")
            peaks[block] = max(peaks.get(block, 0), moment.live_bytes)
        return peaks


def plan(
    model: Describable | Network, device: Device | str | Path, *,
    regime: str = "bp", batch_size: int = 1, micro_batch: int = 1,
    optimizer: str = "sgd-momentum", update: str | None = None,
    weight_bits: int = 3, activation_bits: int = 3, edge_bits: int = 8,
    weights: QuantizerMemory = ONE_STEP, activations: QuantizerMemory = ONE_STEP,
    edge_weights: QuantizerMemory | None = None, residual: Residual = "codes",
    requantize: str = REQUANTIZE[0], perturbations: int = 1, backprop_blocks: int = 1,
    train: str = ALL, frozen: str = RAM, jump_every: int = 1,
    distillation: Distillation | None = None, skip_heads: float = 0.0,
    blocks: str | int = DEFAULT_BLOCKS, head: str = DEFAULT_HEAD, table: CostTable = DEVICE,
) -> Plan:  # fmt: skip
    """The memory plan of one training step.

    ``model`` is a network, or anything that describes itself as one (``blocks`` and ``head`` say
    how; a network is cut already). Bits are 1 to 8, 16, or 32 for float32; ``weights``,
    ``activations`` and ``edge_weights`` say what the quantizers hold beside codes, by default a step,
    ``residual`` whether skip paths hold codes or floats. ``update`` is "end" (all gradients wait for
    the end of the step), "fused" (each is applied and freed in the backward pass) or None for the regime's
    own; ``micro_batch`` is how many images bp-micro passes at a time.
    ``requantize`` says whether sums of integer regimes are "buffered", computed "twice", or ("auto") the
    latter where buffers would not fit the board.
    ``perturbations`` are the random directions of a zeroth-order step, ``backprop_blocks`` a hybrid's last.
    ``train`` is what of the network is trained (:mod:`devices.network.partial`), ``frozen`` where all else
    lies: "ram", packed, or "flash", read in place.
    ``jump_every`` is for how many batches the weights of ``niti4-jump`` and its kin wait before they jump.
    ``distillation`` is how the last block teaches the heads before it, ``skip_heads`` the share of steps in
    which a block before it does not learn, in regimes whose blocks learn together.
    Raises InputError for whatever is unknown or out of range, and for what cannot be trained.
    """
    _check(model, batch_size, micro_batch, update, requantize, jump_every, skip_heads)
    device, update = device if isinstance(device, Device) else load(device), update_of(regime, update)
    bits = Bits(weight_bits, activation_bits, edge_bits, weights, activations, edge_weights, residual)
    step = Step(
        batch_size, optimizer, bits, update == "fused", table, micro_batch, device.usable_bytes,
        device.alignment_bytes, requantize == "twice", requantize == "auto",
        perturbations, backprop_blocks, frozen, jump_every, distillation, skip_heads,
    )  # fmt: skip
    check_place(device, frozen)
    whole = model if isinstance(model, Network) else model.describe(blocks=str(blocks), head=head, step=step)
    network = part_of(whole, choice(train), step)
    check_shares(network, bits)
    _check_trainable(network, regime, step)
    made = partial(schedule, regime, network)
    return Plan(device, regime, batch_size, update, made(step)).with_places(step, made)


def _check_trainable(network: Network, regime: str, step: Step) -> None:
    """Raises InputError."""
    found = obstacle(
        network, regime, step.batch, step.micro_batch, step.backprop_blocks, step.jump_every,
        step.distillation, step.skip_heads,
    )  # fmt: skip
    if found:
        raise found.error


def part_of(network: Network, part: Choice, step: Step) -> Network:
    """The network of which ``part`` is trained; one that is chosen by what fits is so by ``bp-fused``."""

    def fits(candidate: Network) -> bool:
        peak = Ledger(schedule(FUSED, candidate, replace(step, fused=True)), step.alignment).peak_bytes
        return step.limit_bytes is None or peak <= step.limit_bytes

    return part.of(network, fits)


def check_shares(network: Network, bits: Bits) -> None:
    """Refuse shares of a layer whose codes follow from all of its weights. Raises InputError."""
    for layer in network.layers:
        if layer.is_shared and bits.weight_of(layer) < FLOAT_BITS and not bits.quantizer_of(layer).apart:
            raise InputError(
                f"--train: layer {layer.name}", got="a share of weights whose codes follow from all of them",
                wanted="a method that codes each weight by itself", do="use --method lsq or fp32",
            )  # fmt: skip

    for layer in network.all_layers:
        read = next((x for x in network.layers if layer.weights_of == x.name), None)
        if read is not None and read.is_shared:
            raise InputError(
                f"--train: layer {read.name}", got="a share of weights that the head before reads as a whole",
                wanted="all of them, or none", do="use --head lookahead",
            )  # fmt: skip


def _over(count: int, room: int) -> int:
    """Bytes that are too many for a room; 0 where its size is open."""
    return count - room if room else 0


def _maps_flash(device: Device) -> bool:
    """Whether the core is known to read the board's flash in place."""
    return device.flash is not None and device.flash.start is not None


def check_place(device: Device, frozen: str) -> None:
    """Refuse to lay frozen weights where the board has no place for them. Raises InputError."""
    if frozen not in PLACES:
        raise unknown_name("frozen", frozen, PLACES)
    if frozen == FLASH and not _maps_flash(device):
        raise InputError(
            "--frozen", got=f"flash on {device.name}, whose profile has no address of it",
            wanted="flash that the core reads in place", do="use --frozen ram, or add [flash] start",
        )  # fmt: skip


def _check(
    model: Describable | Network, batch_size: int, micro_batch: int, update: str | None, requantize: str,
    jump_every: int, skip_heads: float,
) -> None:  # fmt: skip
    """Raise InputError for the first that is unknown or out of range."""
    if type(batch_size) is not int or batch_size < 1:
        raise InputError("batch size", got=batch_size, wanted="at least 1", do="choose a larger one")
    if type(micro_batch) is not int or micro_batch < 1:
        raise InputError("micro-batch", got=micro_batch, wanted="at least 1", do="choose a larger one")
    if type(jump_every) is not int or jump_every < 1:
        raise InputError("jump every", got=jump_every, wanted="at least 1", do="choose a larger one")
    check_share("skip heads", skip_heads)
    if update is not None and update not in UPDATES:
        raise InputError("update", got=repr(update), wanted="end or fused", do="choose one of them")
    if requantize not in REQUANTIZE:
        raise unknown_name("requantize", requantize, REQUANTIZE)
    if not isinstance(model, Network | Describable):
        raise InputError(
            "model", got=f"a {type(model).__name__}", wanted="a network that describes its layers",
            do="make one of a torch.nn module: blockwise.from_module(module, in_shape=(C, H, W))",
        )  # fmt: skip
