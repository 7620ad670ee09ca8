"""A quantizer as a board has it: without state of its own, its values passed in as they lie in memory."""

import copy

import torch
from torch import Tensor, nn

from blockwise.quant.layers import QuantActivation, Shared, Signed
from blockwise.quant.quantizer import Quantizer, signs
from devices.program.kernels.quantization import Encoded, Weights


class QuantizerOnBoard:
    """Computes by a copy of ``quantizer``, whose parameters and buffers are set before each use.

    ``trained`` are its parameters and ``kept`` its floating-point buffers, one behind the other in the order
    in which they are registered.
    """

    def __init__(self, quantizer: Quantizer) -> None:
        self.quantizer = copy.deepcopy(quantizer).cpu().train().requires_grad_()
        self.keeps = quantizer.memory(quantizer.bits).kept > 0

    @staticmethod
    def trained(quantizer: Quantizer) -> Tensor:
        """Its parameters, flat."""
        return torch.cat([torch.empty(0), *(p.detach().flatten() for p in quantizer.parameters())])

    @staticmethod
    def kept(quantizer: Quantizer) -> Tensor:
        """Its floating-point buffers, flat."""
        buffers = (b.flatten() for b in quantizer.buffers() if b.is_floating_point())
        return torch.cat([torch.empty(0), *buffers])

    def weights(self, latent: Tensor, trained: Tensor | None, kept: Tensor | None, *, moves: bool) -> Weights:
        """By the levels as they are; with ``moves`` they follow afterwards."""
        quantizer = self._set(trained, kept, moves)
        x = latent.view(quantizer.shape)
        floats, after = quantizer(x).detach(), self._kept(kept)
        self._set(trained, after)
        return Weights(quantizer.board_codes(x), floats.flatten(), after)

    def weights_ahead(self, latent: Tensor, trained: Tensor | None, kept: Tensor | None) -> Weights:
        """As another layer reads them: where levels follow, by those that the next pass begins with."""
        if kept is not None and self.quantizer.follows:
            kept = kept[: len(kept) // 2].repeat(2)
        return self.weights(latent, trained, kept, moves=False)

    def weight_gradient(
        self, gradient: Tensor, latent: Tensor, trained: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Through the quantizer's own backward pass."""
        quantizer = self._set(trained, kept)
        shape = quantizer.shape
        found, step = self._pulled(gradient.view(shape), latent.view(shape))
        return found.flatten(), step

    def packed(
        self, latent: Tensor, trained: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """As deployed: by the levels that it would use at rest."""
        quantizer = self._set(trained, kept).eval()
        x = latent.view(quantizer.shape)
        codes = quantizer.codes(x)
        constants = [t.detach().float().flatten() for t in quantizer.constants(x).values()]
        quantizer.train()
        return codes, torch.cat(constants) if constants else None

    def unpacked(self, codes: Tensor, constants: Tensor | None) -> Tensor:
        """The floats of deployed codes."""
        quantizer = self.quantizer
        names = quantizer.constants(torch.zeros(quantizer.shape))
        found, start = {}, 0
        for name, like in names.items():
            assert constants is not None
            found[name] = constants[start : start + like.numel()].view(like.shape)
            start += like.numel()
        shape = quantizer.shape
        whole = codes.view(shape) if codes.numel() == torch.Size(shape).numel() else codes
        return type(quantizer).decode(whole, found, quantizer.bits, shape).flatten()

    def encode(self, x: Tensor, trained: Tensor | None, kept: Tensor | None, *, moves: bool) -> Encoded:
        """Codes by the levels as they are, and where a gradient of one comes through."""
        quantizer = self._set(trained, kept, moves)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (passed,) = torch.autograd.grad(quantizer(x).sum(), x)
        after = self._kept(kept)
        self._set(trained, after)
        return Encoded(quantizer.board_codes(x.detach()), passed != 0, after)

    def encode_at_rest(self, x: Tensor, levels: Tensor | None) -> Tensor:
        """Codes by what is packed beside the codes of weights."""
        quantizer = self._at_rest(levels)
        codes = quantizer.codes(x)
        quantizer.train()
        return codes

    def passes_at_rest(self, x: Tensor, levels: Tensor | None) -> Tensor:
        """Where its own backward pass lets a gradient through."""
        return self.slope_at_rest(x, levels) != 0

    def slope_at_rest(self, x: Tensor, levels: Tensor | None) -> Tensor:
        """What its own backward pass makes of a gradient of 1: 0 and 1 alone, unless it is graded."""
        quantizer = self._at_rest(levels)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (passed,) = torch.autograd.grad(quantizer(x).sum(), x)
        quantizer.train()
        return passed

    def _at_rest(self, levels: Tensor | None) -> Quantizer:
        """The quantizer in evaluation mode with the values that are packed, and with no others."""
        quantizer = self._set(None, None)
        if levels is not None:
            if self.keeps:
                quantizer = self._set(None, levels.repeat(2))
            else:
                whole = torch.full((sum(p.numel() for p in quantizer.parameters()),), torch.nan)
                whole[: len(levels)] = levels
                quantizer = self._set(whole, None)
        return quantizer.eval()

    def decode(self, codes: Tensor, levels: Tensor | None) -> Tensor:
        """By the values that the codes are read with."""
        return self.quantizer.decode_activations(codes, levels)

    def gradient(
        self, gradient: Tensor, mask: Tensor | None, codes: Tensor | None, x: Tensor | None,
        trained: Tensor | None, kept: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """From the values before rounding where they were read again, else from mask and codes alone."""
        quantizer = self._set(trained, kept)
        if x is not None:
            return self._pulled(gradient, x)
        if mask is None:
            raise TypeError("neither mask nor values were saved")
        step = quantizer.gradient_of_codes(gradient, mask, codes) if trained is not None else None
        return torch.where(mask, gradient, 0), step

    def _pulled(self, gradient: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        parameters = list(self.quantizer.parameters())
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            out = self.quantizer(x)
            found, *steps = torch.autograd.grad(out, [x, *parameters], gradient, materialize_grads=True)
        return found, torch.cat([s.flatten() for s in steps]) if steps else None

    def _set(self, trained: Tensor | None, kept: Tensor | None, moves: bool = False) -> Quantizer:
        """The quantizer with these values, and with none that it was not given."""
        quantizer = self.quantizer
        with torch.no_grad():
            _fill(list(quantizer.parameters()), trained)
            if self.keeps:
                _fill([b for b in quantizer.buffers() if b.is_floating_point()], kept)
        quantizer.tracks = moves
        return quantizer

    def _kept(self, kept: Tensor | None) -> Tensor | None:
        return None if kept is None else self.kept(self.quantizer).clone()


class SignedOnBoard(QuantizerOnBoard):
    """A :class:`~blockwise.quant.layers.Signed` one: the highest bit of a code is the sign."""

    def __init__(self, signed: Signed) -> None:
        super().__init__(signed.magnitude)
        self.negative = 1 << signed.magnitude.bits

    def encode(self, x: Tensor, trained: Tensor | None, kept: Tensor | None, *, moves: bool) -> Encoded:
        """Codes of magnitudes, and signs; zero lies above."""
        found = super().encode(x.abs(), trained, kept, moves=moves)
        return Encoded(found.codes + self.negative * (x < 0), found.mask, found.kept)

    def encode_at_rest(self, x: Tensor, levels: Tensor | None) -> Tensor:
        """Codes of magnitudes, and signs."""
        return super().encode_at_rest(x.abs(), levels) + self.negative * (x < 0)

    def slope_at_rest(self, x: Tensor, levels: Tensor | None) -> Tensor:
        """That of the magnitude."""
        return super().slope_at_rest(x.abs(), levels)

    def decode(self, codes: Tensor, levels: Tensor | None) -> Tensor:
        """The magnitude with its sign."""
        return super().decode(codes % self.negative, levels) * self._side(codes)

    def gradient(
        self, gradient: Tensor, mask: Tensor | None, codes: Tensor | None, x: Tensor | None,
        trained: Tensor | None, kept: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """That of the magnitude, on the side on which the value lies."""
        if x is not None:
            side, x, codes = signs(x), x.abs(), None
        elif codes is not None:
            side, codes = self._side(codes), codes % self.negative
        else:  # the mask is all that is needed
            return super().gradient(gradient, mask, None, None, trained, kept)
        found, step = super().gradient(gradient * side, mask, codes, x, trained, kept)
        return found * side, step

    def _side(self, codes: Tensor) -> Tensor:
        return torch.where(codes >= self.negative, -1.0, 1.0)


class FormedOnBoard(QuantizerOnBoard):
    """Behind an activation that is not part of the quantizer: codes of what ``form`` makes."""

    def __init__(self, activation: QuantActivation) -> None:
        quantizer = activation.quantizer
        assert isinstance(quantizer, Quantizer)
        super().__init__(quantizer)
        self.form = copy.deepcopy(activation.form)

    def encode(self, x: Tensor, trained: Tensor | None, kept: Tensor | None, *, moves: bool) -> Encoded:
        """A gradient comes through where both let it."""
        made, slope = self._formed(x)
        found = super().encode(made, trained, kept, moves=moves)
        return Encoded(found.codes, found.mask & (slope != 0), found.kept)

    def encode_at_rest(self, x: Tensor, levels: Tensor | None) -> Tensor:
        """Codes of the activation."""
        return super().encode_at_rest(self._formed(x)[0], levels)

    def slope_at_rest(self, x: Tensor, levels: Tensor | None) -> Tensor:
        """That of the activation, where its quantizer passes it on."""
        made, slope = self._formed(x)
        return slope * super().slope_at_rest(made, levels)

    def gradient(
        self, gradient: Tensor, mask: Tensor | None, codes: Tensor | None, x: Tensor | None,
        trained: Tensor | None, kept: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """``x`` is what the activation reads; a mask alone is of an activation that is linear in pieces."""
        if x is None:
            return super().gradient(gradient, mask, codes, None, trained, kept)
        made, slope = self._formed(x)
        found, step = super().gradient(gradient, None, None, made, trained, kept)
        return found * slope, step

    def _formed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The activation of x, and its derivative there."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            made = self.form(x)
            (slope,) = torch.autograd.grad(made.sum(), x)
        return made.detach(), slope


def on_board(quantizer: nn.Module) -> QuantizerOnBoard:
    """The quantizer of a layer, or of what several layers read, as a board has it."""
    if isinstance(quantizer, QuantActivation):
        return FormedOnBoard(quantizer)
    if isinstance(quantizer, Shared):
        return on_board(quantizer.quantizer)
    if isinstance(quantizer, Signed):
        return SignedOnBoard(quantizer)
    assert isinstance(quantizer, Quantizer)
    return QuantizerOnBoard(quantizer)


def _fill(tensors: list[Tensor] | list[nn.Parameter], values: Tensor | None) -> None:
    """Values that were not given are no numbers."""
    start = 0
    for tensor in tensors:
        if values is None:
            tensor.fill_(torch.nan)
        else:
            tensor.copy_(values[start : start + tensor.numel()].view(tensor.shape))
        start += tensor.numel()
