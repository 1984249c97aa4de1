/* ResNet (He et al. 2016) with torchvision's names, and its dilated form: instead of a stride of 2 the rest of the network is dilated by 2.
 * As torchvision's replace_stride_with_dilation, a dilated layer's first block keeps the dilation of the layer before. */
#include <sigmatic/model/blocks.h>
#include <sigmatic/model/parts.h>

#include <stdio.h>
#include <string.h>

typedef struct resnet_kind {
    const char *name;
    int bottleneck;
    int blocks[4];
} resnet_kind;

static const resnet_kind kinds[] = {
    {"resnet18", 0, {2, 2, 2, 2}},   {"resnet34", 0, {3, 4, 6, 3}},   {"resnet50", 1, {3, 4, 6, 3}},
    {"resnet101", 1, {3, 4, 23, 3}}, {"resnet152", 1, {3, 8, 36, 3}},
};

typedef struct block {
    char name[64];
    int channels;  /* of the 3x3 convolution */
    int expansion; /* output channels = channels * expansion */
    int stride, dilation;
    int downsample;
} block;

static void part_name(char out[SM_NAME_BYTES], const block *b, const char *part)
{
    snprintf(out, SM_NAME_BYTES, "%s.%s", b->name, part);
}

static int conv_norm(sm_graph *graph, int input, const block *b, const char *conv, const char *norm, int channels,
                     int kernel, int stride, int dilation)
{
    char name[SM_NAME_BYTES];
    part_name(name, b, conv);
    int x = sm_graph_conv2d(graph, input, name,
                            &(sm_conv2d_options){.channels = channels,
                                                 .kernel = kernel,
                                                 .stride = stride,
                                                 .dilation = dilation,
                                                 .pad = dilation * (kernel / 2)});
    part_name(name, b, norm);
    return sm_graph_batch_norm(graph, x, name, 0);
}

/* The shortcut comes first, so that the sum can be applied together with the last normalisation. */
static int append_block(sm_graph *graph, int input, const block *b)
{
    int channels_out = b->channels * b->expansion, x;
    int shortcut = input;
    sm_graph_begin_recompute_block(graph);
    if (b->downsample) {
        shortcut = conv_norm(graph, input, b, "downsample.0", "downsample.1", channels_out, 1, b->stride, 1);
    }
    if (b->expansion > 1) {
        x = sm_graph_relu(graph, conv_norm(graph, input, b, "conv1", "bn1", b->channels, 1, 1, 1));
        x = sm_graph_relu(graph, conv_norm(graph, x, b, "conv2", "bn2", b->channels, 3, b->stride, b->dilation));
        x = conv_norm(graph, x, b, "conv3", "bn3", channels_out, 1, 1, 1);
    } else {
        x = sm_graph_relu(graph, conv_norm(graph, input, b, "conv1", "bn1", b->channels, 3, b->stride, b->dilation));
        x = conv_norm(graph, x, b, "conv2", "bn2", b->channels, 3, 1, b->dilation);
    }
    x = sm_graph_relu(graph, sm_graph_add(graph, x, shortcut));
    sm_graph_end_recompute_block(graph);
    return x;
}

static const resnet_kind *find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

const char *sm_resnet_name(int bottleneck, const int blocks[4])
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].bottleneck == bottleneck && memcmp(kinds[i].blocks, blocks, sizeof kinds[i].blocks) == 0) {
            return kinds[i].name;
        }
    }
    return NULL;
}

sm_features sm_resnet_append(sm_graph *graph, int input, const sm_network_options *options)
{
    const resnet_kind *kind = find(options->backbone->name);
    sm_graph_begin_recompute_block(graph);
    int x = sm_conv_norm_relu_append(
        graph, (sm_features){input, -1}, "backbone.conv1", "backbone.bn1",
        &(sm_conv2d_options){
            .channels = sm_scaled_channels(64, options->width), .kernel = 7, .stride = 2, .dilation = 1, .pad = 3});
    x = sm_graph_max_pool(graph, x, 3, 2, 1);
    sm_graph_end_recompute_block(graph);
    int stride_so_far = 4, dilation = 1, channels_in = sm_scaled_channels(64, options->width);
    for (int layer = 0; layer < 4; layer++) {
        int stride = layer == 0 ? 1 : 2, first_dilation = dilation;
        if (stride > 1 && stride_so_far * stride > options->output_stride) {
            dilation *= stride;
            stride = 1;
        }
        stride_so_far *= stride;
        for (int i = 0; i < kind->blocks[layer]; i++) {
            block b = {.channels = sm_scaled_channels(64 << layer, options->width),
                       .expansion = kind->bottleneck ? 4 : 1};
            snprintf(b.name, sizeof b.name, "backbone.layer%d.%d", layer + 1, i);
            b.stride = i == 0 ? stride : 1;
            b.dilation = i == 0 ? first_dilation : dilation;
            b.downsample = i == 0 && (stride > 1 || channels_in != b.channels * b.expansion);
            channels_in = b.channels * b.expansion;
            x = append_block(graph, x, &b);
        }
    }
    return (sm_features){x, -1};
}
