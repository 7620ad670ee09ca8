"""The conditions of a campaign in words and numbers, as its result has them."""

from typing import Any

from blockwise.adapt.campaign import Campaign
from blockwise.adapt.split import GAP
from blockwise.experiment import board

SPLIT_WORDS = {
    "recording": "whole recordings: of each class the first half, by their number, is adapted to, the rest "
    "is tested",
    "time": f"the first half of every recording is adapted to, {GAP} samples are left out, the rest is "
    "tested",
}


def conditions_of(campaign: Campaign, margin: float) -> dict[str, Any]:
    """What all trials have in common."""
    way = campaign.ways[0]
    config = campaign.config(way, campaign.people[0])
    parts = {person: campaign.parts(person) for person in campaign.people}
    counts = {person: [len(p.person.train), len(p.person.test), len(p.unseen)] for person, p in parts.items()}
    device, training = board.load(config.board.device), config.training
    return {
        "data": campaign.data,
        "split_by": campaign.split,
        "split": f"{SPLIT_WORDS[campaign.split]}; {_range(counts, 0)} samples to adapt to and "
        f"{_range(counts, 1)} to test on",
        "samples": counts,
        "board": f"{device.title}, {device.usable_bytes // 1024} KiB of RAM for tensors",
        "precision": f"{config.scheme.name} at {config.weight_bits} bits, norms folded in",
        "adapting": f"{training.epochs} epochs, the last one counts, batch {training.batch_size}, "
        f"{training.optimizer} at {training.lr:g}, integers at mu {training.mu}; before that on the "
        f"others for {campaign.base['epochs']} epochs in float32 (integers in their own arithmetic)",
        "margin": margin,
        "settings": {
            "network": dict(campaign.network), "integer_network": dict(campaign.integer_network),
            "base": dict(campaign.base), "adapting": dict(campaign.adapting), "seed": campaign.seed,
        },
    }  # fmt: skip


def _range(counts: dict[str, list[int]], index: int) -> str:
    found = sorted({values[index] for values in counts.values()})
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"
