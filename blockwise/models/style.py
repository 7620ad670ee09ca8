"""What stands around the weights of a network: its activation, dropout, biases and first weights."""

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from blockwise.layers.weighted import Convolution, Weighted
from blockwise.nets.chain import Chain
from devices.errors import InputError, unknown_name

SLOPE = 0.01
"""Of a leaky ReLU below zero, as in Nøkland & Eidnes 2019 and in PyTorch."""

ACTIVATIONS = ("relu", "leaky-relu")
INITS = ("he", "pytorch")


@dataclass(frozen=True)
class Style:
    """How a network differs from the plain form in which its family builds it.

    ``dropout`` is the rate behind every activation: of whole channels of an image behind convolutions, of
    single features behind linear layers. ``bias`` gives every layer one, before norms as well. ``init`` is
    that of convolutions: normal by fan-out (He et al. 2015), or PyTorch's own, uniform by fan-in.
    """

    activation: str = "relu"
    dropout: float = 0.0
    bias: bool = False
    init: str = "he"

    def __post_init__(self) -> None:
        for subject, name, known in (
            ("activation", self.activation, ACTIVATIONS), ("--init", self.init, INITS),
        ):  # fmt: skip
            if name not in known:
                raise unknown_name(subject, name, known)
        if not 0 <= self.dropout < 1:
            raise InputError("--dropout", got=self.dropout, wanted="a rate from 0 to below 1", do="try 0.2")


PLAIN = Style()


def restyle(chain: Chain, style: Style) -> None:
    """Give ``chain`` the style, in place. Raises InputError for dropout where units are no rows of layers."""
    for path, module in list(chain.named_modules()):
        if isinstance(module, Weighted):
            _restart(module, style)
        elif style.activation == "leaky-relu" and isinstance(module, nn.ReLU | nn.ReLU6):
            chain.set_submodule(path, nn.LeakyReLU(SLOPE))
    if style.dropout:
        for name, unit in chain.units.items():
            chain.units[name] = _with_dropout(unit, style.dropout, chain.name)


def _restart(layer: Weighted, style: Style) -> None:
    if style.bias and layer.bias is None:
        layer.bias = nn.Parameter(layer.weight.new_empty(len(layer.weight)))
        starts = layer.weight.detach().clone()
        layer.reset_parameters()  # the only way to PyTorch's own first biases
        if style.init != "pytorch":
            layer.weight.data.copy_(starts)
    elif style.init == "pytorch":
        layer.reset_parameters()


def _with_dropout(unit: nn.Module, rate: float, model: str) -> nn.Module:
    if not isinstance(unit, nn.Sequential):
        raise InputError(
            "--dropout", got=f"{rate:g} with {model}", wanted="0, or a network of layers in a row",
            do="leave it out, or use --model vgg8b, vgg11b, mlp or cnn",
        )  # fmt: skip
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    spatial = any(isinstance(module, Convolution) for module in unit)
    for name, module in unit.named_children():
        layers[name] = module
        if isinstance(module, nn.ReLU | nn.LeakyReLU):
            count = sum(known.startswith("dropout") for known in layers)
            made = nn.Dropout2d(rate) if spatial else nn.Dropout(rate)
            layers[f"dropout{count + 1}" if count else "dropout"] = made
    return nn.Sequential(layers)
