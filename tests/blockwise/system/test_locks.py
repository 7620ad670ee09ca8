"""One writer at a time: in this process, in another one, and behind one that was killed."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from blockwise.system.locks import only_writer
from devices.errors import InputError

HOLDS = """
import sys, time
from pathlib import Path
from blockwise.system.locks import only_writer
with only_writer(Path(sys.argv[1]), "--out", ""):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_writer_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with only_writer(path, "--out", "wait"):
        refused = pytest.raises(InputError, match="got another command that writes it, wanted one; wait")
        with refused, only_writer(path, "--out", "wait"):
            pass
        with only_writer(tmp_path / "others.jsonl", "--out", "wait"):
            pass
    with only_writer(path, "--out", "wait"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with subprocess.Popen([sys.executable, "-c", HOLDS, path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(InputError), only_writer(path, "--out", "wait"):
            pass
        other.send_signal(signal.SIGKILL)
    with only_writer(path, "--out", "wait"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_link_and_what_it_leads_to_are_one_file(tmp_path: Path) -> None:
    path, link = tmp_path / "runs.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(path)
    with only_writer(path, "--out", "wait"), pytest.raises(InputError), only_writer(link, "--out", "wait"):
        pass
    with only_writer(link, "--out", "wait"), pytest.raises(InputError), only_writer(path, "--out", "wait"):
        pass
