"""What a board does to measured values before they are a network's bytes: told in a project's README."""

from collections.abc import Mapping, Sequence

from blockwise.data import Dataset
from blockwise.firmware.shapes import as_map

TITLE = "From measured values to bytes"

TEXT = """\
A byte is `round((value - low) / (high - low) * 255)`, clipped to 0..255, by the constants of its channel,
which are those of the training samples. {order}

```c
static const float low[{count}] = {{{low}}};
static const float high[{count}] = {{{high}}};
```"""


def scaling_note(dataset: Dataset) -> Mapping[str, str]:
    """The constants as C, by the title they are told under; nothing for samples that were bytes."""
    scaling = dataset.scaling
    if scaling is None:
        return {}
    channels, height, width = as_map(dataset.in_shape)
    steps, order = height * width, "The features stand one after the other."
    if steps > 1:
        order = (
            f"The {channels} channels of one step stand side by side, the {steps} steps one after the other."
        )
    text = TEXT.format(order=order, count=channels, low=_listed(scaling.low), high=_listed(scaling.high))
    return {TITLE: text}


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.9g}" for value in values)
