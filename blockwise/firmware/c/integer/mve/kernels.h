/* The kernels of sums for cores with vectors (Cortex-M55). */
#ifndef BLOCKWISE_MVE_KERNELS_H
#define BLOCKWISE_MVE_KERNELS_H

#include "conv_input_sums.h"
#include "conv_sums.h"
#include "conv_weight_sums.h"

#endif
