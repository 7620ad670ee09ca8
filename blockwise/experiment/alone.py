"""The configuration of one regime of several, without what only the others take notice of."""

from dataclasses import replace

from blockwise.experiment.config import Config
from blockwise.experiment.settings import LocalSettings
from devices.program.regimes import find


def alone(config: Config, regime: str) -> Config:
    """As ``config``, of this regime only: so that what others do is not refused as useless here."""
    found = find(regime)
    jump_every = config.training.jump_every if found.jumps else 1
    training = replace(config.training, regimes=(regime,), jump_every=jump_every)
    local = config.local if found.learns_together else LocalSettings()
    return replace(config, training=training, local=local)
