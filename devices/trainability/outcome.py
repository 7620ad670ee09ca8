"""An obstacle in words, and the layers that a regime's step passes."""

from dataclasses import dataclass

from devices.errors import InputError
from devices.network import Layer, Network
from devices.program.regimes import find


@dataclass(frozen=True)
class Obstacle:
    """Why a step cannot run: a clause for notes, and the parts of a complaint."""

    reason: str
    subject: str
    got: str
    wanted: str
    do: str

    @property
    def error(self) -> InputError:
        """The complaint."""
        return InputError(self.subject, got=self.got, wanted=self.wanted, do=self.do)


def trained_layers(network: Network, regime: str) -> tuple[Layer, ...]:
    """The layers that a step of ``regime`` passes: with all heads, or with the last one, the loss."""
    return network.all_layers if find(regime).heads else (*network.layers, *network.blocks[-1].head)
