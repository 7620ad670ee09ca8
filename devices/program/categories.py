"""What a byte of RAM is spent on: the categories that add up to the peak."""

PACKED_WEIGHTS = "packed weights"
LATENT_WEIGHTS = "latent weights"
WEIGHT_GRADIENTS = "weight gradients"
OPTIMIZER_STATE = "optimizer state"
SAVED_ACTIVATIONS = "saved activations"
WORKING_TENSORS = "working tensors"
NORM_AND_QUANTIZER = "norm buffers and quantizer parameters"
SCRATCH = "scratch"

CATEGORIES = (
    PACKED_WEIGHTS,
    LATENT_WEIGHTS,
    WEIGHT_GRADIENTS,
    OPTIMIZER_STATE,
    SAVED_ACTIVATIONS,
    WORKING_TENSORS,
    NORM_AND_QUANTIZER,
    SCRATCH,
)
"""In the order in which reports list them."""
