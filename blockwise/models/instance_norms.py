"""Instance norms (Ulyanov et al. 2016, arXiv 1607.08022) as group norms of one channel each.

Both take the same mean and variance, of each channel of each image; a group norm can be traced and planned.
"""

from torch import nn

from devices.errors import InputError

INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def as_group_norms(root: nn.Module, name: str) -> nn.Module:
    """``root``, changed in place, or what stands for it. Raises InputError for one that keeps statistics."""
    if isinstance(root, INSTANCE_NORMS):
        return _group_norm(root, name)
    for path, module in list(root.named_modules(remove_duplicate=False)):
        if isinstance(module, INSTANCE_NORMS):
            root.set_submodule(path, _group_norm(module, f"{name}.{path}"))
    return root


def _group_norm(norm: nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d, name: str) -> nn.GroupNorm:
    """With its parameters."""
    if norm.track_running_stats:
        raise InputError(
            name, got="an instance norm that keeps statistics", wanted="one of each image's own",
            do="set track_running_stats=False, or use a batch norm",
        )  # fmt: skip
    made = nn.GroupNorm(norm.num_features, norm.num_features, norm.eps, affine=norm.affine)
    if norm.affine:
        made.weight, made.bias = norm.weight, norm.bias
    return made.train(norm.training)
