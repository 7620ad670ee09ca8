"""Where a training was done: what its bits hang on beside its configuration, from which epoch on."""

from dataclasses import dataclass

from blockwise.system.processor import processor

NAMES = {
    "torch": "PyTorch", "processor": "the processor", "instructions": "a processor with",
    "accelerator": "accelerator", "compiled": "steps",
}  # fmt: skip
UNKNOWN = {"processor": "", "compiled": None}
"""What earlier versions did not keep."""


@dataclass(frozen=True)
class Circumstances:
    """Of one process."""

    threads: int
    torch: str
    instructions: str  # the widest vector instructions in use, as AVX2
    accelerator: str  # its model, empty where the processor trains
    processor: str = ""  # its model
    compiled: bool | None = None  # whether steps are

    @classmethod
    def now(cls, accelerator: str = "cpu", compiled: bool | None = None) -> "Circumstances":
        """Of this one, whose trainings are on the torch device ``accelerator``, their steps ``compiled``."""
        import torch  # who only reads a result does not wait for it

        model = "" if accelerator == "cpu" else torch.cuda.get_device_name(accelerator)
        version, instructions = str(torch.__version__), torch.backends.cpu.get_cpu_capability()
        return cls(torch.get_num_threads(), version, instructions, model, processor(), compiled)

    def differs_in(self, other: "Circumstances") -> tuple[str, ...]:
        """What is known of both, threads aside, and not the same."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in NAMES}
        known = {n: pair for n, pair in pairs.items() if n not in UNKNOWN or UNKNOWN[n] not in pair}
        return tuple(name for name, (own, others) in known.items() if own != others)

    def said(self, name: str) -> str:
        """One of them in words."""
        if name == "compiled":
            return "compiled steps" if self.compiled else "eager steps"
        return f"{NAMES[name]} {getattr(self, name) or 'none'}"

    def like(self, other: "Circumstances") -> bool:
        """Whether the same weights come of the same training there, as far as that is known."""
        return self.threads == other.threads and not self.differs_in(other)

    @property
    def trains(self) -> str:
        """What trains, in words."""
        model = self.processor or self.said("instructions")
        return self.accelerator or f"{count(self.threads)} of {model}"


@dataclass(frozen=True)
class Place:
    """Where a training was done from an epoch on."""

    block: str  # in training ("" when all of them are)
    epoch: int  # of its training, from 1: the first one there
    circumstances: Circumstances


def count(threads: int) -> str:
    """In words."""
    return f"{threads} thread{'s' if threads > 1 else ''}"


def moves(places: tuple[Place, ...]) -> str:
    """Where a training was begun and where it went on, in words; empty where it stayed."""
    if len(places) < 2:
        return ""
    told = [f"from epoch {p.epoch}{f' of {p.block}' if p.block else ''} on {_words(p)}" for p in places[1:]]
    return ", ".join((f"begun on {_words(places[0])}", *told))


def _words(place: Place) -> str:
    found = place.circumstances
    return f"{found.trains} (torch {found.torch}{', compiled' if found.compiled else ''})"
