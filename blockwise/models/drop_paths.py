"""DropPath, as timm and the code of ConvNeXt and Swin have it: the stochastic depth of torchvision.

Huang et al. 2016, arXiv 1603.09382. Its own code draws and branches, which cannot be traced.
"""

from torch import nn


def as_stochastic_depth(root: nn.Module) -> nn.Module:
    """``root``, changed in place: a branch of an image is left out, others are scaled by what is kept."""
    for path, module in list(root.named_modules(remove_duplicate=False)):
        rate = getattr(module, "drop_prob", None)
        known = type(module).__name__ == "DropPath" and getattr(module, "scale_by_keep", True)
        if path and known and isinstance(rate, float) and 0 < rate < 1:
            from torchvision.ops import StochasticDepth  # type: ignore[import-untyped]  # slow, seldom needed

            root.set_submodule(path, StochasticDepth(rate, "row"))
    return root
