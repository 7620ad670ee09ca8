"""Signals are trained as images are: in float, block by block, behind packed blocks and on integers."""

import pytest
from waves import save, waves

import blockwise
from devices.errors import InputError


def test_every_kind_of_regime_learns_to_tell_waves_apart(tmp_path):
    data = save(tmp_path / "waves.npz", waves(240))
    regimes = ("bp", "local", "local-resident", "niti", "niti-local")
    result = blockwise.train("mlp", data=data, regimes=regimes, norm="none", width=32, epochs=4, seed=2)
    assert result.model.in_shape == (2, 24)
    assert {row.regime: row.test_accuracy > 0.7 for row in result.regimes} == dict.fromkeys(regimes, True)


def test_features_are_planned_and_trained(tmp_path):
    arrays = {name: x[:, 0] if name[0] == "x" else x for name, x in waves().items()}
    data = str(save(tmp_path / "features.npz", arrays))
    (row,) = blockwise.train("mlp", data=data, regimes=("bp",), width=16, epochs=1).regimes
    plan = blockwise.plan("mlp", regime="bp", in_shape=(24,), classes=3, width=16, batch_size=16)
    assert row.peak_bytes == plan.peak_bytes


def test_signals_for_a_network_of_images_are_refused(tmp_path):
    data = save(tmp_path / "waves.npz", waves())
    with pytest.raises(InputError, match=r"model cnn: got inputs of shape 2x24, wanted images \(C, H, W\)"):
        blockwise.train("cnn", data=data, regimes=("bp",))
