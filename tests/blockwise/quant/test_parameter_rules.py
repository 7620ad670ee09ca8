"""Weights decay, and nothing else: whatever the shape of a norm's factors."""

import torch
from torch import nn

from blockwise import quant
from blockwise.quant import ParameterRules
from blockwise.training.updater import Updater, rule_of


def test_factors_of_a_norm_over_places_do_not_decay_and_weights_do():
    norm, linear = nn.LayerNorm([4, 6, 6]), nn.Linear(144, 3)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), linear)
    for model in (net, quant.quantize(net, "lsq", 3, 3)):
        rules = ParameterRules.of(model)
        decays = {name: rule_of(p, rules, 0.5).weight_decay for name, p in model.named_parameters()}
        assert {name for name, decay in decays.items() if decay} == {"0.weight", "4.weight"}
        updater = Updater(model.parameters(), "sgd", fused=False, rules=rules, peak=0.2, weight_decay=0.5)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        updater.set_learning_rate(0.2)
        updater.finish_step()
        moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        assert moved == {"0.weight", "4.weight"}
