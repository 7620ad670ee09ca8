"""RAM as bytes: tensors at planned offsets, codes packed, dead bytes poisoned."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from devices.program.schedule import Tensor

POISON = 0xFF
"""A float of such bytes is not a number, a code the highest there is."""

WORD_BITS = 32


class Misread(RuntimeError):
    """An operation touches what its schedule does not say it touches."""


class Memory:
    """One stretch of bytes and where each tensor lies in it.

    32-bit tensors are float32, or int32 if ``integers``; narrower ones are unsigned codes of their width,
    low bits first, one behind the other. What is mapped lies in flash, apart.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], offsets: Mapping[str, int], *, integers: bool = False
    ) -> None:
        size = max((offsets[name] + t.bytes for name, t in tensors.items() if not t.mapped), default=0)
        self.tensors, self.offsets, self.integers = tensors, offsets, integers
        self.bytes = np.full(size, POISON, np.uint8)
        self.flash = {n: np.full(t.bytes, POISON, np.uint8) for n, t in tensors.items() if t.mapped}

    def with_tensors(self, changed: Mapping[str, Tensor]) -> "Memory":
        """The same bytes, with tensors that begin where they did but have other shapes."""
        found = Memory({}, self.offsets, integers=self.integers)
        found.tensors, found.bytes, found.flash = {**self.tensors, **changed}, self.bytes, self.flash
        return found

    def load(self, name: str) -> torch.Tensor:
        """The elements of a tensor, in its shape: float32 or int32 words, or int64 codes."""
        tensor = self.tensors[name]
        if tensor.bits == WORD_BITS:
            kind = np.int32 if self.integers else np.float32
            return torch.from_numpy(self._bytes(name).view(kind).copy()).view(tensor.shape)
        return torch.from_numpy(unpacked(self._bytes(name), tensor.bits, tensor.elements)).view(tensor.shape)

    def store(self, name: str, value: torch.Tensor) -> None:
        """Write all elements of a tensor; codes must fit its width."""
        tensor = self.tensors[name]
        flat = value.detach().reshape(-1).contiguous()
        if flat.numel() != tensor.elements:
            raise Misread(f"{name} has {tensor.elements} elements, {flat.numel()} are written")
        if tensor.bits == WORD_BITS:
            kind = torch.int32 if self.integers else torch.float32
            self._bytes(name)[:] = flat.to(kind).numpy().view(np.uint8)
        else:
            codes = flat.numpy().astype(np.int64)
            if codes.size and (codes.min() < 0 or codes.max() >> tensor.bits):
                raise Misread(f"{name}: codes {codes.min()} .. {codes.max()} do not fit {tensor.bits} bits")
            self._bytes(name)[:] = packed(codes, tensor.bits)

    def words(self, name: str) -> torch.Tensor:
        """As many int32 words as a tensor's bytes hold whole."""
        payload = self._bytes(name)
        return torch.from_numpy(payload[: len(payload) // 4 * 4].view(np.int32).copy())

    def store_words(self, name: str, words: torch.Tensor) -> None:
        """Fill a tensor's bytes with int32 words, from its start."""
        payload = words.contiguous().to(torch.int32).numpy().view(np.uint8)
        self._bytes(name)[: len(payload)] = payload

    def poison(self, name: str) -> None:
        """The tensor is dead: whoever reads it gets nonsense."""
        self._bytes(name)[:] = POISON

    def _bytes(self, name: str) -> NDArray[np.uint8]:
        if name in self.flash:
            return self.flash[name]
        start = self.offsets[name]
        return self.bytes[start : start + self.tensors[name].bytes]


def packed(codes: NDArray[np.int64], bits: int) -> NDArray[np.uint8]:
    """Codes 0 .. 2^bits - 1 (n,) as bytes, low bits first, one behind the other."""
    planes = (codes[:, None] >> np.arange(bits)) & 1
    return np.packbits(planes.astype(np.uint8).reshape(-1), bitorder="little")


def unpacked(payload: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.int64]:
    """The first ``count`` codes of what :func:`packed` made."""
    planes = np.unpackbits(payload, bitorder="little", count=count * bits).reshape(count, bits)
    return planes.astype(np.int64) @ (1 << np.arange(bits, dtype=np.int64))
