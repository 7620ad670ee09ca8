"""Which network, how it is cut, and under which heads."""

import os
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import arg

from blockwise import heads, models
from blockwise.experiment.settings.words import AUTO, check_name, listed
from blockwise.layers import norms
from devices.errors import InputError, unknown_name

FILES = (".safetensors", ".pt", ".pth")
WANTED = f"he, pytorch, or trained weights: the folder of a run or a file {', '.join(FILES)}"
"""Of trained weights."""


Width = Annotated[
    int | float | None,
    arg(
        metavar="CHANNELS",
        help="Channels of the first stage; scales every layer. Of torchvision's MobileNets a multiplier.",
        help_behavior_hint=f"(default: {models.DEFAULT_WIDTH}, or as published for microcontrollers)",
    ),
]
"""The flag ``--width`` of every command that has one."""


def model_flag(more: str = "") -> Any:
    """The flag ``--model`` of every command that has one; ``more`` is what is said of it there alone."""
    return arg(
        help=f"One of {listed(models.CATALOGUE)}; torchvision:NAME; or your own: PATH.py:NAME (a module, "
        f"its class or a function that makes it), FILE.pt2 (torch.export) or FILE.onnx.{more}"
    )


@dataclass(frozen=True)
class NetworkSettings:
    """The network, how it is cut, and the local heads."""

    model: Annotated[str, model_flag()] = "resnet20"
    width: Width = None
    blocks: Annotated[
        str,
        arg(
            help="Where to cut: stages, residual, layers, each (layers, and the classifier a block of its "
            "own), a number of memory-balanced blocks, the units that begin a block with commas between "
            "(stage1_2,stage2_1), or auto: 8, or as many as there are layers."
        ),
    ] = AUTO
    head: Annotated[
        str,
        arg(
            help=f"Local head: {listed(heads.CATALOGUE)}, lookahead:WIDTH, :WIDTHxDEPTH or "
            ":WIDTHxDEPTHxSIDE (of the map that it reads), "
            "pred:FEATURES, or auto: the widest lookahead head with which local-resident (or one of the "
            "local regimes asked for, if it is not among them) fits the board, else gap; if nothing fits, "
            "the head with the lowest peak. "
            "With local integer regimes pred-pooled, else gap."
        ),
    ] = AUTO

    norm: Annotated[
        str,
        arg(
            help=f"Norm layers: {listed(norms.NORMS)}. batch-recompute saves memory, not accuracy; group "
            "does without statistics of the batch; frozen sets constants on the first images."
        ),
    ] = "batch"
    activation: Annotated[
        str,
        arg(help=f"One of {listed(models.ACTIVATIONS)}; leaky-relu has slope 0.01."),
    ] = models.PLAIN.activation
    dropout: Annotated[
        float,
        arg(
            metavar="RATE",
            help="Dropout behind every activation, of whole channels behind convolutions; in networks of "
            "layers in a row.",
        ),
    ] = models.PLAIN.dropout
    bias: Annotated[bool, arg(help="Give every layer a bias, before a norm as well.")] = models.PLAIN.bias
    init: Annotated[
        str,
        arg(
            metavar="he|pytorch|RUN|FILE",
            help="First weights: drawn, of convolutions as he (normal, by fan-out) or pytorch (uniform, by "
            "fan-in), or trained ones: the folder of a run, FILE.safetensors or a state dict, FILE.pt.",
        ),
    ] = models.PLAIN.init

    def __post_init__(self) -> None:
        models.check_name(self.model)
        path = os.path.exists(self.init) or bool(os.path.splitext(self.init)[1])
        if self.init not in models.INITS and os.sep not in self.init and path:
            object.__setattr__(self, "init", os.path.join(os.curdir, self.init))  # it stays a path
        if self.width is not None:
            models.check_width(self.model, self.width)
        check_name("norm", self.norm, norms.NORMS)
        check_name("head", self.head.partition(":")[0], {AUTO, *heads.CATALOGUE})
        if self.head.endswith(":"):
            raise InputError(
                "--head", got=repr(self.head), wanted="a width behind the colon", do="try lookahead:32"
            )
        if self.init not in models.INITS and not self._names_weights:
            near = unknown_name("--init", self.init, models.INITS)
            do = near.do if "did you mean" in near.do else "check the path: nothing of that name is here"
            raise InputError("--init", got=repr(self.init), wanted=WANTED, do=do)
        _ = self.style

    @property
    def style(self) -> models.Style:
        """What stands around the weights. Raises InputError for what cannot be."""
        init = models.PLAIN.init if self._names_weights else self.init
        return models.Style(self.activation, self.dropout, self.bias, init)

    @property
    def _names_weights(self) -> bool:
        """Whether ``init`` is a path of trained ones."""
        return self.init.endswith(FILES) or os.sep in self.init
