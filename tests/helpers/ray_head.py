"""A Ray cluster of one node, on this computer: a head of which only the address is known."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from blockwise.executors.ray_cluster import MODE, TOKEN, token

TESTS = Path(__file__).parents[1]
WITH_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def head() -> Iterator[str]:
    """Its address; its workers find what tests find."""
    folder, port = tempfile.mkdtemp(prefix="bw-"), free_port()
    path = os.pathsep.join(map(str, (TESTS.parent, TESTS / "helpers")))
    command = (
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}",
        "--num-cpus=2", "--include-dashboard=false", "--object-store-memory=100000000",
        "--disable-usage-stats", f"--temp-dir={folder}",
    )  # fmt: skip
    # the token of a Ray that other tests may have started in this process, which would be read only then
    os.environ.update({MODE: "token", TOKEN: token()})
    environment = os.environ | {"PYTHONPATH": path, "RAY_worker_niceness": "0"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert process.stdout is not None
    assert any("Ray runtime started" in line for line in process.stdout)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)
        del os.environ[MODE], os.environ[TOKEN]
