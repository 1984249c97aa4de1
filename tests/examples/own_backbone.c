/* A backbone: as many 3x3 convolutions with batch norm and ReLU as the key model.depth says, the first three of stride 2, then
 * the library's ASPP as its neck. Shapes, memory, gradients and algorithms follow from the ops. */
#include "own_kinds.h"

#include <sigmatic/model/blocks.h>
#include <sigmatic/model/parts.h>

#include <stdio.h>

enum { STRIDED = 3, CHANNELS = 32 };

static const sm_key keys[] = {
    {"model", "depth", SM_KEY_INTEGER, "4", STRIDED, 64, NULL, "layers", "plain: convolutions"},
    {0},
};

/* Parameters are named backbone.0.conv.weight, backbone.0.bn.weight, ...; model.width scales all channels. */
static sm_features append(sm_graph *graph, int input, const sm_network_options *options)
{
    int depth = (int)sm_config_integer(options->config, "model", "depth");
    sm_features features = {.map = input, .vector = -1};
    for (int i = 0; i < depth; i++) {
        char conv[64], norm[64];
        int doublings = i < STRIDED ? i : STRIDED - 1;
        sm_conv2d_options layer = {.channels = sm_scaled_channels(CHANNELS << doublings, options->width),
                                   .kernel = 3,
                                   .stride = i < STRIDED ? 2 : 1,
                                   .dilation = 1,
                                   .pad = 1};
        snprintf(conv, sizeof conv, "backbone.%d.conv", i);
        snprintf(norm, sizeof norm, "backbone.%d.bn", i);
        features.map = sm_conv_norm_relu_append(graph, features, conv, norm, &layer);
    }
    return features;
}

const sm_backbone own_plain = {
    .name = "plain",
    .keys = keys,
    .append = append,
    .neck = sm_aspp_append,
};
