"""What a result came from: versions, hardware and the commit of the source tree."""

import platform
import subprocess
from pathlib import Path

import psutil
import torch

import blockwise
from blockwise.system.processor import processor

GIT_SECONDS = 30
"""Git is waited for so long: it looks at every file, and a disk may be busy."""


def environment(accelerator: str) -> dict[str, str]:
    """Versions and hardware behind the accuracies and timings of trainings on ``accelerator``."""
    return {
        "blockwise": blockwise.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a plain one: its own kind of text is unpickled by PyTorch
        "processor": processor(),
        "cores": str(psutil.cpu_count(logical=False) or psutil.cpu_count() or 1),
        "threads": str(torch.get_num_threads()),
        "accelerator": torch.cuda.get_device_name() if accelerator == "cuda" else accelerator,
        "git_commit": git_commit(),
    }


def git_commit() -> str:
    """Commit of the source tree, "unknown" outside a checkout, as within that of somebody else."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()
