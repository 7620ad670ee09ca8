"""Hand-made results, shaped like those of a real comparison but computed by no ledger."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from blockwise.experiment.result import (
    ArenaInfo,
    Baseline,
    DataInfo,
    DeviceInfo,
    ModelInfo,
    MomentRow,
    PagingInfo,
    PaperAccounting,
    RegimeResult,
    Result,
    TensorRow,
)
from blockwise.experiment.step_rows import PlacedTensor, RunInfo
from blockwise.training.outcome import Epoch, Host, Training
from devices.program.categories import (
    CATEGORIES,
    LATENT_WEIGHTS,
    NORM_AND_QUANTIZER,
    OPTIMIZER_STATE,
    PACKED_WEIGHTS,
    SAVED_ACTIVATIONS,
    SCRATCH,
    WEIGHT_GRADIENTS,
    WORKING_TENSORS,
)

KIB = 1024
RAM, RESERVE = 320 * KIB, 8 * KIB
USABLE = RAM - RESERVE
BLOCKS = {"stage1": 4_656, "stage2": 13_952, "stage3": 23_424}
SAVED = {"stage1": 96 * KIB, "stage2": 60 * KIB, "stage3": 26 * KIB}
LAYERS = ("conv1", "norm1", "conv2", "norm2")
ACCURACIES = {
    "bp": 0.9112, "bp-checkpoint": 0.9108, "bp-best": 0.9112,
    "local": 0.8874, "local-paged": 0.8874, "local-resident": 0.8791,
}  # fmt: skip
SAME_BITS = {"bp-best": "bp", "local-paged": "local"}
ONE_BLOCK = ("local-paged", "local-resident")
DEVICE = DeviceInfo(
    name="stm32f746-disco",
    title="STM32F746G-DISCO (STM32F746NG)",
    core="Cortex-M7",
    clock_mhz=216,
    ram_bytes=RAM,
    largest_contiguous_bytes=RAM,
    reserve_bytes=RESERVE,
    flash_bytes=1024 * KIB,
    sources={"ram": "RM0385"},
    runs=(RunInfo("DTCM", 0x2000_0000, RAM, RESERVE),),
)
FORMS = {
    "bp": (658_968, 41_000_000, "everything is kept"),
    "bp-fused": (560_120, 41_000_000, "parameters are updated in the backward pass"),
    "bp-checkpoint": (527_173, 54_700_000, "each block is recomputed"),
    "bp-best": (395_381, 52_250_000, "fused, and the best set of layers is recomputed"),
    "bp-micro": (
        424_008, 1_052_250_000,
        "as bp-best on micro-batches, gradients accumulated; batch norm sees 1 image at a time",
    ),
}  # fmt: skip
PAGING = PagingInfo(837_696, 837_696, 0.00097, 7.35, 10_000, 896 * KIB, 1024 * KIB, True)
MODEL = ModelInfo(
    name="cnn",
    width=16,
    parameters=sum(BLOCKS.values()),
    in_shape=(3, 32, 32),
    num_classes=10,
    blocks=BLOCKS,
    head="gap",
    head_parameters={"stage1": 170, "stage2": 330, "stage3": 650},
)


def _static(resident: list[str]) -> dict[str, int]:
    """Bytes that stay for a whole step: only ``resident`` blocks have latent weights and state."""
    latent = sum(4 * BLOCKS[block] for block in resident)
    packed = sum(BLOCKS.values()) // 2
    fixed = {PACKED_WEIGHTS: packed, NORM_AND_QUANTIZER: 2_688}
    return dict.fromkeys(CATEGORIES, 0) | fixed | {LATENT_WEIGHTS: latent, OPTIMIZER_STATE: latent}


def _moments(segments: list[list[str]], resident: bool) -> Iterator[MomentRow]:
    """A step: each segment goes forward, backward and is updated before the next one."""
    for segment in segments:
        live = _static(segment if resident else list(BLOCKS))
        for phase, blocks in (("forward", segment), ("backward", segment[::-1])):
            for block in blocks:
                yield from _layers(live, phase, block)
        for block in segment:
            live[WEIGHT_GRADIENTS] -= 4 * BLOCKS[block]
            yield _moment(live, f"{block}.conv1.weight update", "update", block)


def _layers(live: dict[str, int], phase: str, block: str) -> Iterator[MomentRow]:
    forward = phase == "forward"
    for layer in LAYERS if forward else LAYERS[::-1]:
        working = SAVED[block] // 2 if "conv" in layer else SAVED[block] // 4
        change = SAVED[block] // len(LAYERS)
        live[SAVED_ACTIVATIONS] += change if forward else 0
        live[WEIGHT_GRADIENTS] += 0 if forward else BLOCKS[block]
        extra = {WORKING_TENSORS: working, SCRATCH: 2_304 if "conv" in layer else 0}
        yield _moment(live | extra, f"{block}.{layer} {phase}", phase, block)
        live[SAVED_ACTIVATIONS] -= 0 if forward else change


def _moment(live: dict[str, int], operation: str, phase: str, block: str) -> MomentRow:
    return MomentRow(operation, phase, block, sum(live.values()), dict(live))


def _tensors(peak: MomentRow) -> tuple[TensorRow, ...]:
    """One tensor per category: the largest share of it, as if blocks were tensors."""
    rows = [
        TensorRow(
            f"{peak.operation.split()[0]}.{category.split()[0]}",
            peak.block if category != SCRATCH else f"{peak.block}.head",
            category,
            (count // 16, 4) if category in (LATENT_WEIGHTS, OPTIMIZER_STATE) else (1, 16, 32, 32),
            4 if category in (PACKED_WEIGHTS, SAVED_ACTIVATIONS) else 32,
            count // 2,
        )
        for category, count in peak.by_category.items()
        if count
    ]
    return tuple(sorted(rows, key=lambda row: -row.bytes))


def _placed(timeline: Sequence[MomentRow], resident: bool, scale: float) -> tuple[PlacedTensor, ...]:
    """The tensors behind :func:`_moments`: those that stay, and what each layer saves for its way back."""
    at = {row.operation: index for index, row in enumerate(timeline)}
    rows: list[PlacedTensor] = []

    def place(name: str, category: str, size: int, first: int, last: int) -> None:
        owner, offset = name.partition(".")[0], sum(row.bytes for row in rows)
        address = 0x2000_0000 + offset
        shape = (size // 4,)
        rows.append(
            PlacedTensor(
                name, owner, category, shape, 32, round(size * scale), "DTCM", offset, address, first, last
            )
        )

    for block, weights in BLOCKS.items():
        begin, end = at[f"{block}.conv1 forward"], at[f"{block}.conv1.weight update"]
        span = (begin, end) if resident else (0, len(timeline) - 1)
        place(f"{block}.weight", LATENT_WEIGHTS, 4 * weights, *span)
        place(f"{block}.weight.state1", OPTIMIZER_STATE, 4 * weights, *span)
        for layer in LAYERS:
            kept = at[f"{block}.{layer} forward"], at[f"{block}.{layer} backward"]
            place(f"{block}.{layer}.out", SAVED_ACTIVATIONS, SAVED[block] // len(LAYERS), *kept)
            place(f"{block}.{layer}.gradient", WEIGHT_GRADIENTS, weights, kept[1], end - 1)
    return tuple(rows)


def _training(regime: str) -> Training:
    accuracy = ACCURACIES[regime]
    history = (Epoch(1, "", 1.42, accuracy - 0.2, 31.0), Epoch(2, "", 0.61, accuracy, 30.5))
    blocks = {} if regime.startswith("bp") else {"stage1": 0.61, "stage2": 0.79, "stage3": accuracy}
    phases, steps = (len(BLOCKS) if regime == "local-resident" else 1), 20 * 45_000 // 8
    return Training(
        accuracy, accuracy + 0.0031, 18, 20, 0.05, history, blocks, 612.4, 1834.2, phases=phases, steps=steps
    )


def make_arena(peak: int) -> ArenaInfo:
    """An arena without a gap, on a board whose RAM is one run."""
    placed, missing = peak <= USABLE, max(0, peak - USABLE)
    return ArenaInfo(peak, peak, 0.0, "skyline", proven=True, placed=placed, missing_bytes=missing)


def make_regime(name: str, scale: float = 1.0, dry: bool = False) -> RegimeResult:
    """One regime, its memory scaled by ``scale``."""
    blocks = list(BLOCKS)
    segments = [blocks] if name.startswith("bp") else [[block] for block in blocks]
    timeline = []
    for row in _moments(segments, resident=name in ONE_BLOCK):
        scaled = {key: round(count * scale) for key, count in row.by_category.items()}
        timeline.append(_moment(scaled, row.operation, row.phase, row.block))
    peak = max(timeline, key=lambda row: row.live_bytes)
    activations = peak.by_category[SAVED_ACTIVATIONS] + peak.by_category[WORKING_TENSORS]
    fixed = peak.live_bytes - activations
    return RegimeResult(
        regime=name,
        peak_bytes=peak.live_bytes,
        fits=peak.live_bytes <= USABLE,
        by_category=peak.by_category,
        peak_operation=peak.operation,
        peak_phase=peak.phase,
        peak_block=peak.block,
        tensors_at_peak=_tensors(peak),
        peak_by_batch={batch: fixed + activations * batch // 8 for batch in (1, 8, 32, 128)},
        peak_by_block={block: peak.live_bytes for block in blocks},
        macs_per_step=41_000_000,
        update="fused" if name in ("bp-checkpoint", "bp-best") else "end",
        timeline=tuple(timeline),
        arena=make_arena(peak.live_bytes),
        paging=PAGING if name == "local-paged" else None,
        training=None if dry else _training(name),
        tensors=_placed(timeline, name in ONE_BLOCK, scale),
        host=None if dry else Host(9_437_184, 512_000_000),
    )


def make_baselines(scale: float = 1.0) -> tuple[Baseline, ...]:
    """Every form of backpropagation, its memory scaled by ``scale``."""
    peaks = {name: round(peak * scale) for name, (peak, _, _) in FORMS.items()}
    return tuple(
        Baseline(name, peaks[name], peaks[name] <= USABLE, macs, note)
        for name, (_, macs, note) in FORMS.items()
    )


def make_result(regimes: dict[str, float], dry: bool = False) -> Result:
    """A result of the named regimes, each with its memory scaled."""
    return Result(
        device=DEVICE,
        model=MODEL,
        data=DataInfo("cifar10", 45_000, 5_000, 10_000, "crop and flip"),
        regimes=tuple(make_regime(name, scale, dry) for name, scale in regimes.items()),
        baselines=make_baselines(regimes.get("bp", 1.0)),
        paper=PaperAccounting(32_768, 21_016, 786_432, 168_128, 168_128),
        config={
            "device": "stm32",
            "model": "cnn",
            "method": "lsq",
            "weight_bits": 4,
            "activation_bits": 4,
            "batch_size": 8,
        },
        assumptions=(
            "Tensors are rounded up to 8 bytes, the alignment of the board's allocator.",
            "Convolutions are direct, without im2col; their scratch is counted.",
        ),
        environment={"torch": "2.11.0", "commit": "0a1b2c3"},
        seed=0,
        seconds=2_449.0,
        created="2025-01-31T12:00:00+00:00",
    )


def default_result() -> Result:
    """The default regimes, trained: those that end with the bits of another one were not repeated."""
    base = make_result({"bp": 1.0, "bp-best": 0.6, "local": 0.9, "local-paged": 0.8, "local-resident": 0.86})
    rows = {regime.regime: regime for regime in base.regimes}
    for name, other in SAME_BITS.items():
        training = rows[other].training
        rows[name] = dataclasses.replace(rows[name], training=training, trained_as=other, host=None)
    return dataclasses.replace(base, regimes=tuple(rows.values()))


def obstructed_result() -> Result:
    """Each regime's bytes are within the RAM, and each has its own reason not to fit."""
    base = make_result({"bp": 0.49, "bp-best": 0.3, "local": 0.63, "local-paged": 0.8}, dry=True)
    reserve, gaps, lowest, flash = base.regimes
    paging = PagingInfo(3_258_432, 3_258_432, None, None, 0, 3200 * KIB, 2048 * KIB, False)
    regimes = (
        reserve,
        _gapped(gaps, proven=False),
        _gapped(lowest, proven=True),
        dataclasses.replace(flash, fits=False, paging=paging),
    )
    return dataclasses.replace(base, regimes=regimes)


def _gapped(regime: RegimeResult, proven: bool) -> RegimeResult:
    """``regime`` with an arena 10 KiB too high for the board."""
    height, missing = USABLE + 10 * KIB, 10 * KIB
    gap = height / regime.peak_bytes - 1
    arena = ArenaInfo(height, regime.peak_bytes, gap, "two-ended", proven, False, missing)
    return dataclasses.replace(regime, fits=False, arena=arena)


FOUR = {"bp": 1.0, "bp-checkpoint": 0.8, "local": 0.9, "local-resident": 0.86}
SCENARIOS: dict[str, Callable[[], Result]] = {
    "four": lambda: make_result(FOUR),
    "dry": lambda: make_result(FOUR, dry=True),
    "none_fits": lambda: make_result({name: 9 * scale for name, scale in FOUR.items()}),
    "all_fit": lambda: make_result({name: scale / 4 for name, scale in FOUR.items()}),
    "default": default_result,
    "obstructed": obstructed_result,
    "single": lambda: make_result({"local": 1.0}),
}
