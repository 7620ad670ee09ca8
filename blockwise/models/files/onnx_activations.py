"""Activations of ONNX as modules of torch.nn; a softplus is one only as a part of a Mish."""

from torch import Tensor, nn

from blockwise.models.files.onnx_maker import Constants, Maker, Options, Unsuitable
from blockwise.models.functions import between
from devices.network.ops.activations import SELU_ALPHA, SELU_SCALE


def _clip(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    low = float(constants[1]) if 1 in constants else options.get("min")
    high = float(constants[2]) if 2 in constants else options.get("max")
    made = between(low, high)
    if made is None:
        raise Unsuitable("one limit")
    return made


def _hard_sigmoid(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    alpha, beta = options.get("alpha", 0.2), options.get("beta", 0.5)
    if abs(alpha - 1 / 6) > 1e-6 or beta != 0.5:
        raise Unsuitable(f"alpha {alpha:g} and beta {beta:g} in place of 1/6 and 1/2")
    return nn.Hardsigmoid()


def _gelu(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    return nn.GELU(options.get("approximate", b"none").decode())


def _selu(x: Tensor, constants: Constants, options: Options) -> nn.Module:
    """The two numbers of the paper, with more or fewer digits, are those of all that writes it."""
    own = options.get("alpha", SELU_ALPHA), options.get("gamma", SELU_SCALE)
    if any(abs(a - b) > 1e-6 for a, b in zip(own, (SELU_ALPHA, SELU_SCALE), strict=True)):
        raise Unsuitable("alpha and gamma of its own")
    return nn.SELU()


ACTIVATIONS: dict[str, Maker] = {
    "Relu": lambda x, constants, options: nn.ReLU(),
    "LeakyRelu": lambda x, constants, options: nn.LeakyReLU(options.get("alpha", 0.01)),
    "Clip": _clip,
    "Sigmoid": lambda x, constants, options: nn.Sigmoid(),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda x, constants, options: nn.Hardswish(),
    "Swish": lambda x, constants, options: nn.SiLU(),
    "Gelu": _gelu,
    "Elu": lambda x, constants, options: nn.ELU(options.get("alpha", 1.0)),
    "Selu": _selu,
    "Mish": lambda x, constants, options: nn.Mish(),
    "Softplus": lambda x, constants, options: nn.Softplus(),
    "Tanh": lambda x, constants, options: nn.Tanh(),
    "Softmax": lambda x, constants, options: nn.Softmax(options.get("axis", -1)),
    "LogSoftmax": lambda x, constants, options: nn.LogSoftmax(options.get("axis", -1)),
}
