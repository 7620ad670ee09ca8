"""What was compared: one line each for the board, the network, the data and the training."""

from typing import Any

from blockwise.experiment.initial.taken import Taken
from blockwise.experiment.result import Baseline, DeviceInfo, ModelInfo, Result
from blockwise.report.text import kib, ram_figures, shape, size
from blockwise.system.lists import first_few
from blockwise.training.places import moves
from devices.network.partial import ALL
from devices.program.regimes import INTEGER_REGIMES, PLAIN, find
from devices.program.regimes.builder import FLASH

SETTINGS = {
    "method": "{}",
    "weight_bits": "{}-bit weights",
    "activation_bits": "{}-bit activations",
    "optimizer": "{}",
    "batch_size": "batch {}",
    "epochs": "{} epochs",
}
"""Entries of the configuration that a reader of the figures needs, where the run has them."""

SKIPS_FLOATS = "skip paths in float"

FLOAT_SETTINGS = ("method", "weight_bits", "activation_bits", "optimizer")
"""Those that integer regimes do without."""


def facts(result: Result) -> dict[str, str]:
    """Label -> line."""
    lines = {
        "Board": board(result.device),
        "Network": network(result.model),
        "Start": _start(result.initial),
        "Data": _data(result),
        "Training": settings(result.config),
        "Trained": part(result.config),
        "Integers": integers(result.config),
        "Zeroth order": zeroth_order(result.config),
        "Local heads": together(result.config),
    }
    return {label: line for label, line in lines.items() if line}


def subject(result: Result) -> list[str]:
    """What was compared in a few lines: the network on the board, its data and how it is trained.

    Where only a part is trained, or training goes on from trained weights, a line more says so.
    """
    config = {key: value for key, value in result.config.items() if key != "epochs"}  # beside each regime
    how = settings(config) or integers(config)
    return [
        network(result.model),
        f"on {result.device.title}, RAM {ram_figures(result.device)}",
        "; ".join(filter(None, (f"{result.data.name}, {shape(result.model.in_shape)}", how))),
        *_beginning(result),
    ]


def _beginning(result: Result) -> list[str]:
    """What is trained, if not all, and what it starts from, if it is trained already."""
    trained = part(result.config)
    parts = [f"trained: {trained}"] if trained else []
    if result.initial is not None:
        parts.append(f"from {_weights(result.initial)}")
    return ["; ".join(parts)] if parts else []


def board(device: DeviceInfo) -> str:
    """Title, core, clock, RAM, what of it is kept for stack and system, and flash."""
    ram = f"{size(device.ram_bytes)} RAM"
    if device.largest_contiguous_bytes < device.ram_bytes:
        ram += f" (largest run {size(device.largest_contiguous_bytes)})"
    if device.reserve_bytes:
        ram += f", {size(device.reserve_bytes)} of it reserved"
    flash = f"{size(device.flash_bytes)} flash" if device.flash_bytes else "external flash"
    return f"{device.title}, {device.core} at {device.clock_mhz:g} MHz, {ram}, {flash}"


def network(model: ModelInfo) -> str:
    """Name, width, parameters and the cut."""
    heads, count = sum(model.head_parameters.values()), len(model.blocks)
    width = f"width {model.width}, " if model.width is not None else ""
    text = f"{model.name}, {width}{model.parameters:,} parameters, {count} block{'' if count == 1 else 's'}"
    return f"{text}, {model.head} heads of {heads:,}" if heads else text


def part(config: dict[str, Any]) -> str:
    """What is trained of the network, and where the rest lies; empty where all of it is."""
    spec = config.get("train", ALL)
    if spec == ALL:
        return ""
    where = "read in place from flash" if config.get("frozen") == FLASH else "packed in RAM"
    return f"{spec}; the rest is {where}"


def _start(initial: Taken | None) -> str:
    """Trained weights that the run began with; empty if there were none."""
    return "" if initial is None else f"{_weights(initial)}; digest {initial.digest}"


def _weights(initial: Taken) -> str:
    """Where trained weights are from, and how many are taken."""
    return initial.sentence.removeprefix("--init ")


def plain_backpropagation(result: Result) -> Baseline | None:
    """Plain backpropagation, which all others are measured against; None where it cannot run."""
    return next((b for b in result.baselines if b.regime == PLAIN and not b.obstacle), None)


def settings(config: dict[str, Any]) -> str:
    """The entries of :data:`SETTINGS` that the configuration has and a regime of it uses, and its skips."""
    regimes = config.get("regimes", ())
    only_integers = bool(regimes) and all(regime in INTEGER_REGIMES for regime in regimes)
    unused = set(FLOAT_SETTINGS) if only_integers else set()
    if regimes and not any(find(regime).has_optimizer for regime in regimes):
        unused.add("optimizer")
    shown = [key for key in SETTINGS if config.get(key) not in (None, "") and key not in unused]
    skips = [SKIPS_FLOATS] if config.get("residual") == "float" and not only_integers else []
    return ", ".join([*(SETTINGS[key].format(config[key]) for key in shown), *skips])


SUMS = {
    "buffered": "sums buffered",
    "twice": "sums computed twice",
    "auto": "sums computed twice where their buffers would not fit",
}


def integers(config: dict[str, Any]) -> str:
    """The settings of integer regimes; empty if there is none."""
    found = [find(name) for name in config.get("regimes", ()) if name in INTEGER_REGIMES]
    parts = [f"mu {config['mu']}"] if any(regime.goes_back for regime in found) else []
    if any(not regime.form.scaled for regime in found if regime.form):
        parts.append(SUMS[config["requantize"]])
    if config.get("jump_every", 1) > 1 and any(regime.jumps for regime in found):
        parts.append(f"a jump in {config['jump_every']} batches")
    return ", ".join(parts)


def zeroth_order(config: dict[str, Any]) -> str:
    """The settings of zeroth-order regimes; empty if there is none, or they are not known."""
    found = [find(regime) for regime in config.get("regimes", ()) if find(regime).perturbs]
    if not found or "zo_eps" not in config:
        return ""
    parts = [f"{config['zo_directions']} direction{'s' * (config['zo_directions'] > 1)} a step"]
    if not all(regime.is_integer for regime in found):
        parts.append(f"{config['zo_eps']:g} to either side, peak learning rate {config['zo_lr']:g}")
    if any(regime.is_integer for regime in found):
        parts.append(f"on integers up to {config['zo_range']} units to either side, mu {config['zo_mu']}")
    if any(regime.goes_back for regime in found):
        parts.append(f"hybrids go back through the last {_blocks(config['zo_backprop'])}")
    return ", ".join(parts)


def together(config: dict[str, Any]) -> str:
    """What blocks do that learn together beside learning by labels; empty if nothing, or there are none."""
    if not any(find(regime).learns_together for regime in config.get("regimes", ())):
        return ""
    told, share = config.get("distill"), config.get("skip_heads")
    parts = [f"taught by the last block (distill {told})"] if told else []
    parts += [f"each but the last skips {share:.0%} of the steps"] if share else []
    return ", ".join(parts)


def _blocks(count: int) -> str:
    return "block" if count == 1 else f"{count} blocks"


def _data(result: Result) -> str:
    data = result.data
    counts = f"{data.train:,} training, {data.validation:,} validation, {data.test:,} test images"
    text = f"{data.name}, {shape(result.model.in_shape)}: {counts}"
    learnt = set(data.groups.get("train", ()))
    for split in ("validation", "test"):
        groups = data.groups.get(split, ())
        if groups and not learnt & set(groups):
            text += f", {split} of groups held out ({first_few(groups)})"
    return f"{text}; {data.augmentation}" if data.augmentation else text


def paper_lines(result: Result) -> list[str]:
    """The reference study's formula, in KiB and, for comparison with its tables, decimal MB."""
    paper = result.paper
    inference = paper.inference_parameters + paper.inference_activations
    training = paper.training_parameters + paper.training_optimizer + paper.training_activations
    first = (
        f"inference {_both(inference)} = parameters {kib(paper.inference_parameters)} + "
        f"activations {kib(paper.inference_activations)}"
    )
    second = (
        f"training {_both(training)} = parameters {kib(paper.training_parameters)} + "
        f"optimizer {kib(paper.training_optimizer)} + "
        f"activations {kib(paper.training_activations)}"
    )
    return [first, second]


def _both(count: int) -> str:
    return f"{kib(count)} KiB ({count / 1e6:.3f} MB)"


def run_line(result: Result) -> str:
    """When, and with which versions; where a training was moved, from where and when."""
    versions = [f"{name} {value}" for name, value in result.environment.items() if value]
    own = [(r.regime, r.training.places) for r in result.regimes if r.training and not r.trained_as]
    moved = [f"{regime} {told}" for regime, places in own if (told := moves(places))]
    return "; ".join([", ".join([result.created, f"seed {result.seed}", *versions]), *moved])
