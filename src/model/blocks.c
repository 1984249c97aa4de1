#include <sigmatic/model/blocks.h>

#include <math.h>

int sm_scaled_channels(int base, double width)
{
    int channels = (int)lround(base * width);
    return channels < 4 ? 4 : channels;
}

int sm_conv_norm_relu_append(sm_graph *graph, sm_features input, const char *conv, const char *norm,
                             const sm_conv2d_options *options)
{
    int x = sm_graph_conv2d_features(graph, input, conv, options);
    return sm_graph_relu(graph, sm_graph_batch_norm(graph, x, norm, 0));
}
