/* ranks: 1 */
/* The plan against itself in other forms (memory not shared, ops not fused, other capacity, poisoned memory), against
 * differences of the loss, and against graphs that copy what others share. */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/base/status.h>
#include <sigmatic/graph/plan.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { OUTPUTS_MOST = 4 };

typedef void (*graph_builder)(sm_graph *graph, unsigned variant);

/* ---- a plan with all the memory that it needs ---- */

typedef struct machine {
    sm_parameters *parameters;
    sm_graph *graph;
    sm_plan *plan;
    sm_run run;
    int capacity;
} machine;

static sm_plan_options training = {.capacity = 3, .training = 1, .threads = 1, .precision = SM_CONV2D_HIGHEST};

/* Numbers of a slice that depend on its name alone; variances are positive. */
static void fill_slices(const sm_slices *slices, float *flat)
{
    memset(flat, 0, slices->floats * sizeof *flat);
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        const char *suffix = strrchr(slice->name, '.');
        sm_random random = sm_random_new(3, sm_hash(slice->name), 0);
        float *values = sm_alloc(slice->count * sizeof *values);
        for (size_t j = 0; j < slice->count; j++) {
            values[j] = strcmp(suffix, ".running_var") == 0 ? 0.5f + sm_random_uniform(&random)
                                                            : 0.4f * sm_random_normal(&random);
        }
        sm_slice_import(slice, values, flat);
        sm_free(values);
    }
}

static void bind_memory(machine *m)
{
    for (int region = SM_REGION_PARAMETERS; region < SM_REGIONS; region++) {
        m->run.base[region] = sm_alloc_zeroed(sm_plan_region_bytes(m->plan, (sm_region)region) + 1);
    }
    m->run.threads = 1;
    m->run.seed = 5;
    fill_slices(&m->parameters->parameters, (float *)m->run.base[SM_REGION_PARAMETERS]);
}

/* Cuts the ops into recompute blocks of random lengths, with ops of no block in between: any cut must give the same numbers. */
static void cut_recompute_blocks(sm_graph *graph)
{
    sm_random random = sm_random_new(11, (uint64_t)graph->op_count, 0);
    for (int first = 0, block = 1; first < graph->op_count; block++) {
        int end = first + 1 + (int)sm_random_below(&random, 8), outside = sm_random_below(&random, 5) == 0;
        for (; first < end && first < graph->op_count; first++) {
            graph->ops[first].recompute_block = outside ? 0 : block;
        }
    }
}

static machine machine_new_frozen(graph_builder build, unsigned variant, const sm_plan_options *options,
                                  const char *freeze)
{
    machine m = {.parameters = sm_parameters_new(), .capacity = options->capacity};
    m.graph = sm_graph_new(m.parameters);
    build(m.graph, variant);
    cut_recompute_blocks(m.graph);
    if (freeze) {
        CU_ASSERT(sm_parameters_freeze(m.parameters, freeze) > 0);
    }
    SM_TEST_OK(sm_plan_new(m.graph, options, &m.plan));
    bind_memory(&m);
    return m;
}

static machine machine_new(graph_builder build, unsigned variant, const sm_plan_options *options)
{
    return machine_new_frozen(build, variant, options, NULL);
}

static void machine_free(machine *m)
{
    for (int region = SM_REGION_PARAMETERS; region < SM_REGIONS; region++) {
        sm_free(m->run.base[region]);
    }
    sm_plan_free(m->plan);
    sm_graph_free(m->graph);
    sm_parameters_free(m->parameters);
}

/* ---- one run and what came out of it ---- */

typedef struct result {
    int output_count;
    size_t output_floats[OUTPUTS_MOST];
    float *output[OUTPUTS_MOST];
    float *gradients, *buffers; /* slice after slice, in the files' order */
    size_t gradient_floats, buffer_floats;
} result;

static void result_free(result *r)
{
    for (int i = 0; i < r->output_count; i++) {
        sm_free(r->output[i]);
    }
    sm_free(r->gradients);
    sm_free(r->buffers);
}

static float *export_all(const sm_slices *slices, const float *flat, size_t *floats)
{
    float *values = sm_alloc(slices->floats * sizeof *values);
    *floats = 0;
    for (int i = 0; i < slices->count; i++) {
        sm_slice_export(&slices->items[i], flat, values + *floats);
        *floats += slices->items[i].count;
    }
    return values;
}

static void fill(void *memory, size_t bytes, float value)
{
    float *floats = memory;
    for (size_t i = 0; i < bytes / sizeof *floats; i++) {
        floats[i] = value;
    }
}

static void poison_region(machine *m, sm_region region, float value)
{
    fill(m->run.base[region], sm_plan_region_bytes(m->plan, region), value);
}

static size_t output_floats(const machine *m, int output)
{
    return sm_value_elements(m->graph->values[m->graph->outputs[output].value].shape);
}

/* Does a backward call write the gradient of this slice? Not if it is frozen, nor at a dead end. */
static int has_gradient(const sm_plan *plan, const sm_slice *slice)
{
    int count;
    const sm_call *calls = sm_plan_calls(plan, 2, &count);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < SM_CALL_OPERANDS; j++) {
            sm_operand operand = calls[i].operand[j];
            if (operand.region == SM_REGION_GRADIENTS && operand.offset == slice->offset * sizeof(float)) {
                return 1;
            }
        }
    }
    return 0;
}

static float *gradients_of(const machine *m)
{
    return (float *)m->run.base[SM_REGION_GRADIENTS];
}

/* Gradients that no call writes must still be what they were; zeros make results comparable. */
static void clear_untouched_gradients(machine *m, float poison)
{
    for (int i = 0; i < m->parameters->parameters.count; i++) {
        const sm_slice *slice = &m->parameters->parameters.items[i];
        float *gradient = gradients_of(m) + slice->offset;
        if (has_gradient(m->plan, slice)) {
            continue;
        }
        int untouched = 1;
        for (size_t j = 0; j < slice->count; j++) {
            untouched = untouched && memcmp(&gradient[j], &poison, sizeof poison) == 0;
            gradient[j] = 0;
        }
        CU_ASSERT(untouched || m->run.accumulate);
    }
}

/* Forward, seed gradients, backward. Whatever a call must not read before somebody wrote it holds `poison`:
 * activations, workspace, packed weights, gradients (unless they are added to), samples beyond the batch. Running
 * statistics start afresh. */
static result execute(machine *m, int batch, float poison)
{
    result r = {.output_count = m->graph->output_count};
    sm_run *run = &m->run;
    size_t sample = sm_value_elements(m->graph->values[0].shape);
    int trains = sm_plan_region_bytes(m->plan, SM_REGION_GRADIENTS) > 0;
    static const sm_region scratch[] = {SM_REGION_PREPARED, SM_REGION_INPUT, SM_REGION_ACTIVATIONS, SM_REGION_WORKSPACE,
                                        SM_REGION_GRADIENTS};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) {
        if (scratch[i] != SM_REGION_GRADIENTS || !run->accumulate) {
            poison_region(m, scratch[i], poison);
        }
    }
    fill_slices(&m->parameters->buffers, (float *)run->base[SM_REGION_BUFFERS]);
    for (int n = 0; n < batch; n++) {
        sm_test_fill((float *)run->base[SM_REGION_INPUT] + (size_t)n * sample, sample,
                     100 + (unsigned)run->first_sample + (unsigned)n);
    }
    run->batch = batch;
    run->batch_global = batch;
    sm_plan_prepare(m->plan, run);
    sm_plan_forward(m->plan, run);
    for (int i = 0; i < r.output_count; i++) {
        r.output_floats[i] = output_floats(m, i) * (size_t)batch;
        r.output[i] = sm_alloc(r.output_floats[i] * sizeof(float));
        memcpy(r.output[i], sm_plan_output(m->plan, run, i), r.output_floats[i] * sizeof(float));
    }
    for (int i = 0; i < r.output_count && trains; i++) {
        float *seed = sm_plan_output_gradient(m->plan, run, i);
        size_t floats = output_floats(m, i);
        for (int n = 0; seed && n < m->capacity; n++) {
            if (n < batch) {
                sm_test_fill(seed + (size_t)n * floats, floats,
                             1000 * (unsigned)(i + 1) + (unsigned)run->first_sample + (unsigned)n);
            } else {
                fill(seed + (size_t)n * floats, floats * sizeof(float), poison);
            }
        }
    }
    if (trains) {
        sm_plan_backward(m->plan, run);
        clear_untouched_gradients(m, poison);
        r.gradients = export_all(&m->parameters->parameters, gradients_of(m), &r.gradient_floats);
    }
    r.buffers = export_all(&m->parameters->buffers, (float *)run->base[SM_REGION_BUFFERS], &r.buffer_floats);
    return r;
}

static int same_floats(const float *a, size_t a_count, const float *b, size_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof *a) == 0);
}

static int same_bits(const result *a, const result *b)
{
    int same = a->output_count == b->output_count;
    for (int i = 0; same && i < a->output_count; i++) {
        same = same_floats(a->output[i], a->output_floats[i], b->output[i], b->output_floats[i]);
    }
    return same && same_floats(a->gradients, a->gradient_floats, b->gradients, b->gradient_floats) &&
           same_floats(a->buffers, a->buffer_floats, b->buffers, b->buffer_floats);
}

static int all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return 0;
        }
    }
    return 1;
}

/* \return the graph's result in one form; the machine is gone afterwards. */
static result result_of(graph_builder build, unsigned variant, const sm_plan_options *options, int batch, float poison)
{
    machine m = machine_new(build, variant, options);
    result r = execute(&m, batch, poison);
    machine_free(&m);
    return r;
}

/* ---- graphs ---- */

static int conv(sm_graph *graph, int input, const char *name, int channels, int kernel, int stride, int dilation,
                int bias)
{
    return sm_graph_conv2d(graph, input, name,
                           &(sm_conv2d_options){.channels = channels,
                                                .kernel = kernel,
                                                .stride = stride,
                                                .dilation = dilation,
                                                .pad = dilation * (kernel / 2),
                                                .bias = bias});
}

static int conv_norm(sm_graph *graph, int input, const char *name, int channels, int kernel, int stride, int dilation)
{
    char norm[SM_NAME_BYTES];
    snprintf(norm, sizeof norm, "%.64s.norm", name);
    return sm_graph_batch_norm(graph, conv(graph, input, name, channels, kernel, stride, dilation, 0), norm, 0);
}

/* Every op and every link of the real network, small and with odd sizes; the decoders share one representation.
 * Variant 1 has nothing that training does otherwise than inference if normalisation is frozen: no dropout, no
 * statistics that are always global. */
static void small_network(sm_graph *graph, unsigned variant)
{
    int x = sm_graph_input(graph, (sm_value_shape){29, 35, 3});
    x = sm_graph_relu(graph, conv_norm(graph, x, "stem", 6, 7, 2, 1));
    x = sm_graph_max_pool(graph, x, 3, 2, 1);
    int shortcut = conv_norm(graph, x, "down", 8, 1, 2, 1);
    int y = sm_graph_relu(graph, conv_norm(graph, x, "a1", 8, 3, 2, 1));
    x = sm_graph_relu(graph, sm_graph_add(graph, conv_norm(graph, y, "a2", 8, 3, 1, 1), shortcut));
    y = sm_graph_relu(graph, conv_norm(graph, x, "b1", 5, 1, 1, 1));
    y = sm_graph_relu(graph, conv_norm(graph, y, "b2", 5, 3, 1, 2));
    x = sm_graph_relu(graph, sm_graph_add(graph, conv_norm(graph, y, "b3", 8, 1, 1, 1), x));
    int branches[2] = {sm_graph_relu(graph, conv_norm(graph, x, "aspp0", 5, 1, 1, 1)),
                       sm_graph_relu(graph, conv_norm(graph, x, "aspp1", 5, 3, 1, 3))};
    int pooled = conv(graph, sm_graph_global_average_pool(graph, x), "pooled", 4, 1, 1, 1, 0);
    pooled = sm_graph_relu(graph, sm_graph_batch_norm(graph, pooled, "pooled.norm", variant == 0));
    sm_features shared = {sm_graph_concat(graph, branches, 2), pooled};
    const sm_conv2d_options window = {.channels = 7, .kernel = 3, .stride = 1, .dilation = 1, .pad = 1};
    for (int task = 0; task < 2; task++) {
        const char *const names[2][3] = {{"left", "left.last", "left.norm"}, {"right", "right.last", "right.norm"}};
        y = sm_graph_conv2d_features(graph, shared, names[task][0], &window);
        y = sm_graph_relu(graph, sm_graph_batch_norm(graph, y, names[task][2], 0));
        y = sm_graph_dropout(graph, y, variant ? 0 : 0.3);
        y = conv(graph, y, names[task][1], 2 + task, 1, 1, 1, 1);
        sm_graph_add_output(graph, names[task][0], sm_graph_resize(graph, y, 29, 35, 0));
    }
}

/* A max pool that leaves one pixel, of a map that others read. */
static void pooled_to_a_pixel(sm_graph *graph, unsigned variant)
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

static void fan_out_shared(sm_graph *graph, unsigned readers)
{
    fan_out(graph, (int)readers, 0);
}

static void fan_out_copied(sm_graph *graph, unsigned readers)
{
    fan_out(graph, (int)readers, 1);
}

/* A convolution of a map and a vector; or of their concatenation. */
static void map_and_vector(sm_graph *graph, unsigned concatenated)
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
static void layers_used_twice(sm_graph *graph, unsigned copies)
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

static void perceptron(sm_graph *graph, unsigned variant)
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

static void random_graph(sm_graph *graph, unsigned variant)
{
    grow(graph, variant, 0);
}

static void random_linear_graph(sm_graph *graph, unsigned variant)
{
    grow(graph, variant, 1);
}

static const struct {
    const char *name;
    graph_builder build;
    unsigned variants;
} graphs[] = {
    {"small network", small_network, 2}, {"fan-out", fan_out_shared, 6}, {"shared layers", layers_used_twice, 2},
    {"perceptron", perceptron, 2},       {"random", random_graph, 150},  {"to a pixel", pooled_to_a_pixel, 1},
};
enum { GRAPHS = sizeof graphs / sizeof *graphs };

/* Fan-outs are made of 2 or 5 readers. */
static int is_legal(int graph, unsigned variant)
{
    return graphs[graph].build != fan_out_shared || variant == 2 || variant == 5;
}

/* ---- the same numbers in every form ---- */

/* Compares two forms of all graphs by bits, saying which differs. */
static void compare_forms(const sm_plan_options *a, float poison_a, const sm_plan_options *b, float poison_b)
{
    for (int g = 0; g < GRAPHS; g++) {
        int is_random = graphs[g].build == random_graph;
        unsigned variants = is_random ? (unsigned)sm_test_rounds((int)graphs[g].variants) : graphs[g].variants;
        for (unsigned variant = 0; variant < variants; variant++) {
            if (!is_legal(g, variant)) {
                continue;
            }
            result one = result_of(graphs[g].build, variant, a, 3, poison_a);
            result other = result_of(graphs[g].build, variant, b, 3, poison_b);
            int same = same_bits(&one, &other);
            if (!same) {
                fprintf(stderr, "graph '%s' %u differs\n", graphs[g].name, variant);
            }
            CU_ASSERT(same);
            result_free(&one);
            result_free(&other);
        }
    }
}

static void shared_memory_changes_nothing(void)
{
    sm_plan_options apart = training;
    apart.no_reuse = 1;
    compare_forms(&training, 0, &apart, 0);
}

/* Any NaN that is read reaches an output, a gradient or a running value: a sum or a product keeps it. */
static void nothing_is_read_before_it_is_written(void)
{
    compare_forms(&training, 0, &training, NAN);
    compare_forms(&training, 0, &training, 1e30f); /* where a comparison (ReLU, max pool) would hide a NaN */
}

static void recomputing_changes_nothing(void)
{
    sm_plan_options keeping = training;
    keeping.keep_normalised = 1;
    compare_forms(&training, NAN, &keeping, NAN);
    machine recomputes = machine_new(small_network, 0, &training), keeps = machine_new(small_network, 0, &keeping);
    size_t less = sm_plan_region_bytes(recomputes.plan, SM_REGION_ACTIVATIONS);
    CU_ASSERT(less < sm_plan_region_bytes(keeps.plan, SM_REGION_ACTIVATIONS));
    machine_free(&recomputes);
    machine_free(&keeps);
}

static void recomputing_blocks_changes_nothing(void)
{
    sm_plan_options recompute = training, with = training;
    recompute.recompute = 1;
    compare_forms(&training, NAN, &recompute, NAN);
    compare_forms(&training, 0, &recompute, 1e30f);
    recompute.no_reuse = with.no_reuse = 1;
    compare_forms(&with, NAN, &recompute, NAN);
    recompute.no_reuse = with.no_reuse = 0;
    recompute.no_fusion = with.no_fusion = 1;
    compare_forms(&with, NAN, &recompute, NAN);
    recompute.no_fusion = with.no_fusion = 0;
    recompute.keep_normalised = 1;
    compare_forms(&training, NAN, &recompute, NAN);
}

static int count_calls(const machine *m, int pass, const char *label, double *macs)
{
    int count, found = 0;
    const sm_call *calls = sm_plan_calls(m->plan, pass, &count);
    for (int i = 0; i < count; i++) {
        found += strcmp(calls[i].label, label) == 0;
        *macs += calls[i].macs;
    }
    return found;
}

/* Statistics, their sums over ranks and the running values are made once; nominal work does not grow. */
static void recomputing_blocks_repeats_no_statistics(void)
{
    sm_plan_options recompute = training;
    recompute.recompute = 1;
    static const char *const once[] = {"statistics", "reduce", "finalise", "backward reduce"};
    machine a = machine_new(small_network, 0, &training), b = machine_new(small_network, 0, &recompute);
    double macs[2] = {0, 0};
    for (int pass = 1; pass <= 2; pass++) {
        for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
            CU_ASSERT(count_calls(&a, pass, once[i], &macs[0]) == count_calls(&b, pass, once[i], &macs[1]));
        }
    }
    CU_ASSERT(macs[0] == macs[1]);
    CU_ASSERT(count_calls(&b, 2, "recompute", macs) > count_calls(&a, 2, "recompute", macs));
    machine_free(&a);
    machine_free(&b);
}

/* Bit for bit with maps of floats: the fused pass rounds where the separate passes store (normalised value, sum, masked
 * gradient), and adds in their order. */
static void fusion_changes_nothing(void)
{
    sm_plan_options unfused = training;
    unfused.no_fusion = 1;
    compare_forms(&training, NAN, &unfused, NAN);
    machine fused = machine_new(small_network, 0, &training), plain = machine_new(small_network, 0, &unfused);
    int fused_calls, plain_calls;
    sm_plan_calls(fused.plan, 1, &fused_calls);
    sm_plan_calls(plain.plan, 1, &plain_calls);
    double macs = 0;
    int joined = count_calls(&plain, 1, "reduce", &macs) - count_calls(&fused, 1, "reduce", &macs);
    CU_ASSERT(joined > 0);                               /* sums of branches */
    CU_ASSERT(fused_calls == plain_calls - 13 - joined); /* 11 ReLUs behind a normalisation, 2 of them with an add */
    machine_free(&fused);
    machine_free(&plain);
}

static void results_of_a_real_network_are_finite(void)
{
    result r = result_of(small_network, 0, &training, 3, NAN);
    CU_ASSERT(all_finite(r.gradients, r.gradient_floats) && all_finite(r.buffers, r.buffer_floats));
    CU_ASSERT(all_finite(r.output[0], r.output_floats[0]) && all_finite(r.output[1], r.output_floats[1]));
    double norm = 0;
    for (size_t i = 0; i < r.gradient_floats; i++) {
        norm += fabs(r.gradients[i]);
    }
    CU_ASSERT(norm > 1);
    result_free(&r);
}

static void sharing_memory_saves_memory(void)
{
    sm_plan_options apart = training;
    apart.no_reuse = 1;
    machine a = machine_new(small_network, 0, &training), b = machine_new(small_network, 0, &apart);
    CU_ASSERT(sm_plan_region_bytes(a.plan, SM_REGION_ACTIVATIONS) * 4 <
              sm_plan_region_bytes(b.plan, SM_REGION_ACTIVATIONS) * 3);
    machine_free(&a);
    machine_free(&b);
}

/* ---- fan-out ---- */

static const float *slice_of(const machine *m, const result *r, const char *name, size_t *count)
{
    size_t at = 0;
    for (int i = 0; i < m->parameters->parameters.count; i++) {
        const sm_slice *slice = &m->parameters->parameters.items[i];
        if (strcmp(slice->name, name) == 0) {
            *count = slice->count;
            return r->gradients + at;
        }
        at += slice->count;
    }
    CU_FAIL("no such slice");
    *count = 0;
    return NULL;
}

/* The copies of the stem get the numbers of the first one. */
static void copy_stem(machine *m, int readers)
{
    static const char *const parts[] = {"weight", "norm.weight", "norm.bias"};
    float *flat = (float *)m->run.base[SM_REGION_PARAMETERS];
    for (int i = 1; i < readers; i++) {
        for (int p = 0; p < 3; p++) {
            char from[SM_NAME_BYTES], to[SM_NAME_BYTES];
            snprintf(from, sizeof from, "stem0.%s", parts[p]);
            snprintf(to, sizeof to, "stem%d.%s", i, parts[p]);
            const sm_slice *a = sm_slices_find(&m->parameters->parameters, from),
                           *b = sm_slices_find(&m->parameters->parameters, to);
            memcpy(flat + b->offset, flat + a->offset, a->count * sizeof *flat);
        }
    }
}

/* A gradient that one op overwrote instead of adding to would miss in the sum over the copies. */
static void gradients_of_all_readers_add_up(void)
{
    static const int counts[] = {2, 5};
    static const char *const parts[] = {"weight", "norm.weight", "norm.bias"};
    for (int c = 0; c < 2; c++) {
        machine shared = machine_new(fan_out_shared, (unsigned)counts[c], &training);
        machine copied = machine_new(fan_out_copied, (unsigned)counts[c], &training);
        copy_stem(&copied, counts[c]);
        result a = execute(&shared, 3, NAN), b = execute(&copied, 3, NAN);
        CU_ASSERT(a.output_floats[0] == b.output_floats[0] &&
                  memcmp(a.output[0], b.output[0], a.output_floats[0] * sizeof(float)) == 0);
        for (int p = 0; p < 3; p++) {
            char name[SM_NAME_BYTES];
            float sum[256] = {0};
            size_t count = 0;
            for (int i = 0; i < counts[c]; i++) {
                snprintf(name, sizeof name, "stem%d.%s", i, parts[p]);
                const float *part = slice_of(&copied, &b, name, &count);
                for (size_t j = 0; j < count; j++) {
                    sum[j] += part[j];
                }
            }
            snprintf(name, sizeof name, "stem0.%s", parts[p]);
            /* float sums of 189 products, in another order: some 1e-6 */
            SM_TEST_AT_MOST(sm_test_relative_error(slice_of(&shared, &a, name, &count), sum, count), 2e-5);
        }
        result_free(&a);
        result_free(&b);
        machine_free(&shared);
        machine_free(&copied);
    }
}

static void layers_used_twice_add_their_gradients(void)
{
    static const char *const slices[2][5] = {
        {"conv0.weight", "conv0.bias", "norm0.weight", "norm0.bias", "linear0.weight"},
        {"conv1.weight", "conv1.bias", "norm1.weight", "norm1.bias", "linear1.weight"}};
    machine shared = machine_new(layers_used_twice, 0, &training),
            copied = machine_new(layers_used_twice, 1, &training);
    float *flat = (float *)copied.run.base[SM_REGION_PARAMETERS];
    CU_ASSERT(shared.parameters->parameters.count == 7 && copied.parameters->parameters.count == 13);
    for (int i = 0; i < 5; i++) {
        const sm_slice *from = sm_slices_find(&copied.parameters->parameters, slices[0][i]);
        const sm_slice *to = sm_slices_find(&copied.parameters->parameters, slices[1][i]);
        memcpy(flat + to->offset, flat + from->offset, from->count * sizeof *flat);
    }
    /* the copy's bias of the linear layer */
    const sm_slice *from = sm_slices_find(&copied.parameters->parameters, "linear0.bias");
    memcpy(flat + sm_slices_find(&copied.parameters->parameters, "linear1.bias")->offset, flat + from->offset,
           from->count * sizeof *flat);
    result a = execute(&shared, 3, NAN), b = execute(&copied, 3, NAN);
    SM_TEST_AT_MOST(sm_test_max_error(a.output[0], b.output[0], a.output_floats[0]), 0);
    for (int i = 0; i < 5; i++) {
        float sum[144];
        size_t count;
        const float *one = slice_of(&copied, &b, slices[0][i], &count),
                    *two = slice_of(&copied, &b, slices[1][i], &count);
        for (size_t j = 0; j < count; j++) {
            sum[j] = one[j] + two[j];
        }
        const float *both = slice_of(&shared, &a, slices[0][i], &count);
        SM_TEST_AT_MOST(sm_test_relative_error(both, sum, count), 1e-5); /* another order of a few hundred additions */
    }
    result_free(&a);
    result_free(&b);
    machine_free(&shared);
    machine_free(&copied);
}

static void a_vector_beside_a_map_equals_their_concatenation(void)
{
    static const char *const slices[] = {"map.weight",  "map.bias",      "vector.weight",
                                         "vector.bias", "reader.weight", "reader.bias"};
    for (int reproducible = 0; reproducible < 2; reproducible++) {
        sm_plan_options options = training;
        options.reproducible = reproducible;
        machine beside = machine_new(map_and_vector, 0, &options), joined = machine_new(map_and_vector, 1, &options);
        result a = execute(&beside, 3, NAN), b = execute(&joined, 3, NAN);
        /* sums of some hundred floats in another order */
        SM_TEST_AT_MOST(sm_test_relative_error(a.output[0], b.output[0], b.output_floats[0]), 1e-5);
        for (int i = 0; i < 6; i++) {
            size_t count;
            const float *expected = slice_of(&joined, &b, slices[i], &count);
            SM_TEST_AT_MOST(sm_test_relative_error(slice_of(&beside, &a, slices[i], &count), expected, count), 1e-5);
        }
        result_free(&a);
        result_free(&b);
        machine_free(&beside);
        machine_free(&joined);
    }
}

/* ---- differences of the loss ---- */

static double loss_of(const machine *m, const result *r)
{
    double loss = 0;
    for (int i = 0; i < r->output_count; i++) {
        size_t floats = output_floats(m, i), batch = r->output_floats[i] / floats;
        float *seed = sm_alloc(floats * sizeof *seed);
        for (size_t n = 0; n < batch; n++) {
            sm_test_fill(seed, floats, 1000 * (unsigned)(i + 1) + (unsigned)n);
            for (size_t j = 0; j < floats; j++) {
                loss += (double)seed[j] * r->output[i][n * floats + j];
            }
        }
        sm_free(seed);
    }
    return loss;
}

static double moved_loss(machine *m, const sm_slice *slice, const float *direction, float step, double *size)
{
    float *flat = (float *)m->run.base[SM_REGION_PARAMETERS] + slice->offset;
    float *before = sm_alloc(slice->count * sizeof *before);
    memcpy(before, flat, slice->count * sizeof *before);
    for (size_t i = 0; i < slice->count; i++) {
        flat[i] += step * direction[i];
    }
    result r = execute(m, 3, NAN);
    double loss = loss_of(m, &r);
    for (int i = 0; i < r.output_count; i++) {
        for (size_t j = 0; j < r.output_floats[i]; j++) {
            *size += (double)r.output[i][j] * r.output[i][j];
        }
    }
    memcpy(flat, before, slice->count * sizeof *before);
    sm_free(before);
    result_free(&r);
    return loss;
}

/* Is the slope along `direction` the one that the gradient promises? */
static void check_slope(machine *m, const sm_slice *slice)
{
    float *direction = sm_alloc(slice->count * sizeof *direction);
    sm_test_fill(direction, slice->count, 77);
    result r = execute(m, 3, NAN);
    const float *gradient = gradients_of(m) + slice->offset;
    double promised = 0, size = 0;
    for (size_t i = 0; i < slice->count; i++) {
        promised += (double)gradient[i] * direction[i];
    }
    result_free(&r);
    double found = (moved_loss(m, slice, direction, 1, &size) - moved_loss(m, slice, direction, -1, &size)) / 2;
    /* no truncation, for the loss is linear in each slice; rounding of outputs of that size, weighted by normal
     * numbers, through up to 18 ops */
    SM_TEST_AT_MOST(fabs(found - promised), 1e-5 * sqrt(size));
    sm_free(direction);
}

static void gradients_are_slopes_of_the_loss(void)
{
    int checked = 0;
    for (unsigned variant = 0; variant < 60; variant++) {
        machine m = machine_new(random_linear_graph, variant, &training);
        result r = execute(&m, 3, NAN);
        for (int i = 0; i < m.parameters->parameters.count; i++) {
            const sm_slice *slice = &m.parameters->parameters.items[i];
            if (has_gradient(m.plan, slice)) {
                check_slope(&m, slice);
                checked++;
            }
        }
        result_free(&r);
        machine_free(&m);
    }
    CU_ASSERT(checked > 200);
}

/* ---- the batch at run time ---- */

static void fewer_samples_give_the_numbers_of_a_smaller_plan(void)
{
    for (int batch = 1; batch <= 4; batch++) {
        sm_plan_options small = training, large = training;
        small.capacity = batch;
        large.capacity = 4;
        small.batch_typical = large.batch_typical = 2; /* the same algorithms */
        for (int local = 0; local < 2; local++) {
            small.batch_norm = large.batch_norm = local ? SM_BATCH_NORM_LOCAL : SM_BATCH_NORM_SYNC;
            result a = result_of(small_network, 0, &small, batch, NAN),
                   b = result_of(small_network, 0, &large, batch, NAN);
            CU_ASSERT(same_bits(&a, &b));
            CU_ASSERT(all_finite(a.gradients, a.gradient_floats));
            result_free(&a);
            result_free(&b);
        }
    }
}

/* Sums that other ranks might contribute. */
static void add_other_ranks(void *user, double *values, size_t count)
{
    (void)user;
    for (size_t i = 0; i < count; i++) {
        values[i] += i % 2 ? 900 : 30;
    }
}

static void a_rank_without_samples_contributes_zeros(void)
{
    static const sm_batch_norm_mode modes[] = {SM_BATCH_NORM_SYNC, SM_BATCH_NORM_LOCAL, SM_BATCH_NORM_FROZEN};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        sm_plan_options options = training;
        options.batch_norm = modes[i];
        machine m = machine_new(small_network, 0, &options);
        m.run.reduce = add_other_ranks;
        result r = execute(&m, 0, NAN);
        int zeros = 1;
        for (size_t j = 0; j < r.gradient_floats; j++) {
            zeros = zeros && r.gradients[j] == 0;
        }
        CU_ASSERT(zeros);
        CU_ASSERT(all_finite(r.buffers, r.buffer_floats));
        result_free(&r);
        machine_free(&m);
    }
}

static void no_samples_add_nothing(void)
{
    machine m = machine_new(small_network, 0, &training);
    result before = execute(&m, 3, 0);
    m.run.accumulate = 1;
    result after = execute(&m, 0, NAN);
    CU_ASSERT(memcmp(before.gradients, after.gradients, before.gradient_floats * sizeof(float)) == 0);
    result_free(&before);
    result_free(&after);
    machine_free(&m);
}

static void accumulation_adds(void)
{
    machine m = machine_new(small_network, 0, &training);
    result first = execute(&m, 2, NAN);
    m.run.first_sample = 2;
    result second = execute(&m, 3, NAN);
    m.run.first_sample = 0;
    result both = execute(&m, 2, NAN);
    result_free(&both);
    m.run.first_sample = 2;
    m.run.accumulate = 1;
    both = execute(&m, 3, NAN);
    double worst = 0, scale = 0;
    for (size_t i = 0; i < both.gradient_floats; i++) {
        worst = fmax(worst, fabs((double)both.gradients[i] - first.gradients[i] - second.gradients[i]));
        scale = fmax(scale, fabs(first.gradients[i]) + fabs(second.gradients[i]));
    }
    SM_TEST_AT_MOST(worst, 4e-6 * scale); /* the sum of one pass starts at what is there, and rounds along the way */
    CU_ASSERT(all_finite(both.gradients, both.gradient_floats));
    result_free(&first);
    result_free(&second);
    result_free(&both);
    machine_free(&m);
}

/* ---- progress of backward ---- */

typedef struct watch {
    const float *gradients;
    float *snapshot;
    size_t complete;
    int calls, advances, went_back;
} watch;

static void take_what_is_complete(void *user, size_t complete)
{
    watch *w = user;
    w->calls++;
    w->went_back |= complete < w->complete;
    if (complete > w->complete) {
        memcpy(w->snapshot + w->complete, w->gradients + w->complete, (complete - w->complete) * sizeof(float));
        w->complete = complete;
        w->advances++;
    }
}

static void complete_gradients_stay_what_they_are(void)
{
    for (int g = 0; g < GRAPHS; g++) {
        for (unsigned variant = 0; variant < graphs[g].variants && variant < 40; variant++) {
            if (!is_legal(g, variant)) {
                continue;
            }
            machine m = machine_new(graphs[g].build, variant, &training);
            size_t floats = m.parameters->parameters.floats;
            watch w = {.gradients = gradients_of(&m), .snapshot = sm_alloc_zeroed(floats * sizeof(float))};
            m.run.progress = take_what_is_complete;
            m.run.user = &w;
            result r = execute(&m, 3, NAN);
            int calls;
            sm_plan_calls(m.plan, 2, &calls);
            CU_ASSERT(w.calls == calls && !w.went_back && w.complete == floats);
            for (int i = 0; i < m.parameters->parameters.count; i++) {
                const sm_slice *slice = &m.parameters->parameters.items[i];
                CU_ASSERT(!has_gradient(m.plan, slice) ||
                          memcmp(w.snapshot + slice->offset, gradients_of(&m) + slice->offset,
                                 slice->count * sizeof(float)) == 0);
            }
            CU_ASSERT(graphs[g].build != small_network || w.advances > 15); /* 18 layers: not all at once at the end */
            sm_free(w.snapshot);
            result_free(&r);
            machine_free(&m);
        }
    }
}

/* ---- parameters ---- */

static void frozen_parameters_get_no_calls(void)
{
    machine all = machine_new(small_network, 0, &training),
            some = machine_new_frozen(small_network, 0, &training, "stem*");
    result a = execute(&all, 3, NAN), b = execute(&some, 3, NAN);
    for (int i = 0; i < some.parameters->parameters.count; i++) {
        const sm_slice *slice = &some.parameters->parameters.items[i];
        size_t count;
        CU_ASSERT(has_gradient(some.plan, slice) == !slice->frozen);
        const float *x = slice_of(&all, &a, slice->name, &count), *y = slice_of(&some, &b, slice->name, &count);
        int right = 1;
        for (size_t j = 0; j < count; j++) {
            right = right && y[j] == (slice->frozen ? 0 : x[j]);
        }
        CU_ASSERT(right);
    }
    int all_calls, some_calls;
    sm_plan_calls(all.plan, 2, &all_calls);
    const sm_call *calls = sm_plan_calls(some.plan, 2, &some_calls);
    CU_ASSERT(some_calls < all_calls);
    for (int i = 0; i < some_calls; i++) {
        const char *name = some.graph->ops[calls[i].op].name;
        CU_ASSERT(strncmp(name, "stem", 4) != 0 && strcmp(name, "max_pool") != 0); /* nothing below wants a gradient */
    }
    result_free(&a);
    result_free(&b);
    machine_free(&all);
    machine_free(&some);
}

static void plans_of_other_sizes_share_parameters(void)
{
    sm_plan_options frozen = training, inference = training;
    frozen.batch_norm = SM_BATCH_NORM_FROZEN;
    inference.training = 0;
    inference.capacity = 2;
    inference.batch_typical = frozen.capacity; /* the same algorithms */
    machine m = machine_new(small_network, 1, &frozen);
    int slices = m.parameters->parameters.count, buffers = m.parameters->buffers.count;
    machine other = {.parameters = m.parameters, .graph = sm_graph_new(m.parameters), .capacity = 2};
    small_network(other.graph, 1);
    CU_ASSERT(m.parameters->parameters.count == slices && m.parameters->buffers.count == buffers);
    for (int i = 0; i < m.graph->op_count; i++) {
        const sm_op *x = &m.graph->ops[i], *y = &other.graph->ops[i];
        CU_ASSERT(memcmp(x->parameters, y->parameters, sizeof x->parameters) == 0 &&
                  memcmp(x->buffers, y->buffers, sizeof x->buffers) == 0);
    }
    SM_TEST_OK(sm_plan_new(other.graph, &inference, &other.plan));
    bind_memory(&other);
    result a = execute(&m, 2, NAN), b = execute(&other, 2, NAN);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT(memcmp(a.output[i], b.output[i], a.output_floats[i] * sizeof(float)) == 0);
    }
    CU_ASSERT(sm_plan_region_bytes(other.plan, SM_REGION_GRADIENTS) == 0);
    CU_ASSERT(sm_plan_region_bytes(other.plan, SM_REGION_ACTIVATIONS) * 2 <
              sm_plan_region_bytes(m.plan, SM_REGION_ACTIVATIONS));
    result_free(&a);
    result_free(&b);
    for (int region = SM_REGION_PARAMETERS; region < SM_REGIONS; region++) {
        sm_free(other.run.base[region]);
    }
    sm_plan_free(other.plan);
    sm_graph_free(other.graph);
    machine_free(&m);
}

static void other_image_sizes(sm_graph *graph, unsigned variant)
{
    int x = sm_graph_input(graph, (sm_value_shape){5 + (int)variant, 9, 2});
    x = sm_graph_relu(graph, conv_norm(graph, x, "one", 3, 3, 2, 1));
    sm_graph_add_output(graph, "out", sm_graph_linear(graph, sm_graph_global_average_pool(graph, x), "two", 4));
}

static void another_image_size_finds_the_same_slices(void)
{
    machine m = machine_new(other_image_sizes, 0, &training);
    sm_graph *graph = sm_graph_new(m.parameters);
    other_image_sizes(graph, 8);
    SM_TEST_OK(sm_graph_status(graph));
    CU_ASSERT(m.parameters->parameters.count == 5 && m.parameters->buffers.count == 2);
    sm_graph_free(graph);
    machine_free(&m);
}

/* Each number says where it stands in the file: o, i, y, x. */
static void files_hold_channels_first(void)
{
    sm_parameters *parameters = sm_parameters_new();
    sm_slice convolution = {.name = "c.weight", .dimensions = 4, .shape = {3, 2, 2, 3}, .layout = SM_LAYOUT_CONV2D};
    sm_slice matrix = {.name = "l.weight", .dimensions = 2, .shape = {3, 5}, .layout = SM_LAYOUT_LINEAR};
    sm_slice plain = {.name = "b.bias", .dimensions = 1, .shape = {7}};
    sm_parameters_add(parameters, &convolution);
    sm_parameters_add(parameters, &matrix);
    sm_parameters_add(parameters, &plain);
    sm_parameters_finish(parameters);
    const sm_slices *slices = &parameters->parameters;
    const sm_slice *c = sm_slices_find(slices, "c.weight"), *l = sm_slices_find(slices, "l.weight"),
                   *b = sm_slices_find(slices, "b.bias");
    CU_ASSERT(c->count == 36 && l->count == 15 && b->count == 7 && slices->floats == 48 + 16 + 16);
    CU_ASSERT(b->offset == 0 && l->offset == 16 && c->offset == 32); /* backward order */
    float flat[80] = {0}, file[36], back[36];
    for (int i = 0; i < 36; i++) {
        file[i] = (float)(1 + i);
    }
    sm_slice_import(c, file, flat);
    sm_slice_import(l, file, flat);
    sm_slice_import(b, file, flat);
    for (int o = 0; o < 3; o++) {
        for (int i = 0; i < 2; i++) {
            for (int y = 0; y < 2; y++) {
                for (int x = 0; x < 3; x++) {
                    CU_ASSERT(flat[32 + ((y * 3 + x) * 2 + i) * 3 + o] == file[((o * 2 + i) * 2 + y) * 3 + x]);
                }
            }
        }
        for (int i = 0; i < 5; i++) {
            CU_ASSERT(flat[16 + i * 3 + o] == file[o * 5 + i]);
        }
    }
    CU_ASSERT(flat[7] == 0 && flat[15] == 0 && flat[31] == 0 && flat[68] == 0 && flat[79] == 0); /* padding */
    const sm_slice *const all[] = {c, l, b};
    for (int i = 0; i < 3; i++) {
        sm_slice_export(all[i], flat, back);
        CU_ASSERT(memcmp(back, file, all[i]->count * sizeof *file) == 0);
    }
    sm_parameters_free(parameters);
}

/* Of 5 inputs the first 3 lie together, then the other 2. */
static void inputs_that_belong_together_lie_together(void)
{
    sm_parameters *parameters = sm_parameters_new();
    sm_slice split = {
        .name = "c.weight", .dimensions = 4, .shape = {2, 5, 1, 3}, .layout = SM_LAYOUT_CONV2D, .inputs_together = 3};
    sm_parameters_add(parameters, &split);
    sm_parameters_finish(parameters);
    const sm_slice *slice = sm_slices_find(&parameters->parameters, "c.weight");
    float file[30], flat[32] = {0}, back[30];
    for (int i = 0; i < 30; i++) {
        file[i] = (float)(1 + i);
    }
    sm_slice_import(slice, file, flat);
    for (int o = 0; o < 2; o++) {
        for (int x = 0; x < 3; x++) {
            for (int i = 0; i < 5; i++) {
                int place = i < 3 ? (x * 3 + i) * 2 + o : 18 + (x * 2 + i - 3) * 2 + o;
                CU_ASSERT(flat[place] == file[(o * 5 + i) * 3 + x]);
            }
        }
    }
    sm_slice_export(slice, flat, back);
    CU_ASSERT(memcmp(back, file, sizeof file) == 0);
    sm_parameters_free(parameters);
}

static void initial_values_depend_on_seed_and_name_alone(void)
{
    machine m = machine_new(small_network, 0, &training), p = machine_new(fan_out_shared, 2, &training);
    const sm_slices *slices = &m.parameters->parameters;
    float *one = sm_alloc(slices->floats * sizeof *one), *two = sm_alloc(slices->floats * sizeof *two);
    sm_slices_initialise(slices, 7, one);
    sm_slices_initialise(slices, 7, two);
    CU_ASSERT(memcmp(one, two, slices->floats * sizeof *one) == 0);
    sm_slices_initialise(slices, 8, two);
    const sm_slice *weight = sm_slices_find(slices, "stem.weight"), *scale = sm_slices_find(slices, "stem.norm.weight");
    CU_ASSERT(memcmp(one + weight->offset, two + weight->offset, weight->count * sizeof *one) != 0);
    double square = 0;
    for (size_t i = 0; i < weight->count; i++) {
        square += (double)one[weight->offset + i] * one[weight->offset + i];
    }
    /* Kaiming, fan out: variance 2 / (6 * 49); 882 draws: standard error 4.8 %, four of them */
    SM_TEST_AT_MOST(fabs(square / (double)weight->count * 6 * 49 / 2 - 1), 0.19);
    CU_ASSERT(one[scale->offset] == 1 && weight->decay && !scale->decay);
    sm_free(one);
    sm_free(two);
    machine_free(&m);
    machine_free(&p);
}

/* ---- dropout and linear ---- */

static void masks_follow_the_sample_not_the_batch(void)
{
    machine m = machine_new(perceptron, 1, &training);
    result whole = execute(&m, 3, NAN);
    m.run.first_sample = 1;
    result tail = execute(&m, 2, NAN);
    CU_ASSERT(memcmp(whole.output[1] + 3, tail.output[1], 6 * sizeof(float)) == 0);
    m.run.first_sample = 0;
    m.run.step = 1;
    result next = execute(&m, 3, NAN);
    CU_ASSERT(memcmp(whole.output[1], next.output[1], 9 * sizeof(float)) != 0);
    result_free(&whole);
    result_free(&tail);
    result_free(&next);
    machine_free(&m);
}

static void nothing_is_dropped_outside_training(void)
{
    sm_plan_options inference = training;
    inference.training = 0;
    result dropping = result_of(perceptron, 1, &inference, 3, NAN),
           plain = result_of(perceptron, 0, &inference, 3, NAN);
    CU_ASSERT(same_bits(&dropping, &plain));
    result_free(&dropping);
    result_free(&plain);
}

/* y = W2 relu(W1 x + b1) + b2 and its gradients, in double and in the files' order. */
static void a_perceptron_computes_its_formula(void)
{
    machine m = machine_new(perceptron, 0, &training);
    const sm_slices *slices = &m.parameters->parameters;
    const float *flat = (const float *)m.run.base[SM_REGION_PARAMETERS];
    float w1[55], b1[11], w2[33], b2[3], x[5], seed1[1], seed2[3];
    sm_slice_export(sm_slices_find(slices, "hidden.weight"), flat, w1);
    sm_slice_export(sm_slices_find(slices, "hidden.bias"), flat, b1);
    sm_slice_export(sm_slices_find(slices, "head2.weight"), flat, w2);
    sm_slice_export(sm_slices_find(slices, "head2.bias"), flat, b2);
    result r = execute(&m, 3, NAN);
    float grad_w2[33] = {0};
    for (int n = 0; n < 3; n++) {
        double hidden[11];
        sm_test_fill(x, 5, 100 + (unsigned)n);
        sm_test_fill(seed1, 1, 1000 + (unsigned)n);
        sm_test_fill(seed2, 3, 2000 + (unsigned)n);
        for (int h = 0; h < 11; h++) {
            hidden[h] = b1[h];
            for (int i = 0; i < 5; i++) {
                hidden[h] += (double)w1[h * 5 + i] * x[i];
            }
            hidden[h] = fmax(hidden[h], 0);
        }
        for (int o = 0; o < 3; o++) {
            double y = b2[o];
            for (int h = 0; h < 11; h++) {
                y += w2[o * 11 + h] * hidden[h];
                grad_w2[o * 11 + h] += (float)(seed2[o] * hidden[h]);
            }
            SM_TEST_AT_MOST(fabs(r.output[1][3 * n + o] - y), 1e-6 * (1 + fabs(y))); /* 16 float products */
        }
    }
    size_t count;
    SM_TEST_AT_MOST(sm_test_relative_error(slice_of(&m, &r, "head2.weight", &count), grad_w2, 33), 1e-6);
    result_free(&r);
    machine_free(&m);
}

/* ---- what does not fit ---- */

static void what_does_not_fit_is_said(void)
{
    sm_parameters *parameters = sm_parameters_new();
    sm_graph *graph = sm_graph_new(parameters);
    int x = sm_graph_input(graph, (sm_value_shape){4, 4, 2});
    int y = conv(graph, x, "narrow", 3, 3, 2, 1, 0);
    sm_graph_add(graph, x, y);
    CU_ASSERT(sm_graph_relu(graph, y) == -1); /* later calls do nothing */
    sm_plan *plan = NULL;
    CU_ASSERT(sm_plan_new(graph, &training, &plan) == SM_ERR_CONFIG && !plan);
    SM_TEST_MESSAGE("4x4x2 and 2x2x3");
    sm_graph_free(graph);
    graph = sm_graph_new(parameters);
    x = sm_graph_input(graph, (sm_value_shape){4, 4, 2});
    CU_ASSERT(sm_graph_conv2d(graph, x, "wide",
                              &(sm_conv2d_options){.channels = 2, .kernel = 7, .stride = 1, .dilation = 1}) == -1);
    SM_TEST_MESSAGE("wide");
    SM_TEST_MESSAGE("7x7");
    sm_graph_free(graph);
    sm_parameters_free(parameters);
    machine m = machine_new(perceptron, 0, &training);
    sm_plan_options empty = training;
    empty.capacity = 0;
    CU_ASSERT(sm_plan_new(m.graph, &empty, &plan) == SM_ERR_CONFIG);
    machine_free(&m);
}

/* Eight bits of a number, through six ops: a wrong type anywhere gives noise. */
static void a_map_pooled_to_a_pixel_has_its_type(void)
{
    sm_plan_options bf16 = training;
    bf16.precision = SM_CONV2D_BF16;
    result near = result_of(pooled_to_a_pixel, 0, &bf16, 3, NAN),
           of_floats = result_of(pooled_to_a_pixel, 0, &training, 3, NAN);
    SM_TEST_AT_MOST(sm_test_relative_error(near.output[0], of_floats.output[0], near.output_floats[0]), 0.02);
    SM_TEST_AT_MOST(sm_test_relative_error(near.gradients, of_floats.gradients, near.gradient_floats), 0.05);
    result_free(&near);
    result_free(&of_floats);
}

/* Whatever is so bit by bit. */
static void the_same_holds_for_maps_of_bfloat16(void)
{
    static void (*const tests[])(void) = {shared_memory_changes_nothing,
                                          nothing_is_read_before_it_is_written,
                                          recomputing_changes_nothing,
                                          recomputing_blocks_changes_nothing,
                                          recomputing_blocks_repeats_no_statistics,
                                          results_of_a_real_network_are_finite,
                                          fewer_samples_give_the_numbers_of_a_smaller_plan,
                                          a_rank_without_samples_contributes_zeros,
                                          no_samples_add_nothing,
                                          accumulation_adds,
                                          complete_gradients_stay_what_they_are,
                                          frozen_parameters_get_no_calls};
    training.precision = SM_CONV2D_BF16;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        tests[i]();
    }
    training.precision = SM_CONV2D_HIGHEST;
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(shared_memory_changes_nothing);
    SM_TEST(nothing_is_read_before_it_is_written);
    SM_TEST(recomputing_changes_nothing);
    SM_TEST(recomputing_blocks_changes_nothing);
    SM_TEST(recomputing_blocks_repeats_no_statistics);
    SM_TEST(fusion_changes_nothing);
    SM_TEST(results_of_a_real_network_are_finite);
    SM_TEST(sharing_memory_saves_memory);
    SM_TEST(gradients_of_all_readers_add_up);
    SM_TEST(layers_used_twice_add_their_gradients);
    SM_TEST(a_vector_beside_a_map_equals_their_concatenation);
    SM_TEST(gradients_are_slopes_of_the_loss);
    SM_TEST(fewer_samples_give_the_numbers_of_a_smaller_plan);
    SM_TEST(a_rank_without_samples_contributes_zeros);
    SM_TEST(no_samples_add_nothing);
    SM_TEST(accumulation_adds);
    SM_TEST(complete_gradients_stay_what_they_are);
    SM_TEST(frozen_parameters_get_no_calls);
    SM_TEST(plans_of_other_sizes_share_parameters);
    SM_TEST(another_image_size_finds_the_same_slices);
    SM_TEST(files_hold_channels_first);
    SM_TEST(inputs_that_belong_together_lie_together);
    SM_TEST(initial_values_depend_on_seed_and_name_alone);
    SM_TEST(masks_follow_the_sample_not_the_batch);
    SM_TEST(nothing_is_dropped_outside_training);
    SM_TEST(a_perceptron_computes_its_formula);
    SM_TEST(what_does_not_fit_is_said);
    SM_TEST(a_map_pooled_to_a_pixel_has_its_type);
    SM_TEST(the_same_holds_for_maps_of_bfloat16);
    return sm_test_end();
}
