/* Graphs for tests of plans. */
#include "plan_fixture.h"

#include <sigmatic/base/random.h>

#include <stdio.h>
#include <string.h>

int conv(sm_graph *graph, int input, const char *name, int channels, int kernel, int stride, int dilation, int bias)
{
    return sm_graph_conv2d(graph, input, name,
                           &(sm_conv2d_options){.channels = channels,
                                                .kernel = kernel,
                                                .stride = stride,
                                                .dilation = dilation,
                                                .pad = dilation * (kernel / 2),
                                                .bias = bias});
}

int conv_norm(sm_graph *graph, int input, const char *name, int channels, int kernel, int stride, int dilation)
{
    char norm[SM_NAME_BYTES];
    snprintf(norm, sizeof norm, "%.64s.norm", name);
    return sm_graph_batch_norm(graph, conv(graph, input, name, channels, kernel, stride, dilation, 0), norm, 0);
}

/* Every op and every link of the real network, small and with odd sizes; the decoders share one representation.
 * Variant 1 has nothing that training does otherwise than inference if normalisation is frozen: no dropout.
 * Variant 2 is sixteen times as wide: large enough for most of its memory to be used again. */
void small_network(sm_graph *graph, unsigned variant)
{
    int x = sm_graph_input(graph, (sm_value_shape){29, 35, 3}), wide = variant == 2 ? 16 : 1;
    x = sm_graph_relu(graph, conv_norm(graph, x, "stem", 6 * wide, 7, 2, 1));
    x = sm_graph_max_pool(graph, x, 3, 2, 1);
    int shortcut = conv_norm(graph, x, "down", 8 * wide, 1, 2, 1);
    int y = sm_graph_relu(graph, conv_norm(graph, x, "a1", 8 * wide, 3, 2, 1));
    x = sm_graph_relu(graph, sm_graph_add(graph, conv_norm(graph, y, "a2", 8 * wide, 3, 1, 1), shortcut));
    y = sm_graph_relu(graph, conv_norm(graph, x, "b1", 5 * wide, 1, 1, 1));
    y = sm_graph_relu(graph, conv_norm(graph, y, "b2", 5 * wide, 3, 1, 2));
    x = sm_graph_relu(graph, sm_graph_add(graph, conv_norm(graph, y, "b3", 8 * wide, 1, 1, 1), x));
    int branches[2] = {sm_graph_relu(graph, conv_norm(graph, x, "aspp0", 5 * wide, 1, 1, 1)),
                       sm_graph_relu(graph, conv_norm(graph, x, "aspp1", 5 * wide, 3, 1, 3))};
    int pooled = conv(graph, sm_graph_global_average_pool(graph, x), "pooled", 4 * wide, 1, 1, 1, 0);
    pooled = sm_graph_relu(graph, sm_graph_batch_norm(graph, pooled, "pooled.norm", 1));
    sm_features shared = {sm_graph_concat(graph, branches, 2), pooled};
    const sm_conv2d_options window = {.channels = 7 * wide, .kernel = 3, .stride = 1, .dilation = 1, .pad = 1};
    for (int task = 0; task < 2; task++) {
        const char *const names[2][3] = {{"left", "left.last", "left.norm"}, {"right", "right.last", "right.norm"}};
        graph->task = task;
        y = sm_graph_conv2d_features(graph, shared, names[task][0], &window);
        y = sm_graph_relu(graph, sm_graph_batch_norm(graph, y, names[task][2], 0));
        y = sm_graph_dropout(graph, y, variant == 1 ? 0 : 0.3);
        y = conv(graph, y, names[task][1], 2 + task, 1, 1, 1, 1);
        sm_graph_add_output(graph, names[task][0], sm_graph_resize(graph, y, 29, 35, 0));
    }
    graph->task = -1;
}

/* A max pool that leaves one pixel, of a map that others read. */
void pooled_to_a_pixel(sm_graph *graph, unsigned variant)
{
    (void)variant;
    int x = sm_graph_input(graph, (sm_value_shape){4, 4, 3});
    x = sm_graph_conv2d(graph, x, "stem",
                        &(sm_conv2d_options){.channels = 24, .kernel = 7, .stride = 2, .dilation = 1, .pad = 3});
    x = sm_graph_relu(graph, sm_graph_batch_norm(graph, x, "norm", 0));
    x = sm_graph_max_pool(graph, x, 3, 2, 1);
    x = sm_graph_conv2d(graph, x, "head",
                        &(sm_conv2d_options){.channels = 5, .kernel = 1, .stride = 1, .dilation = 1, .bias = 1});
    sm_graph_add_output(graph, "out", x);
    sm_graph_add_output(graph, "again", sm_graph_relu(graph, x));
}

/* One value x read by two or by five ops, 1x1 convolutions among them (where beta = 0 twice would lose a gradient).
 * With `copies` each reader has an x of its own, computed by a convolution and normalisation of its own (stem0, stem1,
 * ...). */
static void fan_out(sm_graph *graph, int readers, int copies)
{
    int input = sm_graph_input(graph, (sm_value_shape){7, 9, 3});
    int x[5], parts[5];
    for (int i = 0; i < readers; i++) {
        char name[SM_NAME_BYTES];
        snprintf(name, sizeof name, "stem%d", i);
        x[i] = i > 0 && !copies ? x[0] : sm_graph_relu(graph, conv_norm(graph, input, name, 4, 3, 1, 1));
    }
    parts[0] = conv(graph, x[0], "reader0", 4, 1, 1, 1, 0);
    parts[1] = readers > 2 ? sm_graph_add(graph, x[1], parts[0]) : conv(graph, x[1], "reader1", 4, 1, 1, 1, 1);
    if (readers > 2) {
        parts[2] = sm_graph_resize(graph, sm_graph_max_pool(graph, x[2], 3, 2, 1), 7, 9, 0);
        parts[3] = sm_graph_batch_norm(graph, conv(graph, x[3], "reader3", 4, 1, 1, 1, 0), "reader3.norm", 0);
        parts[4] = sm_graph_global_average_pool(graph, x[4]);
    }
    sm_graph_add_output(graph, "out", sm_graph_concat(graph, parts, readers));
}

void fan_out_shared(sm_graph *graph, unsigned readers)
{
    fan_out(graph, (int)readers, 0);
}

void fan_out_copied(sm_graph *graph, unsigned readers)
{
    fan_out(graph, (int)readers, 1);
}

/* A convolution of a map and a vector; or of their concatenation. */
void map_and_vector(sm_graph *graph, unsigned concatenated)
{
    int x = sm_graph_input(graph, (sm_value_shape){9, 6, 3});
    int map = conv(graph, x, "map", 5, 3, 1, 1, 1);
    int vector = conv(graph, sm_graph_global_average_pool(graph, x), "vector", 4, 1, 1, 1, 1);
    const sm_conv2d_options window = {.channels = 7, .kernel = 3, .stride = 2, .dilation = 2, .pad = 1, .bias = 1};
    int both[] = {map, vector};
    x = concatenated ? sm_graph_conv2d(graph, sm_graph_concat(graph, both, 2), "reader", &window)
                     : sm_graph_conv2d_features(graph, (sm_features){map, vector}, "reader", &window);
    sm_graph_add_output(graph, "out", x);
}

/* One convolution, normalisation and linear layer, each used twice; or two of each. */
void layers_used_twice(sm_graph *graph, unsigned copies)
{
    static const char *const names[2][3] = {{"conv0", "norm0", "linear0"}, {"conv1", "norm1", "linear1"}};
    int x = sm_graph_input(graph, (sm_value_shape){5, 6, 3});
    x = conv(graph, x, "first", 4, 3, 1, 1, 0);
    for (int i = 0; i < 2; i++) {
        const char *const *name = names[copies ? i : 0];
        x = sm_graph_relu(graph, sm_graph_batch_norm(graph, conv(graph, x, name[0], 4, 3, 1, 1, 1), name[1], 1));
    }
    x = sm_graph_global_average_pool(graph, x);
    for (int i = 0; i < 2; i++) {
        x = sm_graph_linear(graph, x, names[copies ? i : 0][2], 4);
    }
    sm_graph_add_output(graph, "out", x);
}

void perceptron(sm_graph *graph, unsigned variant)
{
    int x = sm_graph_input(graph, (sm_value_shape){1, 1, 5});
    x = sm_graph_relu(graph, sm_graph_linear(graph, x, "hidden", 11));
    if (variant) {
        x = sm_graph_dropout(graph, x, 0.4);
    }
    sm_graph_add_output(graph, "y1", sm_graph_linear(graph, x, "head1", 1));
    sm_graph_add_output(graph, "y2", sm_graph_linear(graph, x, "head2", 3));
}

/* ---- random graphs ---- */

typedef struct growth {
    sm_graph *graph;
    sm_random random;
    int values[64], count;
    int linear; /* only ops whose output is linear in the input, and in each parameter */
} growth;

static int pick(growth *g)
{
    int recent = g->count < 5 ? g->count : 5; /* short memory: chains, but with branches */
    return g->values[g->count - 1 - (int)sm_random_below(&g->random, (uint32_t)recent)];
}

static int find_same_shape(growth *g, int value)
{
    sm_value_shape wanted = g->graph->values[value].shape;
    int start = (int)sm_random_below(&g->random, (uint32_t)g->count);
    for (int i = 0; i < g->count; i++) {
        int other = g->values[(start + i) % g->count];
        sm_value_shape shape = g->graph->values[other].shape;
        if (shape.height == wanted.height && shape.width == wanted.width && shape.channels == wanted.channels) {
            return other;
        }
    }
    return value;
}

static int append_any(growth *g, int index)
{
    sm_graph *graph = g->graph;
    sm_random *random = &g->random;
    int x = pick(g);
    sm_value_shape shape = graph->values[x].shape;
    char name[SM_NAME_BYTES];
    snprintf(name, sizeof name, "op%d", index);
    int spatial = sm_value_pixels(shape) > 1, channels = 1 + (int)sm_random_below(random, 6);
    switch (sm_random_below(random, g->linear ? 7 : 10)) {
    case 0: {
        if (!spatial) {
            return sm_graph_linear(graph, x, name, channels);
        }
        int biased = (int)sm_random_below(random, 2), dilation = 1 + (int)sm_random_below(random, 2);
        int stride = 1 + (int)sm_random_below(random, 2);
        return conv(graph, x, name, channels, 3, stride, dilation, biased);
    }
    case 1:
        return conv(graph, x, name, channels, 1, 1, 1, (int)sm_random_below(random, 2));
    case 2:
    case 3:
        return sm_graph_add(graph, x, find_same_shape(g, x));
    case 4: {
        int parts[3] = {x, find_same_shape(g, x), find_same_shape(g, x)};
        return sm_graph_concat(graph, parts, 2 + (int)sm_random_below(random, 2));
    }
    case 5:
        return spatial ? sm_graph_resize(graph, x, 5, 6, 0) : sm_graph_dropout(graph, x, 0.3);
    case 6:
        return sm_random_below(random, 4) ? sm_graph_dropout(graph, x, 0.25) : sm_graph_global_average_pool(graph, x);
    case 7:
        return sm_graph_relu(graph, x);
    case 8:
        return spatial ? sm_graph_batch_norm(graph, x, name, 0) : sm_graph_relu(graph, x);
    default:
        return spatial && sm_random_below(random, 2) ? sm_graph_max_pool(graph, x, 3, 1, 1)
                                                     : sm_graph_relu(graph, sm_graph_batch_norm(graph, x, name, 1));
    }
}

static void grow(sm_graph *graph, unsigned variant, int linear)
{
    growth g = {.graph = graph, .random = sm_random_new(11, variant, 0), .linear = linear};
    int input = sm_graph_input(graph, (sm_value_shape){5, 6, 3});
    g.values[g.count++] = conv(graph, input, "first", 4, 3, 1, 1, 0);
    int ops = 4 + (int)sm_random_below(&g.random, 14);
    for (int i = 0; i < ops; i++) {
        g.values[g.count++] = append_any(&g, i);
    }
    /* the last value, and some in the middle that others read too; the rest may be dead ends */
    sm_graph_add_output(graph, "last", g.values[g.count - 1]);
    for (int i = 0; i < 2; i++) {
        int at = (int)sm_random_below(&g.random, (uint32_t)g.count - 1);
        if (i == 0 || graph->outputs[1].value != g.values[at]) {
            sm_graph_add_output(graph, "middle", g.values[at]);
        }
    }
}

void random_graph(sm_graph *graph, unsigned variant)
{
    grow(graph, variant, 0);
}

void random_linear_graph(sm_graph *graph, unsigned variant)
{
    grow(graph, variant, 1);
}

const known_graph graphs[GRAPHS] = {
    {"small network", small_network, 3}, {"fan-out", fan_out_shared, 6}, {"shared layers", layers_used_twice, 2},
    {"perceptron", perceptron, 2},       {"random", random_graph, 150},  {"to a pixel", pooled_to_a_pixel, 1},
};

int is_legal(int graph, unsigned variant)
{
    return graphs[graph].build != fan_out_shared || variant == 2 || variant == 5;
}
