"""The README's figures are those that the recorded runs produced."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_readme_shows_what_results_hold():
    command = [sys.executable, str(ROOT / "benchmarks" / "readme.py"), "--check"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}  # also where the package is not installed
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert process.returncode == 0, process.stderr or "run: python benchmarks/readme.py"
