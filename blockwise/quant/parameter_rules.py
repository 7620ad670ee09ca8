"""How the optimizer treats the parameters of a quantized network, and what holds after its steps."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from blockwise.layers.weighted import Weighted
from blockwise.quant.layers import QuantWeighted
from blockwise.quant.quantizer import ParameterRule, Quantizer

Constraint = Callable[[Tensor], None]


@dataclass(frozen=True)
class ParameterRules:
    """``rules`` of parameters that differ from the rest; ``constraints`` on parameters after a step."""

    rules: dict[Tensor, ParameterRule] = field(default_factory=dict)
    constraints: dict[Tensor, Constraint] = field(default_factory=dict)

    @classmethod
    def of(cls, model: nn.Module) -> "ParameterRules":
        """What the quantizers of ``model`` ask for; factors of norms are no weights, whatever their shape."""
        rules: dict[Tensor, ParameterRule] = {}
        constraints: dict[Tensor, Constraint] = {}
        for module in model.modules():
            if isinstance(module, QuantWeighted):
                quantizer = module.weight_quantizer
                if quantizer.weight_rule is not None:
                    rules[module.weight] = quantizer.weight_rule
                if type(quantizer).constrain is not Quantizer.constrain:
                    constraints[module.weight] = quantizer.constrain
            elif isinstance(module, Quantizer):
                for name, parameter in module.named_parameters(recurse=False):
                    rules[parameter] = module.rules.get(name, ParameterRule())
            elif not isinstance(module, Weighted):
                rules |= {p: ParameterRule() for p in module.parameters(recurse=False) if p.ndim > 1}
        return cls(rules, constraints)

    def constrain(self, parameters: Iterable[Tensor]) -> None:
        """Bring those that were stepped back into range."""
        if not self.constraints:
            return
        with torch.no_grad():
            for parameter in parameters:
                if parameter in self.constraints:
                    self.constraints[parameter](parameter)
