"""The files of a set in folders: PATH/train/<class>/* and perhaps PATH/test/<class>/*."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from blockwise.system.files import reason
from blockwise.system.notes import note
from devices.errors import InputError


@dataclass(frozen=True)
class Kind:
    """What the files of a set are: how one is called, where they lie, and which are read."""

    name: str
    suffixes: Callable[[], frozenset[str]]  # in lower case
    readable: str  # in words

    @property
    def layout(self) -> str:
        """Files may also lie in folders within that of their class."""
        file = self.name.upper()
        return f"PATH/train/CLASS/{file} and PATH/test/CLASS/{file}"


class File(NamedTuple):
    """One file and what tells whether it has changed."""

    path: str
    label: int
    state: tuple[int, ...]
    """Size, times of change and inode: see :func:`_state`."""


@dataclass(frozen=True)
class Listing:
    """The files of a folder, by class and then by name, with the classes sorted by name."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[File, ...]
    test: tuple[File, ...]  # empty where the folder has none

    def fingerprint(self) -> str:
        """A digest of every file's relative name and state."""
        lines = (f"{self._relative(file)}\0{file.state}\n" for file in self.train + self.test)
        return hashlib.blake2b(os.fsencode("".join(lines)), digest_size=16).hexdigest()

    def groups(self, name_of: Callable[[str], str] | None = None) -> list[str]:
        """Of every file, training files first, the group: the folder of its class's folder that it lies in.

        Folders of the same name are one group, whatever their class. A file that lies in none has the group
        ``name_of`` its name, and is its own where that is empty. Empty where no file has a group, or a file
        has none and there is no ``name_of``, and unless every class has two in training: notes if some have.
        """
        starts = {
            part: [len(str(self.root / part / name)) + 1 for name in self.classes]
            for part in ("train", "test")
        }
        found: list[str] = []
        for part, files in (("train", self.train), ("test", self.test)):
            for file in files:
                folder, _, rest = file.path[starts[part][file.label] :].partition(os.sep)
                found.append(folder if rest else name_of(folder) if name_of else "")
        if not any(found) or (name_of is None and not all(found)):
            return []
        files = self.train + self.test
        found = [group or self._relative(file) for file, group in zip(files, found, strict=True)]
        of_class: defaultdict[int, set[str]] = defaultdict(set)
        for file, group in zip(self.train, found, strict=False):
            of_class[file.label].add(group)
        alone = [label for label, groups in of_class.items() if len(groups) == 1]
        if alone:
            label = alone[0]
            note(
                f"data {self.root}: groups are left aside, for class {self.classes[label]} has one alone, "
                f"{min(of_class[label])}"
            )
        return [] if alone else found

    def _relative(self, file: File) -> str:
        """Its path in the set, however the root is spelt, "." for one."""
        return file.path[len(str(self.root / "train")) - len("train") :]


def list_folder(path: Path, kind: Kind) -> Listing:
    """Find the classes and files of a folder, or raise InputError."""
    try:
        return _list_folder(path, kind)
    except OSError as error:
        subject = f"{kind.name} folder {os.fsdecode(error.filename) if error.filename else path}"
        raise InputError(
            subject, got=reason(error), wanted="a folder that can be read", do="see to its permissions"
        ) from error


def _list_folder(path: Path, kind: Kind) -> Listing:
    has_test = os.path.lexists(path / "test")
    for needed in (path, path / "train", *([path / "test"] if has_test else [])):
        if not os.path.isdir(needed):
            got = "something that is no folder" if os.path.exists(needed) else "no such folder"
            arrays = ", or a file of arrays, NAME.npz" if os.path.isfile(path) else ""
            raise InputError(
                f"{kind.name} folder {needed}", got=got, wanted=f"{kind.layout}{arrays}",
                do="check the path and its layout",
            )  # fmt: skip
    classes = _class_names(path / "train")
    _check_classes(path, classes, _class_names(path / "test") if has_test else (), kind)
    train, test = (_files(path / split, classes, kind) for split in ("train", "test"))
    for name in set(classes) - {classes[file.label] for file in train}:
        raise _no_files(path / "train" / name, kind)
    if has_test and not test:
        raise _no_files(path / "test", kind)
    return Listing(path, classes, train, test)


def _class_names(folder: Path) -> tuple[str, ...]:
    with os.scandir(folder) as entries:
        return tuple(sorted(e.name for e in entries if e.is_dir() and not e.name.startswith(".")))


def _check_classes(path: Path, train: Sequence[str], test: Sequence[str], kind: Kind) -> None:
    if len(train) < 2:
        raise InputError(
            f"{kind.name} folder {path / 'train'}",
            got=f"{len(train)} class folders" if not train else f"one class, {train[0]!r}",
            wanted=f"at least two class folders with {kind.name}s",
            do=f"put the {kind.name}s of each class in a folder of its own",
        )
    unknown = sorted(set(test) - set(train))
    if unknown:
        raise InputError(
            f"{kind.name} folder {path / 'test'}",
            got=f"class {unknown[0]!r}, which train lacks",
            wanted=f"only classes of train ({', '.join(train)})",
            do=f"add {path / 'train' / unknown[0]} or remove the class from test",
        )


def _files(folder: Path, classes: Sequence[str], kind: Kind) -> tuple[File, ...]:
    suffixes = kind.suffixes()
    found: list[File] = []
    for label, name in enumerate(classes):
        if (folder / name).is_dir():
            found += sorted(_within(str(folder / name), label, suffixes, ()))
    return tuple(found)


def _within(folder: str, label: int, suffixes: frozenset[str], above: tuple[str, ...]) -> Iterator[File]:
    """The files in ``folder`` and the folders in it, in any order; a link back up is not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if os.path.splitext(entry.name)[1].lower() in suffixes and entry.is_file():
                yield File(entry.path, label, _state(entry.stat()))
            elif entry.is_dir():
                within = (*above, os.path.realpath(folder))
                if os.path.realpath(entry.path) not in within:
                    yield from _within(entry.path, label, suffixes, within)


def _state(status: os.stat_result) -> tuple[int, ...]:
    """What differs once a file's content does.

    Size and time of modification alone can be put back, as ``cp -p`` and ``rsync -t`` do; the time of
    the inode's change cannot, and another file that takes the name has another inode.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _no_files(folder: Path, kind: Kind) -> InputError:
    return InputError(
        f"{kind.name} folder {folder}", got=f"no {kind.name}s",
        wanted=f"at least one file that {kind.readable}", do=f"add {kind.name}s or remove the folder",
    )  # fmt: skip
