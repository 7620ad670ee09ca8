"""From a setup to the training of one of its regimes: what is trained is the program that is planned."""

from blockwise.experiment.prepare import Setup
from blockwise.quant import ONE_STAGE
from blockwise.training import Run, TrainOptions, make_regime
from devices.program.regimes import find


def options_of(setup: Setup, regime: str) -> TrainOptions:
    """How ``regime`` is trained, gradients applied when its plan applies them. Nothing is kept on disk."""
    config, training = setup.config, setup.config.training
    return TrainOptions(
        epochs=training.epochs,
        batch_size=training.batch_size,
        optimizer=training.optimizer,
        learning_rate=config.learning_rate,
        fused=setup.update(regime) == "fused",
        seed=training.seed,
        schedule=training.schedule,
        weight_decay=training.weight_decay,
        mu=training.mu,
        stages=ONE_STAGE if find(regime).is_integer else config.stages,  # integers have no quantizers
        accelerator=setup.accelerator,
        compile=training.compile,
        digest=config.output.digest,
    )


def run_of(setup: Setup, regime: str, options: TrainOptions) -> Run:
    """The training of ``regime`` from the start, on a network of its own."""
    made = make_regime(regime, setup.config.training.micro_batch)
    return Run(setup.build(regime), setup.dataset, made, options)
