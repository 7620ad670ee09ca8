"""What stands behind the names of a configuration and may change under them: files of one's own."""

import hashlib
from pathlib import Path

from blockwise.data.sources import SOURCES
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import images_of
from blockwise.models import files
from devices.boards import profile


def digests(config: Config) -> tuple[str, ...]:
    """Of a network and a board in files of one's own; nothing where both are built in.

    Raises InputError for a file that cannot be read.
    """
    found = []
    if files.is_file(config.network.model):
        found.append(files.parted(config.network.model)[0])
    if config.board.device not in profile.catalogue() and Path(config.board.device).is_file():
        found.append(Path(config.board.device))
    return tuple(hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest() for path in found)


def of_images(config: Config) -> tuple[str, ...]:
    """Of data of one's own; nothing for a set that is known by its name."""
    return () if config.images.data in SOURCES else (images_of(config).fingerprint,)
