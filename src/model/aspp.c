/* Atrous spatial pyramid pooling (Chen et al. 2017), with torchvision's names. */
#include <sigmatic/model/blocks.h>
#include <sigmatic/model/parts.h>

#include <stdio.h>

static int append_branch(sm_graph *graph, int input, int branch, int channels, int rate)
{
    char conv[SM_NAME_BYTES], norm[SM_NAME_BYTES];
    snprintf(conv, sizeof conv, "aspp.convs.%d.0", branch);
    snprintf(norm, sizeof norm, "aspp.convs.%d.1", branch);
    sm_conv2d_options options = {.channels = channels,
                                 .kernel = branch == 0 ? 1 : 3,
                                 .stride = 1,
                                 .dilation = rate,
                                 .pad = branch == 0 ? 0 : rate};
    return sm_conv_norm_relu_append(graph, (sm_features){input, -1}, conv, norm, &options);
}

/* One value a channel and image: its statistics are never those of one rank alone. */
static int append_pooled_branch(sm_graph *graph, int input, int channels)
{
    int x = sm_graph_global_average_pool(graph, input);
    x = sm_graph_conv2d(graph, x, "aspp.convs.4.1",
                        &(sm_conv2d_options){.channels = channels, .kernel = 1, .stride = 1, .dilation = 1});
    x = sm_graph_batch_norm(graph, x, "aspp.convs.4.2", 1);
    return sm_graph_relu(graph, x);
}

/* A projection reads the pooled branch at every pixel: its 1x1 convolution is small. Heads read it as a vector. */
sm_features sm_aspp_append(sm_graph *graph, sm_features features, const sm_network_options *options)
{
    int input = features.map;
    int channels = sm_scaled_channels(256, options->width);
    int branches[SM_ASPP_RATES + 2];
    branches[0] = append_branch(graph, input, 0, channels, 1);
    for (int i = 0; i < SM_ASPP_RATES; i++) {
        branches[i + 1] = append_branch(graph, input, i + 1, channels, options->rates[i]);
    }
    int pooled = branches[SM_ASPP_RATES + 1] = append_pooled_branch(graph, input, channels);
    if (!options->project) {
        return (sm_features){sm_graph_concat(graph, branches, SM_ASPP_RATES + 1), pooled};
    }
    int x = sm_graph_concat(graph, branches, SM_ASPP_RATES + 2);
    x = sm_conv_norm_relu_append(graph, (sm_features){x, -1}, "aspp.project.0", "aspp.project.1",
                                 &(sm_conv2d_options){.channels = channels, .kernel = 1, .stride = 1, .dilation = 1});
    return (sm_features){x, -1};
}
