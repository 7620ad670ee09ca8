"""What of a Ray is refused: in one line, and in seconds."""

import os
import re
import socket
import time
from pathlib import Path

import pytest
from ray_head import WITH_RAY, free_port

from blockwise.cli import main as cli
from blockwise.executors import ray_cluster
from devices.errors import InputError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("blockwise.cli.executing.check_installed", lambda: None)
    return tmp_path


def connect(address: str) -> None:
    with ray_cluster.connected(address, 1):
        pass


def test_an_address_that_nobody_answers_is_refused_in_seconds(capsys, here):
    address, began = f"127.0.0.1:{free_port()}", time.monotonic()
    study = ["study", "qat", "--data", "digits", "--model", "mlp", "--methods", "fp32", "--out", "s.jsonl"]
    assert cli.main([*study, "--ray-address", address]) == 2
    out, err = capsys.readouterr()
    assert f"--ray-address {address}: got no answer (Connection refused), wanted the head of a Ray" in err
    assert (out, err.count("\n")) == ("", 1)
    assert time.monotonic() - began < 30
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("address", ["cluster", "cluster:", ":6379", "host:port"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InputError, match=f"--ray-address {address}: got no host and port"):
        connect(address)


@WITH_RAY
@pytest.mark.slow
def test_one_who_answers_but_is_no_ray_is_refused_in_seconds(monkeypatch):
    monkeypatch.setattr(ray_cluster, "SLOWEST_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(InputError, match=f"--ray-address {address}: got an answer that is not Ray's"):
            connect(address)


@WITH_RAY
@pytest.mark.slow
def test_workers_run_what_is_installed_under_uv_run_too():
    """And where Ray's own settings are renamed, this is how we hear of it."""
    constants = ray_cluster.import_ray()._private.ray_constants
    assert constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV is False


def test_a_ray_that_is_not_installed_is_told_how_to_install(monkeypatch):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"got ray, which is not installed.*pip install '\.\[ray\]'"):
        ray_cluster.check_installed()


def test_a_ray_of_ones_own_asks_for_a_token_that_is_kept_nowhere(monkeypatch):
    for name in (ray_cluster.MODE, ray_cluster.TOKEN, ray_cluster.TOKEN_PATH):
        monkeypatch.delenv(name, raising=False)
    with ray_cluster._guarded():
        assert os.environ[ray_cluster.TOKEN] == ray_cluster.token()
        os.environ[ray_cluster.MODE] = "token"  # as Ray does
    assert ray_cluster.TOKEN not in os.environ and ray_cluster.MODE not in os.environ
    monkeypatch.setenv(ray_cluster.TOKEN_PATH, "mine")
    with ray_cluster._guarded():
        assert ray_cluster.TOKEN not in os.environ


def test_a_cluster_that_asks_for_a_token_is_told_how_to_give_it():
    told = str(ray_cluster._refused("a:1", "InvalidAuthToken ... set RAY_AUTH_TOKEN\nray.init failed"))
    assert "--ray-address a:1: got a Ray that asks for a token, wanted the head of a Ray cluster" in told
    assert told.endswith("set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, as there")


def test_nothing_loads_ray_before_it_is_asked_for():
    statement = re.compile(r"^\s*(import ray\b|from ray\b)", re.MULTILINE)
    package = Path(ray_cluster.__file__).parents[1]
    assert [str(path) for path in package.rglob("*.py") if statement.search(path.read_text("utf-8"))] == []


def test_a_folder_for_sockets_has_a_short_name(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("long" * 20)))
    folder = ray_cluster._short_folder()
    assert len(folder) <= ray_cluster.LONGEST + 12
    os.rmdir(folder)
