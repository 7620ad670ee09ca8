"""From a configuration to what it names, loaded and checked before any work is begun."""

import math

import torch
from torch import nn

from blockwise import data, models
from blockwise.experiment import board
from blockwise.experiment.config import Config
from blockwise.experiment.initial import sources
from blockwise.experiment.initial.weights import KEPT, Weights, kept
from blockwise.experiment.prepared import Prepared
from blockwise.models import Chain
from blockwise.models.files import keeping
from blockwise.quant.compiling import check_compiled
from blockwise.quant.precision import fallback
from blockwise.system.notes import note
from blockwise.system.sizes import check_room
from devices.boards.profile import Device
from devices.errors import InputError
from devices.planning import check_place, check_shares
from devices.program.regimes import PLAIN, find
from devices.program.state import OPTIMIZER_STATES

FLOAT_BYTES = 4


def prepare(
    config: Config,
    images: data.Dataset | None = None,
    own: nn.Module | None = None,
    device: Device | None = None,
    initial: Weights | None = None,
) -> Prepared:
    """Load the board and the images; refuse what only the parts together show.

    ``images``, ``own``, a network, ``device``, a board, and ``initial``, trained weights, are taken instead
    of those that the configuration names. Raises InputError for what does not exist, does not fit together
    or cannot be trained.
    """
    config.training.check_jumps()
    prepared = named(config, images, own, device, initial)
    board.check_names((prepared.device, *prepared.other_devices))
    for one in (prepared.device, *prepared.other_devices):
        check_place(one, config.training.frozen)
    if config.images.in_shape is None:
        data.check_batch_size(config.training.batch_size, prepared.dataset)
        config.training.check_wait(len(prepared.dataset.train))
    check_shares(prepared.network, prepared.step(PLAIN).bits)
    _ = prepared.accelerator
    if prepared.initial_taken is not None and initial is None:  # who gives weights knows them
        note(prepared.initial_taken.sentence)
    for regime in config.training.regimes:
        found = prepared.obstacle(regime)
        if found is not None:
            raise found.error
    if prepared.initial_taken is None and prepared.leaves_biases_out:
        note(f"model {config.network.model}: integer regimes leave biases out")
    if not config.output.dry_run:
        _check_room(prepared)
        _check_compiler(prepared)
        missing = fallback(config.training.precision, prepared.accelerator)
        if missing:
            note(missing)
    return prepared


def named(
    config: Config,
    images: data.Dataset | None = None,
    own: nn.Module | None = None,
    device: Device | None = None,
    initial: Weights | None = None,
) -> Prepared:
    """What the configuration names, loaded; whether its parts go together is not looked at yet.

    Arguments as of :func:`prepare`. Raises InputError for what does not exist.
    """
    device = board.load(device or config.board.device, config.board.reserve_kib, config.output.resume)
    dataset = images_of(config) if images is None else images
    own = _in_file(config, dataset) if own is None else own
    network = None if own is None else _fitting(own, dataset)
    return Prepared(config, device, dataset, network, initial=initial or _initial(config))


def _in_file(config: Config, dataset: data.Dataset) -> nn.Module | None:
    """The network that a run kept, or that stands in a file; None for one that a name builds."""
    model, folder = config.network.model, config.output.resume
    kept = keeping.load(folder, model) if folder is not None and models.is_own(model) else None
    if kept is not None or not models.files.is_file(model):
        return kept
    torch.manual_seed(config.training.seed)  # first weights that are drawn
    return models.files.load(model, dataset.in_shape, len(dataset.classes))


def _initial(config: Config) -> Weights | None:
    """The trained weights that a run kept, or that the configuration names; None for drawn ones."""
    init, folder = config.network.init, config.output.resume
    if init in models.INITS:
        return None
    found = kept(folder / KEPT) if folder is not None else None
    return found or sources.read(init)


def _fitting(own: nn.Module, dataset: data.Dataset) -> Chain:
    """The chain of a network of one's own, for the images and classes of ``dataset``."""
    chain = models.as_chain(own, dataset.in_shape)
    takes, given = (chain.in_shape, chain.num_classes), (dataset.in_shape, len(dataset.classes))
    if takes[0] == given[0] and takes != given and not len(dataset.train):  # a shape without images
        raise InputError(
            "--classes", got=f"{given[1]}", wanted=f"{takes[1]}, as {chain.name} has them",
            do=f"add --classes {takes[1]}",
        )  # fmt: skip
    if takes != given:
        raise InputError(
            f"data {dataset.name}", got=f"images of {given[0]} in {given[1]} classes",
            wanted=f"{takes[0]} in {takes[1]}, as {chain.name} has them",
            do="use other data or another network, or one that takes num_classes (docs/usage.md)",
        )  # fmt: skip
    return chain


def images_of(config: Config) -> data.Dataset:
    """The data that the configuration names. Raises InputError for what does not exist."""
    images = config.images
    if images.in_shape is not None:
        return data.blank(images.in_shape, images.classes)
    return data.load(
        images.data, image_size=images.image_size, seed=config.training.seed, validation=images.validation,
        hold_out=images.hold_out, augment=images.augment, features=images.features, download=images.download,
        progress=data.silent if config.output.quiet else None,
    )  # fmt: skip


def _check_room(prepared: Prepared) -> None:
    """Refuse a training whose weights, or what a backward pass needs at least, this computer lacks."""
    training, network = prepared.config.training, prepared.network
    heads = sum(layer.weights + layer.biases for block in network.blocks for layer in block.head)
    copies = 2 + OPTIMIZER_STATES[training.optimizer]  # with gradients
    parameters = network.parameters + heads
    flag = "--head" if heads > network.parameters else "--width"
    check_room(flag, f"{parameters:,} parameters to train", FLOAT_BYTES * copies * parameters)
    if prepared.accelerator == "cpu":
        kept = [sum(math.prod(x.shape) for x in block.layers if x.weights) for block in network.blocks]
        whole = any(find(regime).keeps_batch for regime in training.regimes)
        floats = training.batch_size * (sum(kept) if whole else max(kept))
        check_room("--batch-size", f"{training.batch_size:,} images at a time", FLOAT_BYTES * floats)


def _check_compiler(prepared: Prepared) -> None:
    """Refuse a compiler that loses gradients, where float regimes are to be trained by one."""
    training = prepared.config.training
    floats = [r for r in training.regimes if not find(r).is_integer]
    if floats and training.compile:
        check_compiled(prepared.build(floats[0]).to(prepared.accelerator))
