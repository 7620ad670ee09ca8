"""Records that hold nothing but plans hold those that are made today."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from blockwise import models

ROOT = Path(__file__).parents[2]


def recorded(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "results" / "benchmarks" / f"{name}.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("baselines", "mobilenet", "zoo"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_baselines_are_those_of_today():
    import baselines

    record = recorded("baselines")
    chain = models.build(baselines.MODEL, width=baselines.WIDTH)
    for row in record["rows"]:
        plan = baselines.planned(chain, row["regime"], row["batch"])
        found = {
            "device_bytes": plan.peak_bytes,
            "arena_bytes": plan.arena.height,
            "macs": plan.schedule.macs,
        }
        assert found == {name: row[name] for name in found}, row["regime"]
    assert {row["regime"] for row in record["rows"]} == {*baselines.EAGER}


@pytest.mark.slow
def test_the_plans_beside_published_ones_are_those_of_today():
    import mobilenet

    record = recorded("mobilenet")
    found = [mobilenet.planned(name, plan) for name, plan in mobilenet.plans()]
    assert json.loads(json.dumps(found)) == record["plans"]
    assert [mobilenet.at_rest(side) for side in (mobilenet.SIDE, 144)] == record["inference"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small"])
def test_plans_of_torchvision_are_those_of_today(name):
    import zoo

    chain, row = zoo.of_torchvision(name), recorded("zoo")["zoos"]["torchvision"]["networks"][name]
    assert {regime: zoo.planned(chain, regime).peak_bytes for regime in zoo.REGIMES} == row["peak_bytes"]
