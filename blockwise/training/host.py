"""What the simulation itself uses on this computer. Never a board's bytes."""

import threading
import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import psutil
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from blockwise.system.compiler import spare_compiler


class StorageCounter(TorchDispatchMode):
    """Counts the bytes of every tensor storage that is alive, and the highest sum.

    A storage counts once, however many tensors view it. ``held`` are tensors that exist already.
    """

    def __init__(self, held: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        spare_compiler(StorageCounter.__torch_dispatch__)
        self.live_bytes = 0
        self.peak_bytes = 0
        self._known: set[int] = set()
        self._finalizers: list[weakref.finalize[..., Any]] = []
        for tensor in held:
            self._count(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, Tensor):
                self._count(value)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()
        self._known.add(key)
        self.live_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        self._finalizers.append(weakref.finalize(storage, self._forget, key, size))

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live_bytes -= size

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, value, trace)  # type: ignore[no-untyped-call]
        for finalizer in self._finalizers:
            finalizer.detach()


class PeakRSS:
    """Samples the process's resident set size (psutil) in a thread; ``bytes`` is the highest."""

    INTERVAL_S = 0.05

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.bytes = 0

    def _sample(self) -> None:
        self.bytes = max(self.bytes, self._process.memory_info().rss)

    def _watch(self) -> None:
        while not self._stop.wait(self.INTERVAL_S):
            self._sample()

    def __enter__(self) -> "PeakRSS":
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()
