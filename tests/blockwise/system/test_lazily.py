"""Names of packages that are imported on first use."""

import subprocess
import sys

import pytest

from blockwise import report, training
from blockwise.system.lazily import lazily


def test_a_name_is_that_of_its_home_and_all_are_listed():
    found, named = lazily("json", {"math": ("pi",), "json.decoder": ("JSONDecoder",)})
    assert found("pi") == 3.141592653589793
    assert {"pi", "JSONDecoder", "loads"} <= set(named())


def test_a_name_without_a_home_is_no_attribute():
    found, _ = lazily("json", {"math": ("pi",)})
    with pytest.raises(AttributeError, match=r"^module 'json' has no attribute 'e'$"):
        found("e")


@pytest.mark.parametrize("package", [report, training])
def test_every_public_name_has_a_home(package):
    assert set(package.__all__) <= set(dir(package))
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_neither_loads_pytorch_before_it_is_needed():
    program = "import blockwise.report, blockwise.training, sys; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
