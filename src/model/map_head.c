/* A value a pixel. */
#include <sigmatic/model/blocks.h>
#include <sigmatic/model/parts.h>

#include <stdio.h>

int sm_map_head_append(sm_graph *graph, sm_features shared, const sm_network_options *options, const sm_head *head,
                       int height, int width)
{
    char conv[SM_NAME_BYTES], norm[SM_NAME_BYTES], last[SM_NAME_BYTES];
    snprintf(conv, sizeof conv, "decoders.%s.0", head->name);
    snprintf(norm, sizeof norm, "decoders.%s.1", head->name);
    snprintf(last, sizeof last, "decoders.%s.3", head->name);
    int x = sm_conv_norm_relu_append(
        graph, shared, conv, norm,
        &(sm_conv2d_options){
            .channels = sm_scaled_channels(256, options->width), .kernel = 3, .stride = 1, .dilation = 1, .pad = 1});
    if (options->dropout > 0) {
        x = sm_graph_dropout(graph, x, options->dropout);
    }
    x = sm_graph_conv2d(
        graph, x, last,
        &(sm_conv2d_options){
            .channels = head->channels, .kernel = 1, .stride = 1, .dilation = 1, .bias = 1, .initial_std = 0.01});
    return sm_graph_resize(graph, x, height, width, options->align_corners);
}
