"""Graphs of ONNX: what several nodes read, what they share, and what no layer computes."""

import numpy as np
import pytest
from onnx_graphs import SHAPE, Node, error, graph, needs_onnx, normal
from torch import nn

from blockwise import models
from devices.errors import InputError

FLOAT, INT32 = 1, 6
HEAD: list[Node] = [("Flatten", ("z",), "f", {}), ("Gemm", ("f", "fc.weight", "fc.bias"), "y", {"transB": 1})]
CONV = {"pads": [1, 1, 1, 1]}


def weights(**others: np.ndarray) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """Of two convolutions that leave the size and of the head, and others."""
    return {
        "c.weight": normal(1, 1, 3, 3), "d.weight": normal(1, 1, 3, 3, seed=2), "fc.weight": normal(5, 64),
        "fc.bias": normal(5, seed=3), **others,
    }  # fmt: skip


@needs_onnx
def test_a_product_of_matrices_that_others_read_does_not_get_the_bias_behind_it(tmp_path):
    nodes = [
        ("Flatten", ("x",), "f", {}), ("MatMul", ("f", "a.weight"), "p", {}),
        ("Add", ("p", "a.bias"), "q", {}), ("Relu", ("p",), "r", {}), ("Mul", ("q", "r"), "m", {}),
        ("MatMul", ("m", "b.weight"), "n", {}), ("Add", ("n", "b.bias"), "y", {}),
    ]  # fmt: skip
    given = {"a.weight": normal(64, 6), "a.bias": normal(6), "b.weight": normal(6, 5), "b.bias": normal(5)}
    path = graph(tmp_path / "net.onnx", nodes, given)
    assert error(path) < 1e-5
    biases = [m.bias is not None for m in models.build(path, SHAPE).modules() if isinstance(m, nn.Linear)]
    assert biases == [False, True]


@needs_onnx
@pytest.mark.parametrize("kind", ["Conv", "Mul"])
def test_weights_of_two_layers_are_refused_and_rows_of_one_number_are_each_layers_own(tmp_path, kind):
    def net(shared: str) -> str:
        first = [("Conv", ("x", "e.weight"), "w", {})]
        twice = {
            "Conv": [("Conv", ("w", "c.weight", shared), "a", CONV),
                     ("Conv", ("a", "d.weight", shared), "b", CONV)],
            "Mul": [("Mul", ("w", shared), "a", {}), ("Mul", ("a", shared), "b", {})],
        }[kind]  # fmt: skip
        shape = (2,) if kind == "Conv" else (1, 2, 1, 1)
        given = {
            "c.weight": normal(2, 2, 3, 3), "d.weight": normal(2, 2, 3, 3), "own": normal(*shape),
            "e.weight": normal(2, 1, 1, 1), "fc.weight": normal(5, 128), "fc.bias": normal(5),
            "ones": np.ones(shape, np.float32),
        }  # fmt: skip
        return graph(tmp_path / "net.onnx", [*first, *twice, ("Relu", ("b",), "z", {}), *HEAD], given)

    assert error(net("ones")) < 1e-5
    with pytest.raises(InputError, match=r"net.onnx: own: got weights that two layers share, wanted each"):
        models.build(net("own"), SHAPE)


@needs_onnx
def test_weights_under_another_name_are_those_of_the_first(tmp_path):
    nodes = [
        ("Identity", ("c.weight",), "other", {}), ("Conv", ("x", "c.weight"), "a", CONV),
        ("Conv", ("a", "other"), "z", CONV), *HEAD,
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"c.weight: got weights that two layers share"):
        models.build(graph(tmp_path / "net.onnx", nodes, weights()), SHAPE)


TAKEN: dict[str, tuple[list[Node], int]] = {
    "a sum of three": (
        [("Conv", ("x", "c.weight"), "a", CONV), ("Conv", ("a", "d.weight"), "b", CONV),
         ("Relu", ("a",), "r", {}), ("Sum", ("half", "a", "b", "r"), "z", {}), *HEAD], 18,
    ),
    "a sum of one": ([("Relu", ("x",), "a", {}), ("Sum", ("a",), "z", {}), *HEAD], 18),
    "a slice by attributes": (
        [("Conv", ("x", "c.weight"), "a", CONV),
         ("Slice", ("a",), "z", {"starts": [0, 1], "ends": [8, 9], "axes": [2, -1]}),
         ("Flatten", ("z",), "f", {}), ("Gemm", ("f", "part", "fc.bias"), "y", {"transB": 1})], 9,
    ),
    "one bias for all": (
        [("Flatten", ("x",), "f", {}), ("Gemm", ("f", "fc.weight", "single"), "y", {"transB": 1})], 18,
    ),
    "a bias that is shaped": (
        [("Flatten", ("x",), "f", {}), ("MatMul", ("f", "turned"), "p", {}),
         ("Unsqueeze", ("fc.bias", "first"), "u", {}), ("Add", ("u", "p"), "y", {})], 18,
    ),
    "two ELUs": (
        [("Elu", ("x",), "a", {}), ("Elu", ("a",), "z", {"alpha": 0.5}), *HEAD], 18,
    ),
    "means and maxima of some dimensions": (
        [("Conv", ("x", "eight"), "a", CONV), ("ReduceMean", ("a", "last"), "b", {"keepdims": 0}),
         ("ReduceMax", ("b", "last"), "c", {}), ("Pow", ("c", "two"), "d", {}),
         ("Unsqueeze", ("d", "one"), "e", {}), ("Add", ("e", "x"), "z", {}), *HEAD], 18,
    ),
    "a sum over space": (
        [("Conv", ("x", "eight"), "a", CONV), ("ReduceSum", ("a", "space"), "z", {"keepdims": 0}),
         ("Gemm", ("z", "few", "fc.bias"), "y", {"transB": 1})], 18,
    ),
    "one channel for many": (
        [("Expand", ("x", "sizes"), "z", {}), ("Flatten", ("z",), "f", {}),
         ("Gemm", ("f", "wide", "fc.bias"), "y", {"transB": 1})], 18,
    ),
    "SELU and Mish": (
        [("Selu", ("x",), "a", {}), ("Mish", ("a",), "z", {}), *HEAD], 18,
    ),
    "a Mish before opset 18": (
        [("Softplus", ("x",), "a", {}), ("Tanh", ("a",), "b", {}), ("Mul", ("x", "b"), "z", {}), *HEAD], 17,
    ),
    "pixels of one channel, and back": (
        [("SpaceToDepth", ("x",), "a", {"blocksize": 2}), ("Relu", ("a",), "b", {}),
         ("DepthToSpace", ("b",), "z", {"blocksize": 2}), *HEAD], 18,
    ),
    "pixels of two channels": (
        [("Conv", ("x", "eight"), "a", CONV), ("DepthToSpace", ("a",), "z", {"blocksize": 2, "mode": "CRD"}),
         ("Flatten", ("z",), "f", {}), ("Gemm", ("f", "wide", "fc.bias"), "y", {"transB": 1})], 18,
    ),
    "a border of what is beside it, computed": (
        [("Slice", ("border", "last", "before", "first", "back"), "pads", {}),
         ("Pad", ("x", "pads"), "z", {"mode": "edge"}), ("Flatten", ("z",), "f", {}),
         ("Gemm", ("f", "nine", "fc.bias"), "y", {"transB": 1})], 18,
    ),
}  # fmt: skip


@needs_onnx
def test_what_is_taken_away_and_divided_by_is_not_trained(tmp_path):
    nodes = [
        ("Conv", ("x", "eight"), "a", CONV), ("Sub", ("a", "mean"), "b", {}), ("Div", ("b", "std"), "z", {}),
        ("Flatten", ("z",), "f", {}), ("Gemm", ("f", "wide", "fc.bias"), "y", {"transB": 1}),
    ]  # fmt: skip
    given = weights(
        eight=normal(8, 1, 3, 3), wide=normal(5, 512), mean=normal(8, 1, 1), std=abs(normal(8, 1, 1)) + 1
    )
    path = graph(tmp_path / "net.onnx", nodes, given)
    assert error(path) < 1e-5
    assert models.count_parameters(models.build(path, SHAPE)) == 8 * 9 + 5 * 512 + 5


@needs_onnx
@pytest.mark.parametrize("name", TAKEN)
def test_operators_are_what_the_reference_computes(tmp_path, name):
    nodes, opset = TAKEN[name]
    given = weights(
        half=np.float32(0.5), part=normal(5, 56), single=normal(1), turned=normal(64, 5), first=np.array([0]),
        eight=normal(8, 1, 3, 3), wide=normal(5, 512), nine=normal(5, 81), last=np.array([-1]),
        one=np.array([1]), few=normal(5, 8), space=np.array([-2, -1]), two=np.float32(2),
        sizes=np.array([1, 8, 8, 8]),
        border=np.array([1, 0, 0, 0, 0, 1, 0, 0]), before=np.array([-9]), back=np.array([-1]),
    )  # fmt: skip
    assert error(graph(tmp_path / "net.onnx", nodes, given, opset)) < 1e-5


@needs_onnx
def test_a_layer_that_cannot_be_planned_is_named_by_its_node_and_by_no_line_of_generated_code(tmp_path):
    path = graph(tmp_path / "net.onnx", [("Softplus", ("x",), "z", {}), *HEAD], weights(), 18)
    with pytest.raises(InputError, match=r"^layer z of net: got Softplus, .*; replace it, or add its kind"):
        models.build(path, SHAPE)


REFUSED: dict[str, tuple[list[Node], str]] = {
    "a cast to integers": (
        [("Cast", ("x",), "a", {"to": INT32}), ("Cast", ("a",), "z", {"to": FLOAT}), *HEAD],
        "node a: got Cast with a type that is not floating",
    ),
    "a bias that is computed": (
        [("Flatten", ("x",), "f", {}), ("Gemm", ("f", "fc.weight", "fc.bias"), "b", {"transB": 1}),
         ("Gemm", ("f", "fc.weight", "b"), "y", {"transB": 1})],
        "node y: got Gemm with maps in the place of constants",
    ),
    "places in reverse": (
        [("Slice", ("x", "last", "before", "axis", "back"), "z", {}), *HEAD],
        "node z: got Slice with steps back",
    ),
    "pixels whose channels lie side by side": (
        [("Conv", ("x", "eight"), "a", CONV), ("DepthToSpace", ("a",), "z", {"blocksize": 2}), *HEAD],
        r"node z: got DepthToSpace with places before channels \(mode DCR\)",
    ),
    "pixels of several channels": (
        [("Conv", ("x", "eight"), "a", CONV), ("SpaceToDepth", ("a",), "z", {"blocksize": 2}), *HEAD],
        "node z: got SpaceToDepth with places before channels",
    ),
    "what is drawn at random": (
        [("RandomUniformLike", ("scale",), "a", {}), ("Flatten", ("x",), "e", {}),
         ("Mul", ("e", "a"), "f", {}), HEAD[1]],
        "node a: got RandomUniformLike, which draws at random, wanted constants.*; export the network after",
    ),
    "a norm of other channels": (
        [("BatchNormalization", ("x", "fc.bias", "fc.bias", "fc.bias", "fc.bias"), "z", {}), *HEAD],
        "node z: got BatchNormalization with other inputs or attributes",
    ),
}  # fmt: skip


@needs_onnx
@pytest.mark.parametrize("name", REFUSED)
def test_what_no_layer_computes_is_refused_in_one_line(tmp_path, name):
    nodes, message = REFUSED[name]
    given = weights(
        scale=normal(64), last=np.array([7]), before=np.array([-9]), axis=np.array([3]), back=np.array([-1]),
        eight=normal(8, 1, 3, 3),
    )  # fmt: skip
    with pytest.raises(InputError, match=message) as refusal:
        models.build(graph(tmp_path / "net.onnx", nodes, given), SHAPE)
    assert "\n" not in str(refusal.value)


@needs_onnx
def test_a_factor_of_one_number_is_trained_if_it_has_dimensions_and_a_mask_is_not(tmp_path):
    def trained(kind: str, value: np.ndarray) -> int:
        nodes = [(kind, ("x", "own"), "z", {}), *HEAD]
        given = {"own": value.astype(np.float32), "fc.weight": normal(5, 64), "fc.bias": normal(5)}
        path = graph(tmp_path / "net.onnx", nodes, given)
        assert error(path) < 1e-5
        return sum(p.numel() for p in models.build(path, SHAPE).parameters()) - 5 * 65

    assert [trained("Mul", np.full(shape, 0.3)) for shape in ((1,), (1, 1, 1, 1), ())] == [1, 1, 0]
    mask = np.where(np.eye(8) > 0, -1e4, 0.0)
    assert [trained("Add", value) for value in (mask, mask / 10)] == [0, 64]
