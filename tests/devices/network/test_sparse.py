"""What ``sparse:auto`` chooses of networks whose layers cannot all be divided."""

import pytest
from torch import nn

from blockwise.models import from_module
from devices.errors import InputError
from devices.network.sparse import Sparse, greedy
from devices.network.trained import Trained


def grouped(groups: int):
    """A convolution in groups before a classifier."""
    row = nn.Sequential(nn.Conv2d(4, 8, 3, groups=groups), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5))
    return from_module(row, (4, 4, 4)).describe(blocks="1", head="gap")


def test_a_convolution_in_groups_of_several_channels_learns_as_a_whole_or_its_bias_alone():
    network = grouped(2)
    conv, classifier = (layer.name for layer in network.layers if layer.kind in ("conv", "linear"))
    asked: list[Sparse] = []

    def fits(sparse: Sparse) -> bool:
        asked.append(sparse)
        sparse.find(network)  # what cannot be is refused
        return conv not in [name for name, *_ in sparse.shares]

    assert greedy(fits, network) == Sparse(((classifier, 1.0, 1.0),), 2)
    assert [sparse.shares[0] for sparse in asked][-1] == (conv, 1.0, 1.0)
    whole = greedy(lambda sparse: bool(sparse.find(network)), network)
    assert whole.find(network)[conv] == Trained(levels=False)


@pytest.mark.parametrize("groups", [1, 4])
def test_others_learn_the_largest_share_that_fits(groups):
    row = nn.Sequential(nn.Conv2d(4, 4, 3, groups=groups), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5))
    network = from_module(row, (4, 4, 4)).describe(blocks="1", head="gap")
    conv = network.layers[0].name
    found = greedy(lambda sparse: (conv, 1.0, 1.0) not in sparse.shares, network)
    assert found.shares[0] == (conv, 0.5, 1.0)
    trained = found.find(network)[conv]
    assert (trained.inputs, trained.outputs) == ((2, None) if groups == 1 else (2, 2))


def test_a_share_of_groups_of_several_channels_is_refused():
    network = grouped(2)
    name = network.layers[0].name
    with pytest.raises(InputError, match=rf"got a share of {name}, wanted .*, or all of it"):
        Sparse(((name, 0.5, 1.0),)).find(network)
