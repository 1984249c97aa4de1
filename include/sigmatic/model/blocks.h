/** \file
 * Building blocks that backbones, necks and heads share. */
#ifndef SIGMATIC_MODEL_BLOCKS_H
#define SIGMATIC_MODEL_BLOCKS_H

#include <sigmatic/graph/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \return max(4, base * width rounded): channels of a layer under the width multiplier. */
int sm_scaled_channels(int base, double width);

/** Appends convolution NAME.<conv> + batch norm NAME.<norm> + ReLU. \return its value */
int sm_conv_norm_relu_append(sm_graph *graph, sm_features input, const char *conv, const char *norm,
                             const sm_conv2d_options *options);

#ifdef __cplusplus
}
#endif
#endif
