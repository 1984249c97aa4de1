/* ranks: 1 */
/* The flat parameters: found again by other graphs, laid out as files and kernels want them, initialised. */
#include "plan_fixture.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <string.h>

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

/* Of the inputs the first `together` lie together, then the others. */
static void check_split(int outputs, int inputs, int together, int width)
{
    sm_parameters *parameters = sm_parameters_new();
    sm_slice split = {.name = "c.weight",
                      .dimensions = 4,
                      .shape = {outputs, inputs, 1, width},
                      .layout = SM_LAYOUT_CONV2D,
                      .inputs_together = together};
    sm_parameters_add(parameters, &split);
    sm_parameters_finish(parameters);
    const sm_slice *slice = sm_slices_find(&parameters->parameters, "c.weight");
    int count = outputs * inputs * width, others = inputs - together, wrong = 0;
    float *file = sm_alloc((size_t)count * sizeof *file), *back = sm_alloc_zeroed((size_t)count * sizeof *back);
    float *flat = sm_alloc_zeroed(parameters->parameters.floats * sizeof *flat);
    for (int i = 0; i < count; i++) {
        file[i] = (float)(1 + i);
    }
    sm_slice_import(slice, file, flat);
    for (int o = 0; o < outputs; o++) {
        for (int x = 0; x < width; x++) {
            for (int i = 0; i < inputs; i++) {
                int place = i < together ? (x * together + i) * outputs + o
                                         : (width * together + x * others + i - together) * outputs + o;
                wrong += flat[place] != file[(o * inputs + i) * width + x];
            }
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    sm_slice_export(slice, flat, back);
    CU_ASSERT(memcmp(back, file, (size_t)count * sizeof *file) == 0);
    sm_free(flat);
    sm_free(back);
    sm_free(file);
    sm_parameters_free(parameters);
}

static void inputs_that_belong_together_lie_together(void)
{
    check_split(2, 5, 3, 3);
    check_split(135, 130, 21, 3);
    check_split(70, 50, 21, 3); /* more than is copied at a time, of outputs and of inputs, and no multiple of that */
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

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(plans_of_other_sizes_share_parameters);
    SM_TEST(another_image_size_finds_the_same_slices);
    SM_TEST(files_hold_channels_first);
    SM_TEST(inputs_that_belong_together_lie_together);
    SM_TEST(initial_values_depend_on_seed_and_name_alone);
    return sm_test_end();
}
