"""What was compared, as a result has it: the board, the network, the images and the configuration."""

from typing import Any

from blockwise.data import Dataset
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import DataInfo, DeviceInfo, ModelInfo, PaperAccounting
from blockwise.experiment.step_rows import RunInfo
from devices.memory.arena import runs_of
from devices.memory.paper import paper_figures


def device_of(prepared: Prepared) -> DeviceInfo:
    device = prepared.device
    runs = runs_of(device, device.reserve_bytes)
    return DeviceInfo(
        device.name, device.title, device.core, device.clock_mhz, device.ram_bytes,
        device.largest_contiguous_bytes, device.reserve_bytes, device.flash_bytes, dict(device.sources),
        tuple(RunInfo(run.name, run.start, run.size_bytes, run.reserve_bytes) for run in runs),
    )  # fmt: skip


def model_of(prepared: Prepared) -> ModelInfo:
    network = prepared.whole
    sizes = {b.name: sum(x.weights + x.biases for x in b.layers) for b in network.blocks}
    heads = {b.name: sum(x.weights + x.biases for x in b.head) for b in network.blocks}
    return ModelInfo(
        prepared.config.network.model, prepared.width, network.parameters,
        network.in_shape, len(prepared.dataset.classes), sizes, prepared.head, heads,
    )  # fmt: skip


def data_of(prepared: Prepared) -> DataInfo:
    return described(prepared.dataset)


def described(dataset: Dataset) -> DataInfo:
    """A set in figures, by which it is known again."""
    sizes = (len(dataset.train), len(dataset.validation), len(dataset.test))
    moments = (dataset.mean, dataset.std) if len(dataset.train) else ((), ())
    ends = ((), ()) if dataset.scaling is None else (dataset.scaling.low, dataset.scaling.high)
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    groups = {name: dataset.groups_in(split) for name, split in splits.items() if split.groups is not None}
    return DataInfo(dataset.name, *sizes, str(dataset.policy), dataset.classes, *moments, *ends, groups)


def config_of(prepared: Prepared) -> dict[str, Any]:
    """The configuration with everything chosen: no "auto" head, methods and bits as trained."""
    config = prepared.config
    scheme = config.scheme
    chosen = {
        "head": prepared.head, "lr": config.learning_rate, "method": scheme.name,
        "weight_method": scheme.weight.name, "activation_method": scheme.activation.name,
        "residual": config.residual,
    }  # fmt: skip
    bits = {"weight_bits": config.weight_bits, "activation_bits": config.activation_bits}
    return config.learning() | chosen | bits


def paper_accounting(prepared: Prepared) -> PaperAccounting:
    config = prepared.config
    figures = paper_figures(
        prepared.whole,
        bits=config.weight_bits,
        activation_bits=config.activation_bits,
        batch_size=config.training.batch_size,
    )
    return PaperAccounting(
        figures.inference_activations, figures.inference_parameters, figures.training_activations,
        figures.training_parameters, figures.training_optimizer,
    )  # fmt: skip
