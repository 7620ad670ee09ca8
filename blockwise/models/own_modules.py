"""What a module of one's own has to be before its code is looked at: weights of its own that all learn."""

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized

from devices.errors import InputError

MODAL = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
"""Layers that do something else in training."""


def check_plain_weights(module: nn.Module, name: str) -> None:
    """Raise InputError for weights without values, and for those that are made of others at every step."""
    for path, part in module.named_modules():
        subject = f"{name}.{path}" if path else name
        if any(is_lazy(parameter) for parameter in part.parameters(recurse=False)):
            raise InputError(
                subject, got=f"{type(part).__name__}, whose weights have no shape yet",
                wanted="weights with values", do="call the module once before, or name its sizes",
            )  # fmt: skip
        computed = [key for key in ("weight", "bias") if _is_computed(part, key)]
        if is_parametrized(part) or computed:
            raise InputError(
                subject, got="weights computed of other parameters, as by weight_norm or spectral_norm",
                wanted="each layer's weights as parameters of their own",
                do="remove them before: remove_weight_norm, remove_spectral_norm or remove_parametrizations",
            )  # fmt: skip


def _is_computed(part: nn.Module, name: str) -> bool:
    """Whether a tensor is an attribute of the module, but nothing that it registered."""
    return isinstance(vars(part).get(name), Tensor)


def check_own_weights(root: nn.Module, name: str) -> None:
    """Raise InputError for a parameter that two layers have, or that is not to be trained.

    A layer that stands at two places is one.
    """
    for path, parameter in root.named_parameters():
        if not parameter.requires_grad:
            raise InputError(
                f"{name}.{path}", got="frozen weights", wanted="a network that is trained as a whole",
                do="set requires_grad_(True)",
            )  # fmt: skip
    met = set[nn.Parameter]()
    for path, part in root.named_modules():
        for key, parameter in part.named_parameters(path, recurse=False, remove_duplicate=False):
            if parameter in met:
                raise InputError(
                    f"{name}.{key}", got="weights that two layers share", wanted="each layer's own",
                    do="give every layer its own weights",
                )  # fmt: skip
            met.add(parameter)


def check_modes(root: nn.Module, name: str) -> None:
    """Refuse layers that the module's own ``train`` keeps at rest, and of many devices. Raises InputError."""
    for path, part in root.named_modules():
        if isinstance(part, nn.SyncBatchNorm):
            raise InputError(
                f"{name}.{path}", got="SyncBatchNorm, whose statistics are of several devices",
                wanted="those of one board's batch", do="use nn.BatchNorm2d",
            )  # fmt: skip
        if isinstance(part, MODAL) and not part.training:
            raise InputError(
                f"{name}.{path}", got="a layer that stays in evaluation mode",
                wanted="a network that is trained as a whole",
                do="let train() be PyTorch's, and choose a part with --train",
            )  # fmt: skip
