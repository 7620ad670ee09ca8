"""What tasks keep: in a folder, or wherever fsspec reaches; whole, and of one name alone."""

import os
from pathlib import Path

import pytest
from small_tasks import Heard, counting

from blockwise.executors.processes import Processes
from blockwise.executors.remote import Remote
from blockwise.executors.serial import Serial
from blockwise.executors.storage import Folder, Storage
from devices.errors import InputError


@pytest.fixture(params=["folder", "remote"])
def storage(request, tmp_path) -> Storage:
    """Either lies in the folder ``kept``."""
    (tmp_path / "kept").mkdir()
    return Folder(tmp_path / "kept") if request.param == "folder" else Remote(f"file://{tmp_path}/kept")


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in found}


@pytest.mark.parametrize("names", [["a"], ["run/config", "run/deep/state"]], ids=["file", "folder"])
def test_what_is_saved_is_there_when_it_is_opened_again(storage, names, tmp_path):
    (tmp_path / "kept" / "other").write_text("another task's", "utf-8")
    kept = names[0].split("/")[0]
    with storage.opened(kept) as place:
        for name in names:
            (place.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (place.folder / name).write_text(f"{name} 1", "utf-8")
        place.save()
        (place.folder / names[-1]).write_text("the second", "utf-8")
        place.save()
    wanted = {name: f"{name} 1" for name in names} | {names[-1]: "the second"}
    assert files(tmp_path / "kept") == wanted | {"other": "another task's"}
    with storage.opened(kept) as place:
        assert {name: (place.folder / name).read_text("utf-8") for name in names} == wanted


def test_a_folder_is_delivered_and_leaves_nothing(storage, tmp_path):
    with storage.opened("run") as place:
        (place.folder / "run").mkdir()
        (place.folder / "run" / "result").write_text("found", "utf-8")
        place.save()
    (tmp_path / "runs" / "run").mkdir(parents=True)
    (tmp_path / "runs" / "run" / "begun").touch()  # and never finished
    storage.deliver("run", tmp_path / "runs" / "run")
    assert files(tmp_path / "runs") == {"run/result": "found"}
    assert files(tmp_path / "kept") == {}


def test_what_is_not_needed_any_more_is_removed(storage, tmp_path):
    for name in ("a", "b"):
        with storage.opened(name) as place:
            (place.folder / name).write_text(name, "utf-8")
            place.save()
    storage.remove("a")
    storage.remove("never there")
    assert files(tmp_path / "kept") == {"b": "b"}


def test_a_token_shows_only_while_it_is_held_and_where_the_storage_is(storage, tmp_path):
    with storage.token() as token:
        assert storage.shows(token)
        (tmp_path / "elsewhere").mkdir()
        assert not Folder(tmp_path / "elsewhere").shows(token)
    assert not storage.shows(token)
    assert files(tmp_path / "kept") == {}


def test_tokens_of_killed_commands_are_removed(tmp_path):
    old, other = tmp_path / f".{'0' * 32}.token", tmp_path / ".mine.token.txt"
    for path in (old, other):
        path.touch()
        os.utime(path, (0, 0))
    with Folder(tmp_path).token() as token:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([token, other.name])


def test_only_what_has_changed_is_sent(tmp_path, monkeypatch):
    sent = []
    send = "blockwise.executors.remote._Copy._send"
    monkeypatch.setattr(send, lambda copy, path, name: sent.append(path.name))
    with Remote(f"file://{tmp_path}/kept").opened("run") as place:
        (place.folder / "run").mkdir()
        for name in ("a", "b"):
            (place.folder / "run" / name).write_text("1", "utf-8")
        place.save()
        (place.folder / "run" / "b").write_text("12", "utf-8")
        place.save()
    assert sent == ["a", "b", "b"]


def test_a_file_that_is_cut_off_on_its_way_leaves_the_one_before(tmp_path, monkeypatch):
    found = Remote(f"file://{tmp_path}/kept")
    with found.opened("a") as place:
        (place.folder / "a").write_text("1", "utf-8")
        place.save()
        system, _ = found._reached()
        monkeypatch.setattr(system, "mv", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        (place.folder / "a").write_text("12", "utf-8")
        with pytest.raises(KeyboardInterrupt):
            place.save()
    assert files(tmp_path / "kept") == {"a": "1"}


@pytest.mark.parametrize(
    ("url", "got"),
    [("nowhere://a", "Protocol not known: nowhere"), ("file:///proc/no/such", "No such file or directory")],
)
def test_a_url_that_cannot_be_written_to_is_refused(url, got):
    told = f"--storage {url}: got .*{got}.*, wanted a folder, or a URL"
    with pytest.raises(InputError, match=told), Remote(url).token():
        pass


def test_a_remote_storage_serves_in_one_process(tmp_path):
    heard = Heard()
    (found,) = Serial().run([counting("a")], Remote(f"file://{tmp_path}/kept"), heard)
    assert found.answer == (0, 3)
    assert files(tmp_path / "kept") == {"a.txt": "3"}


@pytest.mark.slow
def test_a_worker_that_dies_goes_on_from_remote_storage(tmp_path):
    task = counting("a", 6, dies_at=4, mark=str(tmp_path / "died"))
    (found,) = Processes(1, 1).run([task], Remote(f"file://{tmp_path}/kept"), Heard())
    assert found.answer == (3, 6)
