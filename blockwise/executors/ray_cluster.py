"""To a Ray that runs somewhere, or one of this computer's own; all that can be refused, in seconds."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from secrets import token_hex
from typing import Any

from blockwise.system.interrupts import sigterm_told
from devices.errors import InputError

AUTO = "auto"
"""The address of whatever Ray this computer belongs to."""
LOCAL = "local"
"""That of a new Ray, whatever Ray the user's environment names."""
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
PATIENCE_S = 3.0
"""For an address to take a connection."""
SLOWEST_S = 20.0
"""For a Ray to tell its state; its own clients would try for two minutes."""
STORE_BYTES = 100_000_000
"""Of Ray's store of objects: hardly more than tasks and records pass through it. Ray wants 75 MiB."""
LONGEST = 30
"""Characters of a folder in which Ray may make its own, with sockets."""
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
"""Unless a user sets them otherwise: Ray tells nobody that it is used, and sends nothing to workers.

Under ``uv run`` it would send them the folder that the command is given in, without its history, and make an
environment of it there. They run what is installed, which is checked.
"""
TRY = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level='ERROR')"
START = "ray start --head"


def check_installed() -> None:
    """Raise InputError where Ray is not."""
    if find_spec("ray") is None:
        raise InputError(
            "--executor", got="ray, which is not installed", wanted="the package ray",
            do="pip install '.[ray]', or use --executor processes",
        )  # fmt: skip


def import_ray() -> Any:
    """The package, set as :data:`SETTINGS` say."""
    _set_up()
    return import_module("ray")


def _set_up() -> None:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def connected(address: str | None, cpus: int) -> Iterator[None]:
    """To the Ray at ``address``; without one to a new one of ``cpus``, which ends with the context."""
    if address:
        _check_answers(address)
    with sigterm_told(), _joined(address) if address else _own(cpus):
        with suppress(AttributeError):  # what it prints of workers that die goes to stdout
            import_ray()._private.worker._worker_logs_enabled = False
        yield


@contextmanager
def _joined(address: str) -> Iterator[None]:
    ray = import_ray()
    try:
        _begin(ray, address)
        yield
    finally:
        ray.shutdown()


@contextmanager
def _own(cpus: int) -> Iterator[None]:
    ray, folder = import_ray(), _short_folder()
    os.environ.setdefault("RAY_worker_niceness", "0")  # as any process that this one starts
    try:
        with _guarded():
            _begin(
                ray, LOCAL, num_cpus=cpus, include_dashboard=False, object_store_memory=STORE_BYTES,
                _temp_dir=folder,
            )  # fmt: skip
            yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@cache
def token() -> str:
    """Of all Rays that this process starts, since Ray reads it once."""
    return token_hex(16)


@contextmanager
def _guarded() -> Iterator[None]:
    """A Ray that is started here serves this process alone, by a token that is kept nowhere.

    Unless told, Ray keeps one in the user's home.
    """
    before = {name: os.environ.get(name) for name in (MODE, TOKEN)}
    if not any(before.values()) and TOKEN_PATH not in os.environ:
        os.environ[TOKEN] = token()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})


def _begin(ray: Any, address: str, **options: Any) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with _handler_kept():
            ray.init(address, **options, **quiet)
    except (ConnectionError, RuntimeError, ValueError, SystemExit) as error:
        if address == LOCAL:
            raise RuntimeError(f"Ray did not start: {str(error) or type(error).__name__}") from error
        raise _refused(address, str(error)) from error


@contextmanager
def _handler_kept() -> Iterator[None]:
    """Ray puts its own in the place of whatever answers SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _short_folder() -> str:
    """For sockets, whose names may not be longer than about a hundred characters."""
    usual = tempfile.gettempdir()
    short = usual if len(usual) <= LONGEST or not os.path.isdir("/tmp") else "/tmp"
    return tempfile.mkdtemp(prefix="bw-", dir=short)


def _check_answers(address: str) -> None:
    """Raise InputError unless a Ray answers there; its own clients say nothing for two minutes."""
    if address == AUTO:
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        raise _refused(address, "no host and port")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise _refused(address, f"no answer ({getattr(error, 'strerror', None) or error})") from error
    if address.startswith("ray://"):
        return  # a client's server, of which there is nothing to ask
    _set_up()
    command = (sys.executable, "-c", TRY, address)
    try:
        done = subprocess.run(command, capture_output=True, timeout=SLOWEST_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise _refused(address, "an answer that is not Ray's") from error
    if done.returncode:
        raise _refused(address, done.stderr.decode("utf-8", "replace"))


def _refused(address: str, words: str) -> InputError:
    """For what was said in ``words``, of which the last line counts, or nothing."""
    lines = words.strip().splitlines() or ["an answer that is not Ray's"]
    subject, wanted = f"--ray-address {address}", "the head of a Ray cluster, as 10.0.0.1:6379"
    if TOKEN in words:
        return InputError(
            subject, got="a Ray that asks for a token", wanted=f"{wanted}, and its token",
            do=f"set {MODE}=token and {TOKEN}, or {TOKEN_PATH}, as there",
        )  # fmt: skip
    do = f"start one there ({START}), or leave the flag out for a Ray of this computer"
    return InputError(subject, got=lines[-1], wanted=wanted, do=do)
