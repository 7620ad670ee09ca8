"""The training of a regime of what is prepared: what is trained is the program that is planned."""

from blockwise.experiment.prepared import Prepared
from blockwise.quant import ONE_STAGE
from blockwise.training import Run, TrainOptions, make_regime
from devices.program.regimes import find


def options_of(prepared: Prepared, regime: str) -> TrainOptions:
    """How ``regime`` is trained, gradients applied when its plan applies them. Nothing is kept on disk."""
    config, training = prepared.config, prepared.config.training
    return TrainOptions(
        epochs=training.epochs,
        batch_size=training.batch_size,
        optimizer=training.optimizer,
        learning_rate=config.learning_rate,
        fused=prepared.update(regime) == "fused",
        seed=training.seed,
        schedule=training.schedule,
        weight_decay=training.weight_decay,
        mu=training.mu,
        stages=ONE_STAGE if find(regime).is_integer else config.stages,  # integers have no quantizers
        accelerator=prepared.accelerator,
        compile=training.compile,
        digest=config.output.digest,
    )


def run_of(prepared: Prepared, regime: str, options: TrainOptions) -> Run:
    """The training of ``regime`` from the start, on a network of its own."""
    made = make_regime(regime, prepared.config.training.micro_batch)
    return Run(prepared.build(regime), prepared.dataset, made, options)
