"""The reference study's figures for ResNet-20, and its formula on a small network."""

import pytest
from tiny import NETWORK

import devices
from blockwise import models

MB = 1_000_000  # the study counts decimal megabytes


@pytest.fixture(scope="module")
def resnet20():
    return models.build("resnet20").describe(blocks="stages", head="gap")


def test_resnet20_has_the_parameters_and_activations_of_the_study(resnet20):
    assert resnet20.parameters == 269_722
    assert devices.paper_figures(resnet20, bits=8).training_activations == 191_488


@pytest.mark.parametrize(
    ("bits", "activations", "parameters", "total", "digits"),
    [(32, 0.07, 1.08, 1.15, 2), (3, 0.006, 0.10, 0.11, 3)],
)
def test_resnet20_inference_equals_the_published_table(
    resnet20, bits, activations, parameters, total, digits
):
    figures = devices.paper_figures(resnet20, bits=bits)
    assert round(figures.inference_activations / MB, digits) == activations
    assert round(figures.inference_parameters / MB, 2) == parameters
    assert round(activations + parameters, 2) == total  # the study adds its rounded entries
    assert figures.inference / MB == pytest.approx(total, abs=0.01)


@pytest.mark.parametrize(("bits", "per_image"), [(32, 0.77), (3, 0.07)])
@pytest.mark.parametrize("batch", [1, 100])
def test_resnet20_training_equals_the_published_table(resnet20, bits, per_image, batch):
    figures = devices.paper_figures(resnet20, bits=bits, batch_size=batch)
    assert round(figures.training_activations / MB / batch, 2) == per_image
    assert round(figures.training_parameters / MB, 2) == 1.08
    assert round(figures.training_optimizer / MB, 2) == 1.08
    static = figures.training_parameters + figures.training_optimizer
    assert round(static / MB, 2) == 2.16


def test_the_formula_on_a_network_counted_by_hand():
    # input 16, two maps of 64; 391 parameters
    figures = devices.paper_figures(NETWORK, bits=4, batch_size=2)
    assert figures.training_activations == (16 + 64 + 64) * 2 // 2
    assert figures.inference_activations == 32
    assert figures.inference_parameters == 196  # 195.5, rounded up
    assert figures.training == 144 + 391 * 8
