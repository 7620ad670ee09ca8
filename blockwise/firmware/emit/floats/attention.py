"""Products of two computed matrices and softmaxes of their rows, for each image and head."""

from collections.abc import Sequence

from blockwise.firmware.emit.floats.joined import targets_of
from blockwise.firmware.emit.floats.operands import Operands
from blockwise.firmware.emit.floats.places import input_shapes
from blockwise.firmware.emit.floats.site import Site
from blockwise.firmware.emit.floats.text import call, dims_of, map_of, number, numbers
from devices.network.ops import MatMul
from devices.program.operation import Operand

Lines = list[str]


def product(site: Site) -> Lines:
    """The factor times the product of the two inputs."""
    output, operands = site.made("output"), Operands(site)
    left, right = (_input(site, operands, "input", index) for index in range(2))
    return [_multiply(site, site.layer.shape, _op(site).inner, left, right, output)]


def product_backward(site: Site) -> Lines:
    """Of each factor: the gradient times the other, turned."""
    operands, shapes = Operands(site), input_shapes(site, site.layer)
    gradient = _matrix(site, operands, site.needed("gradient"), site.layer.shape)
    rows, columns = site.layer.shape[-2:]
    lines = list[str]()
    for index, target in targets_of(site):
        other = _input(site, operands, "saved input", 1 - index, turned=True)
        left, right, inner = (other, gradient, rows) if index else (gradient, other, columns)
        lines.append(_multiply(site, shapes[index], inner, left, right, target))
    return lines


def softmax(site: Site) -> Lines:
    """Of each row."""
    output, operands, shape = site.made("output"), Operands(site), site.layer.shape
    at, where = _matrix(site, operands, site.needed("input"), shape), _matrices(site, shape, output)
    return [call("softmax_of_rows", where, at, _place(site, shape, output), "held", site.floats(output))]


def softmax_backward(site: Site) -> Lines:
    """By its output, in place."""
    operands, shape = Operands(site), site.layer.shape
    target = site.made("input gradient")
    gradient, y = (_matrix(site, operands, site.needed(role), shape) for role in ("gradient", "saved output"))
    where, place = _matrices(site, shape, target), _place(site, shape, target)
    return [call("softmax_backward", where, gradient, y, place, "held", site.gradient(target))]


def _multiply(site: Site, shape: Sequence[int], inner: int, left: str, right: str, target: str) -> str:
    where, place = _matrices(site, shape, target), _place(site, shape, target)
    read = where, inner, number(_op(site).factor), left, right, place, "held"
    return call("multiply_matrices", *read, site.gradient(target))


def _op(site: Site) -> MatMul:
    op = site.layer.op
    assert isinstance(op, MatMul)
    return op


def _input(site: Site, operands: Operands, role: str, index: int, *, turned: bool = False) -> str:
    found = [operand for name, operand in site.operation.operands if name == role]
    return _matrix(site, operands, found[index], input_shapes(site, site.layer)[index], turned=turned)


def _matrix(
    site: Site, operands: Operands, operand: Operand, shape: Sequence[int], *, turned: bool = False
) -> str:
    """The function of an element of matrix h, row r and column k; ``turned``, of row k and column r."""
    at = operands.at(operand, tuple(shape))
    asked = f"const float *held, int b, int h, {'int k, int r' if turned else 'int r, int k'}"
    return site.function("matrix", "float", asked, f"(void)h, (void)r; return {at}(held, b, {_yxc(shape)});")


def _place(site: Site, shape: Sequence[int], name: str) -> str:
    """The function of where an element lies."""
    where = f"(struct map){map_of(site.batch(name), dims_of(shape))}"
    body = f"(void)h, (void)r; return element({where}, b, {_yxc(shape)});"
    return site.function("place", "int", "int b, int h, int r, int k", body)


def _yxc(shape: Sequence[int]) -> str:
    """Row, column and channel in its map of an element of a matrix: those of several have one a channel."""
    return {3: "r, k, h", 2: "0, k, r", 1: "0, 0, k"}[len(shape)]


def _matrices(site: Site, shape: Sequence[int], name: str) -> str:
    count, rows, columns = (1,) * (3 - len(shape)) + tuple(shape)
    return f"(struct matrices){numbers((site.batch(name), count, rows, columns))}"
