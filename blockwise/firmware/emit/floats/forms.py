"""Which C computes an activation, and its derivative: at what it reads, or read off what it made."""

from blockwise.firmware.emit.floats.text import number
from devices.network.ops import ELU, GELU, Mish, Op, ReLU, Sigmoid, Swish, Tanh


def form_of(op: Op, x: str) -> str | None:
    """The activation of the float ``x``; None for an operation that is none."""
    if isinstance(op, ReLU):
        return f"limited({limits_of(op)}, {x})"
    if isinstance(op, Tanh) and op.hard:
        return f"clamped({x}, {number(op.low)}, {number(op.high)})"
    if isinstance(op, ELU):
        return f"{_times(op.scale)}elu({x}, {number(op.alpha)})"
    name = _name(op)
    return f"{name}({x})" if name else None


def slope_at(op: Op, x: str) -> str | None:
    """The derivative where the activation reads ``x``; None for one that is told by what it made."""
    if isinstance(op, ReLU):
        return f"(float)passes_within({limits_of(op)}, {x})"
    return f"{_name(op)}_slope({x})" if isinstance(op, Swish | GELU | Mish) else None


def slope_of(op: Op, y: str) -> str | None:
    """The derivative where the activation made ``y``; None for one that is told by what it read."""
    if isinstance(op, Tanh) and op.hard:
        return f"(float)passes_within((struct limits){{{number(op.low)}, {number(op.high)}}}, {y})"
    if isinstance(op, ELU):
        return f"elu_slope_of({y}, {number(op.scale)}, {number(op.scale * op.alpha)})"
    return f"{_name(op)}_slope_of({y})" if isinstance(op, Sigmoid | Tanh) else None


def limits_of(op: ReLU) -> str:
    """``struct limits`` of a ReLU."""
    high = op.low - 1.0 if op.high is None else op.high  # below the low one: none
    return f"(struct limits){{{number(op.low)}, {number(high)}}}"


def _times(scale: float) -> str:
    return "" if scale == 1 else f"{number(scale)} * "


def _name(op: Op) -> str:
    match op:
        case Swish():
            return "hard_swish" if op.hard else "silu"
        case GELU():
            return "gelu_by_tanh" if op.tanh else "gelu"
        case Mish():
            return "mish"
        case Sigmoid():
            return "hard_sigmoid" if op.hard else "sigmoid"
        case Tanh():
            return "hyperbolic_tangent"
    return ""
