"""Published set-ups by name: what every flag has unless it is given."""

from blockwise.experiment.config import Config
from blockwise.experiment.settings import (
    ImageSettings,
    NetworkSettings,
    QuantizationSettings,
    TrainingSettings,
)

PRESETS: dict[str, Config] = {
    # Their program's recipe for CIFAR-10 (Nøkland & Eidnes 2019, arXiv 1901.06656; anokland/local-loss).
    "local-loss": Config(
        network=NetworkSettings(
            model="vgg8b", width=128, blocks="each", head="predsim", activation="leaky-relu", dropout=0.2,
            bias=True, init="pytorch",
        ),
        images=ImageSettings(data="cifar10"),
        quantization=QuantizationSettings(method="fp32"),
        training=TrainingSettings(
            regimes=("bp", "local"), epochs=400, batch_size=128, optimizer="adam", lr=5e-4, schedule="steps",
            weight_decay=0.0,
        ),
    ),
}  # fmt: skip
