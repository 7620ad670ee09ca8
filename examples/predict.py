"""What does a board need of a trained network? One file, from which this predicts without blockwise.

    python examples/predict.py FILE.safetensors TEST.npz

docs/exported-file.md describes the file; TEST.npz has the images as bytes, ``x_test``, and ``y_test``.
"""

import json
import sys
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

OPERATIONS: dict[str, Any] = {  # beside those of torch and torch.nn.functional
    "cat": lambda *x, dim: torch.cat(x, dim),
    "normalise": lambda x, scale, shift: x * scale + shift,
    "affine": lambda x, scale, shift: shift.addcmul(x, scale),
    "quantize": lambda x, scale, bits, low, high: (x / scale).clamp(low, high).round() * scale,
    "levels": lambda x, thresholds, levels, bits: levels[torch.bucketize(x, thresholds, right=True)],
    "shift": lambda x, bits: x / 2 ** (x.abs().amax([*range(1, x.ndim)], True).frexp()[1] - bits).clamp(0),
    "slice": lambda x, starts, stops, steps: x[(slice(None), *map(slice, starts, stops, steps))],
    "nearest": lambda x: x.sign() * (x.abs() + 0.5).floor(),
}


def weights(tensors: Any, name: str, bits: int, shape: Any, count: int, low: int = 0, stride: int = 1) -> Any:
    """What packed codes mean: (low + stride code) times a scale, or the level of their row."""
    packed = np.unpackbits(tensors[f"{name}.codes"].numpy(), bitorder="little")[: count * bits]
    codes = torch.tensor(packed.reshape(count, bits) @ (1 << np.arange(bits)))
    if (levels := tensors.get(f"{name}.levels")) is None:
        return (low + stride * codes).view(shape) * tensors.get(f"{name}.scale", 1)
    return levels[torch.arange(len(levels))[:, None], codes.view(len(levels), -1)].reshape(shape)


def predict(path: str, images: torch.Tensor) -> Any:
    """Class scores (N, K) of bytes (N, *shape)."""
    data = np.fromfile(path, np.uint8)
    start = 8 + int(data[:8].view("<u8")[0])
    found = json.loads(bytes(data[8:start]))
    header, tensors = found.pop("__metadata__"), {}
    for name, t in found.items():
        at = slice(*(start + offset for offset in t["data_offsets"]))
        tensors[name] = torch.tensor(data[at].view({"F32": "<f4", "U8": "u1"}[t["dtype"]])).view(t["shape"])
    values = {"images": images.to(getattr(torch, header["dtype"]))}
    for step in json.loads(header["steps"]):
        if "codes" in step:
            tensors[step["tensors"]["weight"]] = weights(tensors, step["name"], **step["codes"])
        call = OPERATIONS.get(step["op"]) or getattr(F, step["op"], None) or getattr(torch, step["op"])
        own = {key: tensors[name].to(values["images"]) for key, name in step.get("tensors", {}).items()}
        values[step["name"]] = call(*(values[x] for x in step["inputs"]), **own, **step.get("options", {}))
    return values[step["name"]]


if __name__ == "__main__":
    file, samples = sys.argv[1:] if len(sys.argv) == 3 else sys.exit(__doc__)
    test = {name: torch.tensor(array) for name, array in np.load(samples).items()}
    scores = torch.cat([predict(file, batch) for batch in test["x_test"].split(256)])
    print(f"{(scores.argmax(1) == test['y_test']).double().mean():.2%} of {len(scores)} images")
