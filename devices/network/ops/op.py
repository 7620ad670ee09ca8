"""What all operations have: their kind, what tells them, their traits, costs and what can be counted.

One operation is one frozen dataclass, in a file of its family. Its fields are its geometry, with one number
for every dimension of space, so that signals, images and volumes are alike. A trait answers a question that
the accountings, the schedules and the quantizers ask of a layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from devices.network.ops.call import Call, Shape
from devices.network.ops.row import Row

NO_COSTS: Mapping[str, Row] = MappingProxyType({})
BLOCK = 4
"""Weights to a code where several share one and there is no kernel (Stock et al. 2020)."""


def weights_to_a_code(filter_size: int, kernel_positions: int) -> int:
    """Where one code stands for several weights of an output: those of a kernel, or 4, or one."""
    if kernel_positions > 1:
        return kernel_positions
    return BLOCK if filter_size % BLOCK == 0 else 1


@dataclass(frozen=True)
class Op:
    """An operation of a layer."""

    kind: ClassVar[str] = ""
    """Its name in reports, and what a module's own ``op_kind`` says."""
    modules: ClassVar[tuple[str | type, ...]] = ()
    """The classes of modules that compute it; those of torch.nn and torchvision.ops by name."""
    functions: ClassVar[tuple[str, ...]] = ()
    """Functions and methods of tensors that compute it, by name."""
    costs: ClassVar[Mapping[str, Row]] = NO_COSTS
    """Accounting -> its row there; an accounting that is missing cannot have the operation."""

    accumulates: ClassVar[bool] = False
    """Its output are sums of products, which a norm or a loss may overwrite."""
    makes_codes: ClassVar[bool] = False
    """Its output is quantized to codes."""
    passes_codes: ClassVar[bool] = False
    """It hands codes on as codes, and floats as floats."""
    skips: ClassVar[bool] = False
    """A skip path may lead through it."""
    elementwise: ClassVar[bool] = False
    """It can evaluate a streamed input on the fly, and belongs to the layer before it."""
    both_signs: ClassVar[bool] = True
    """Its values lie on both sides of zero; codes of others count from zero."""
    pads: ClassVar[bool] = False
    """It puts a border around maps, which sums of products read without a copy."""
    rearranges: ClassVar[bool] = False
    """Its output are elements of its only input as they are, codes or floats, read in another order."""
    repeats: ClassVar[bool] = False
    """It reads an element of its input for several of its own, which would each make its sum again."""
    by_row: ClassVar[bool] = False
    """It reads a whole row before it makes the first element, and may then overwrite it."""
    spare: ClassVar[bool] = False
    """Its output may be overwritten row by row: only its reader needs it."""
    saves_for_biases: ClassVar[bool] = False
    """What it saves is read by the gradient of its biases alone."""
    drops: ClassVar[bool] = False
    """It drops elements in training; at rest it does nothing."""
    overwritable: ClassVar[bool] = False
    """A dropout may overwrite its output: what is dropped has no gradient."""
    is_loss: ClassVar[bool] = False
    """It ends a run of layers: its gradient starts from what it saved."""
    ends: ClassVar[bool] = False
    """No gradient waits behind it: a loss, or a sum of losses."""
    normalises: ClassVar[bool] = False
    """A norm: its reader applies its scale and shift."""
    batch_statistics: ClassVar[bool] = False
    """It normalises by statistics of the batch, and keeps running ones."""
    integer_head: ClassVar[bool] = False
    """It may stand in a head of an integer regime: a pooled linear layer."""

    @classmethod
    def of(cls, call: Call) -> Self:
        """The operation with the geometry that ``call`` has."""
        return cls()

    def row(self, accounting: str) -> Row | None:
        """Its costs under an accounting; None if it cannot be there."""
        return self.costs.get(accounting)

    @property
    def words(self) -> str:
        """What it is called in a sentence."""
        return self.kind.replace("_", " ")

    @property
    def bounded(self) -> bool:
        """Whether what it makes codes of has an upper limit of its own, beside that of the codes."""
        return False

    @property
    def stops(self) -> bool:
        """Whether no gradient goes back through it."""
        return False

    @property
    def keeps_sign(self) -> bool:
        """Whether its values are below zero only where one of its inputs is."""
        return False

    @property
    def reads_sums(self) -> bool:
        """Whether a cut before it would keep an accumulator that it could overwrite."""
        return self.elementwise

    @property
    def weights(self) -> int:
        """Elements of the weight tensor; quantized in training."""
        return 0

    @property
    def biases(self) -> int:
        """Bias elements, and scale and shift of a norm; never quantized."""
        return 0

    @property
    def bias_tensors(self) -> int:
        """The parameters that they are made of in PyTorch."""
        return 2 if self.normalises else 1

    @property
    def buffers(self) -> int:
        """Running statistics or constants of a norm, in elements."""
        return 0

    @property
    def folded(self) -> int:
        """Constants of a norm as deployed: scales and shifts, in elements."""
        return self.buffers

    @property
    def filter_size(self) -> int:
        """Weight elements of one output channel."""
        return 0

    @property
    def kernel_positions(self) -> int:
        """Positions of a convolution's kernel."""
        return 1

    @property
    def window(self) -> int:
        """Elements of a pooling window; 0 for none, or one that follows from the output."""
        return 0

    @property
    def norm_groups(self) -> int:
        """Groups of channels that a norm normalises together; 0 if it does not."""
        return 0

    @property
    def code_block(self) -> int:
        """Weights to a code where one code stands for several."""
        return weights_to_a_code(self.filter_size, self.kernel_positions)

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates of the forward pass per sample, for an output of this shape."""
        return 0

    def without_bias(self) -> "Op":
        """The same with no bias."""
        return self


@dataclass(frozen=True)
class Unknown(Op):
    """An operation of a traced network that none of the known ones is."""

    called: str = ""
    kind = "unknown"
