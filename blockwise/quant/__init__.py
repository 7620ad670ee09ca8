"""Quantization methods: the catalogue, single quantizers, and the conversion of a whole network."""

from blockwise.quant.catalogue import METHODS, make, method, name_of, scheme
from blockwise.quant.convert import quantize
from blockwise.quant.packing import Packed, code_block, pack, stored_bytes, unpack
from blockwise.quant.parameter_rules import ParameterRules
from blockwise.quant.quantizer import BITS, FLOAT_BITS, ROLES, Method, ParameterRule, Quantizer, Role
from blockwise.quant.scheme import Scheme
from blockwise.quant.stages import ONE_STAGE, Stages

__all__ = [
    "BITS",
    "FLOAT_BITS",
    "METHODS",
    "ONE_STAGE",
    "ROLES",
    "Method",
    "Packed",
    "ParameterRule",
    "ParameterRules",
    "Quantizer",
    "Role",
    "Scheme",
    "Stages",
    "code_block",
    "make",
    "method",
    "name_of",
    "pack",
    "quantize",
    "scheme",
    "stored_bytes",
    "unpack",
]
