"""The reference study's memory tables from code, and beside each figure what a program needs.

ResNet-20 at W32A32 and W3A3. The study's side is its formula (:mod:`devices.memory.paper`) with the bit
width of the precision for weights and activations alike: 3 bits reproduce its W3A3 activations
(0.006 and 0.07 MB), the 4 of max(b, 4) would give 0.008 and 0.10. The program's side is read off
schedules: inference of the packed network, one sample; one training step by backpropagation.
"""

import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

import blockwise
from blockwise import models, quant
from blockwise.experiment.provenance import git_commit
from blockwise.studies.differences import inference_differences, training_differences
from blockwise.studies.digits import printed, printed_total
from blockwise.studies.memory_result import Difference, Entry, MemoryStudy, MemoryTable
from blockwise.studies.parameters import parameter_table, uniform_readings
from devices.boards.profile import Device
from devices.memory.paper import PaperFigures, paper_figures
from devices.network import Network
from devices.network.bits import Bits
from devices.program import categories as cat
from devices.program.inference import inference
from devices.program.ledger import Ledger
from devices.program.regimes import Step, schedule, update_of

MODEL, REGIME, OPTIMIZER = "resnet20", "bp", "sgd-momentum"
PRECISIONS: dict[str, tuple[str, int]] = {"W32A32": ("fp32", 32), "W3A3": ("lsq", 3)}
"""The study's columns: our method behind each, and the bits of weights and activations."""

ENTRIES: dict[str, tuple[str, ...]] = {
    "activations": (cat.SAVED_ACTIVATIONS, cat.WORKING_TENSORS),
    "parameters": (cat.PACKED_WEIGHTS, cat.LATENT_WEIGHTS),
    "optimizer": (cat.OPTIMIZER_STATE,),
}
"""The study's entries and the categories of a program that answer to them; it has no others."""


def measure(device: Device, batch_size: int = 1) -> MemoryStudy:
    """Compute every table for a board. ``batch_size`` is the training step's; inference takes one."""
    network = models.build(MODEL).describe(blocks="stages", head="gap")
    tables = []
    for precision in PRECISIONS:
        tables += [_inference(precision, network, device), _training(precision, network, device, batch_size)]
    parameters = parameter_table()
    return MemoryStudy(
        _conditions(network, device, batch_size), tuple(tables), parameters, uniform_readings(parameters)
    )


def _bits(precision: str) -> tuple[int, Bits]:
    name, bits = PRECISIONS[precision]
    return bits, quant.scheme(name).bits(bits, bits)


def _inference(precision: str, network: Network, device: Device) -> MemoryTable:
    width, bits = _bits(precision)
    ledger = Ledger(inference(network, Step(1, OPTIMIZER, bits)), device.alignment_bytes)
    figures = paper_figures(network, bits=width)
    counted = {"activations": figures.inference_activations, "parameters": figures.inference_parameters}
    cells = {name: printed(size) for name, size in counted.items()}
    study = {name: str(cell) for name, cell in cells.items()}
    total = Entry("total", str(printed_total(cells.values())), figures.inference, ledger.peak.live_bytes)
    differences = inference_differences(network, ledger, bits=width)
    return _table(precision, "inference", 1, ledger, counted, study, total, differences)


def _training(precision: str, network: Network, device: Device, batch: int) -> MemoryTable:
    width, bits = _bits(precision)
    step = Step(batch, OPTIMIZER, bits, update_of(REGIME) == "fused")
    ledger = Ledger(schedule(REGIME, network, step), device.alignment_bytes)
    figures = paper_figures(network, bits=width, batch_size=batch)
    counted = {
        "activations": figures.training_activations,
        "parameters": figures.training_parameters,
        "optimizer": figures.training_optimizer,
    }
    study, in_all = _printed_training(paper_figures(network, bits=width))
    total = Entry("total", in_all, figures.training, ledger.peak.live_bytes)
    differences = training_differences(network, ledger, bits=width, batch=batch)
    return _table(precision, "training", batch, ledger, counted, study, total, differences)


def _printed_training(one: PaperFigures) -> tuple[dict[str, str], str]:
    """The study's entries and its total; what grows with the batch B is printed for one image."""
    per_image = printed(one.training_activations)
    fixed = {
        "parameters": printed(one.training_parameters),
        "optimizer": printed(one.training_optimizer),
    }
    entries = {"activations": f"{per_image} x B"} | {name: str(cell) for name, cell in fixed.items()}
    return entries, f"{printed_total(fixed.values())} + {per_image} B"


def _table(
    precision: str, phase: str, batch: int, ledger: Ledger, counted: dict[str, int],
    study: dict[str, str], total: Entry, differences: tuple[Difference, ...],
) -> MemoryTable:  # fmt: skip
    held = ledger.peak.by_category
    entries = [
        Entry(name, study[name], size, sum(held[category] for category in ENTRIES[name]))
        for name, size in counted.items()
    ]
    answered = {category for name in counted for category in ENTRIES[name]}
    entries += [Entry(c, None, None, held[c]) for c in cat.CATEGORIES if held[c] and c not in answered]
    return MemoryTable(
        precision, phase, batch, tuple(entries), total, differences, ledger.peak.operation.name, dict(held)
    )


def _conditions(network: Network, device: Device, batch: int) -> dict[str, Any]:
    return {
        "model": MODEL,
        "width": models.CATALOGUE[MODEL].width,
        "in_shape": network.in_shape,
        "model_parameters": network.parameters,
        "device": device.name,
        "device_title": device.title,
        "ram_bytes": device.ram_bytes,
        "alignment_bytes": device.alignment_bytes,
        "inference_batch_size": 1,
        "training_batch_size": batch,
        "regime": REGIME,
        "update": update_of(REGIME),
        "optimizer": OPTIMIZER,
        "precisions": {name: asdict(_bits(name)[1]) | {"method": PRECISIONS[name][0]} for name in PRECISIONS},
        "blockwise": blockwise.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torchvision": version("torchvision"),
        "git_commit": git_commit(),
    }
