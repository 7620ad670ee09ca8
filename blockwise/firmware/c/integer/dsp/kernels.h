/* The kernels of sums for cores with the DSP extension (Cortex-M4, M7, M33). */
#ifndef BLOCKWISE_DSP_KERNELS_H
#define BLOCKWISE_DSP_KERNELS_H

#include "conv_input_sums.h"
#include "conv_sums.h"
#include "conv_weight_sums.h"

#endif
