"""The sizes of well-known networks: each of the study's whole numbers by its stated rule."""

import urllib.request

import pytest
import torch

from blockwise.studies import parameters
from blockwise.studies.memory_result import ParameterRow
from blockwise.studies.parameters import PUBLISHED, READINGS, parameter_table, uniform_readings

# model -> parameters, the study's figure, the rule that gives it
EXPECTED = {
    "resnet18": (11_689_512, 45, "MiB, rounded up"),
    "resnet50": (25_557_032, 98, "MiB, rounded up"),
    "mobilenet_v2": (3_504_872, 14, "MiB, rounded up"),
    "efficientnet_b0": (5_288_548, 21, "MiB, rounded up"),
    "retinanet_resnet50_fpn": (34_068_119, 152, None),
    "retinanet_resnet50_fpn_v2": (38_198_935, 152, "MB, cut off"),
}


@pytest.fixture(scope="module")
def rows() -> dict[str, ParameterRow]:
    return {row.model: row for row in parameter_table()}


def test_the_table_lists_the_studys_networks(rows):
    assert list(rows) == list(EXPECTED) == [published.model for published in PUBLISHED]


@pytest.mark.parametrize("model", EXPECTED)
def test_each_figure_follows_from_the_count_by_the_rule_of_its_row(rows, model):
    row = rows[model]
    assert (row.parameters, row.study, row.reading) == EXPECTED[model]
    assert row.bytes == 4 * row.parameters
    if row.reading:
        assert READINGS[row.reading](row.bytes) == row.study
    assert row.readings == tuple(name for name, rule in READINGS.items() if rule(row.bytes) == row.study)


def test_no_single_rule_gives_all_five_figures(rows):
    assert uniform_readings(tuple(rows.values())) == ()
    without = tuple(row for row in rows.values() if row.title != "RetinaNet")
    assert uniform_readings(without) == ("MiB, rounded up",)


def test_the_rules_round_as_they_say():
    size = 5 * 2**20  # 5.24 MB
    assert [rule(size) for rule in READINGS.values()] == [5, 5, 5, 6, 5, 5]
    assert [rule(size + 1) for rule in READINGS.values()] == [6, 5, 5, 6, 5, 5]
    assert [rule(size - 1) for rule in READINGS.values()] == [5, 5, 4, 6, 5, 5]


def test_counting_takes_no_memory_and_downloads_nothing(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a download")

    built = []
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    count = torch.nn.Module.parameters
    monkeypatch.setattr(torch.nn.Module, "parameters", lambda self: built.append(self) or count(self))
    assert parameters.count_parameters("retinanet_resnet50_fpn_v2") == 38_198_935
    network = built[-1]
    assert {p.device.type for p in network.state_dict().values()} == {"meta"}
