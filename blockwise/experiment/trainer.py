"""The training of a regime of what is prepared: what is trained is the program that is planned."""

from blockwise.experiment.prepared import Prepared
from blockwise.integer.net import IntegerNet
from blockwise.nets.blocks import BlockNet
from blockwise.quant import ONE_STAGE
from blockwise.quant.precision import available
from blockwise.training import INTEGER_REGIMES, Run, TrainOptions, float_regime
from devices.program.regimes import find


def options_of(prepared: Prepared, regime: str) -> TrainOptions:
    """How ``regime`` is trained, gradients applied when its plan applies them. Nothing is kept on disk."""
    config, training, found = prepared.config, prepared.config.training, find(regime)
    own = found.perturbs and not found.goes_back  # the rates are those of directions
    return TrainOptions(
        epochs=training.epochs,
        last_epochs=training.last_epochs,
        batch_size=training.batch_size,
        optimizer=training.optimizer,
        learning_rate=config.zeroth_order.zo_lr if own else config.learning_rate,
        fused=prepared.update(regime) == "fused",
        seed=training.seed,
        schedule=training.schedule,
        weight_decay=training.weight_decay,
        distillation=config.local.distillation if found.learns_together else None,
        skip_heads=config.local.skip_heads if found.learns_together else 0.0,
        mu=config.zeroth_order.zo_mu if own else training.mu,
        perturbation=config.zeroth_order.perturbation,
        jump_every=training.jump_every,
        stages=ONE_STAGE if found.is_integer else config.stages,  # integers have no quantizers
        accelerator=prepared.accelerator,
        compile=training.compile and not found.is_integer,  # integers run as they are
        precision=available(training.precision, prepared.accelerator),
        digest=config.output.digest,
    )


def run_of(prepared: Prepared, regime: str, options: TrainOptions) -> Run[BlockNet] | Run[IntegerNet]:
    """The training of ``regime`` from the start, on a network of its own."""
    net = prepared.build(regime)
    if isinstance(net, IntegerNet):
        return Run(net, prepared.dataset, INTEGER_REGIMES[regime], options)
    micro_batch = prepared.config.training.micro_batch
    made = float_regime(regime, micro_batch, options.distillation, options.skip_heads)
    return Run(net, prepared.dataset, made, options)
