"""Power cuts: trainings on emulated boards whose power goes at random instructions, and how each ends.

    python benchmarks/power_cuts.py [--record] [--cuts N]

Of each board and regime the smallest network is trained on the digits, its state saved in flash at every
second step. Half of the cuts are anywhere, the others in a save, while flash is erased and while it is
programmed; every fifth training is cut a second time. RAM then holds noise. Each training has to end with the
bits of the one that is not disturbed, which itself is held against its reference after every step.
"""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import output
from saving import saving

from blockwise.firmware.check.power_cuts import PowerCuts, Trial, draw

STEPS, EVERY = 9, 2
SEED = 1
TRAININGS: dict[tuple[str, str], dict[str, Any]] = {
    ("stm32f103", "niti-local"): {"model": "plain4", "width": 2},
    ("rp2040", "niti4-jump"): {"model": "plain4", "width": 2},
    ("stm32l4r5", "niti4-jump-local"): {"model": "plain4", "width": 2},
    ("stm32h743", "niti"): {"model": "plain4", "width": 2},
    ("nrf52840", "local-resident"): {
        "model": "plain4", "width": 1, "method": "lsq", "optimizer": "sgd-momentum",
    },
}  # fmt: skip
"""Boards with sectors of 1 to 128 KiB and units of 2 to 256 bytes: the regime, and the network's settings."""


def row(board: str, regime: str, settings: dict[str, Any], count: int) -> dict[str, Any]:
    """So many trainings with cuts, counted and printed."""
    with tempfile.TemporaryDirectory() as folder:
        subject, reference, elf = saving(Path(folder), regime, EVERY, device=board, **settings)
        cuts = PowerCuts(subject, reference, STEPS, EVERY, elf)
        trials = [cuts.trial(when, number) for number, when in enumerate(draw(cuts.undisturbed, count, SEED))]
    within = Counter(cut.within or "start" for trial in trials for cut in trial.cuts)
    equal = sum(not trial.wrong for trial in trials)
    print(f"{board:12}{regime:20}{equal} of {len(trials)} end equal; cuts: {dict(within)}", flush=True)
    assert subject.device.flash is not None  # or nothing was saved
    return {
        "board": board, "regime": regime, **settings, "state_bytes": cuts.undisturbed.states.shape[1],
        "erase_bytes": subject.device.flash.erase_bytes, "program_bytes": subject.device.flash.program_bytes,
        "instructions": cuts.undisturbed.instructions, "trainings": len(trials), "equal": equal,
        "within": dict(sorted(within.items())), "wrong": _wrong(trials),
    }  # fmt: skip


def _wrong(trials: list[Trial]) -> list[str]:
    return [f"{[cut.instruction for cut in t.cuts]}: {'; '.join(t.wrong)}" for t in trials if t.wrong]


def main() -> None:
    """Cut, print and write."""
    parser = output.parser(__doc__)
    parser.add_argument("--cuts", type=int, default=1000, help="trainings, in all (default: %(default)s)")
    arguments = parser.parse_args()
    share = arguments.cuts // len(TRAININGS)
    rows = [row(*which, settings, share) for which, settings in TRAININGS.items()]
    conditions = {"steps": STEPS, "save_every": EVERY, "seed": SEED}
    output.keep("power_cuts", {"conditions": conditions, "rows": rows}, record=arguments.record)


if __name__ == "__main__":
    main()
