/* ranks: 1 */
#include "plan_fixture.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/model/parts.h>

#include <math.h>
#include <string.h>

/* The head's own arithmetic, once more, in double: features are the input itself. Float sums over 35 pixels and 12
 * channels are good to 1e-6 of the largest term. */
enum { HEIGHT = 5, WIDTH = 7, CHANNELS = 12, BATCH = 3, HIDDEN = 4, OUTPUTS = 2 };
static const double tolerance = 3e-6;

static const sm_network_options options = {.width = 1.0 / 256, .head_hidden = 4};

/* \param pooled_too  the shared representation is a map and a vector, as the ASPP's */
static void append_head(sm_graph *graph, unsigned pooled_too)
{
    const sm_head head = {"grade", SM_HEAD_VECTOR, OUTPUTS};
    int input = sm_graph_input(graph, (sm_value_shape){HEIGHT, WIDTH, CHANNELS});
    sm_features shared = {input, pooled_too ? sm_graph_global_average_pool(graph, input) : -1};
    graph->task = 0;
    sm_graph_add_output(graph, head.name, sm_vector_head_append(graph, shared, &options, &head, 64, 64));
    graph->task = -1;
}

enum { MOST_NUMBERS = HIDDEN * 2 * CHANNELS };

/* \param [out] values  the parameter in PyTorch's order */
static void read_parameter(const machine *m, const char *name, float values[MOST_NUMBERS])
{
    const sm_slices *slices = &m->parameters->parameters;
    int found = -1;
    for (int i = 0; i < slices->count; i++) {
        found = strcmp(slices->items[i].name, name) == 0 ? i : found;
    }
    CU_ASSERT_FATAL(found >= 0 && slices->items[found].count <= MOST_NUMBERS);
    sm_slice_export(&slices->items[found], (const float *)(void *)m->run.base[SM_REGION_PARAMETERS], values);
}

/* linear(relu(linear(mean over pixels))) of one sample; the pooled vector beside it is the same mean again. */
static void expected_output(const machine *m, const float *map, int copies, double hidden[HIDDEN], double *output)
{
    float weight[MOST_NUMBERS], bias[MOST_NUMBERS], last[MOST_NUMBERS], last_bias[MOST_NUMBERS];
    read_parameter(m, "decoders.grade.0.weight", weight);
    read_parameter(m, "decoders.grade.0.bias", bias);
    read_parameter(m, "decoders.grade.2.weight", last);
    read_parameter(m, "decoders.grade.2.bias", last_bias);
    double mean[CHANNELS] = {0};
    for (int i = 0; i < HEIGHT * WIDTH * CHANNELS; i++) {
        mean[i % CHANNELS] += map[i] / (double)(HEIGHT * WIDTH);
    }
    for (int h = 0; h < HIDDEN; h++) {
        hidden[h] = bias[h];
        for (int c = 0; c < copies * CHANNELS; c++) {
            hidden[h] += weight[h * copies * CHANNELS + c] * mean[c % CHANNELS];
        }
        hidden[h] = fmax(hidden[h], 0);
    }
    for (int o = 0; o < OUTPUTS; o++) {
        output[o] = last_bias[o];
        for (int h = 0; h < HIDDEN; h++) {
            output[o] += last[o * HIDDEN + h] * hidden[h];
        }
    }
}

static void a_vector_head_is_pooling_and_two_linear_layers(void)
{
    for (unsigned pooled_too = 0; pooled_too <= 1; pooled_too++) {
        sm_plan_options plan = training;
        plan.capacity = BATCH;
        machine m = machine_new(append_head, pooled_too, &plan);
        result r = execute(&m, BATCH, NAN);
        size_t count;
        const float *gradient = slice_of(&m, &r, "decoders.grade.2.weight", &count);
        write_seed(&m, 0, NAN); /* once more: backward has used its place */
        const float *seeds = sm_plan_output_gradient(m.plan, &m.run, 0);
        double expected_gradient[OUTPUTS * HIDDEN] = {0}, hidden[HIDDEN], output[OUTPUTS];
        int alive = 0;
        CU_ASSERT_EQUAL_FATAL(count, OUTPUTS * HIDDEN);
        for (int n = 0; n < BATCH; n++) {
            const float *map =
                (const float *)(void *)m.run.base[SM_REGION_INPUT] + (size_t)n * HEIGHT * WIDTH * CHANNELS;
            expected_output(&m, map, pooled_too ? 2 : 1, hidden, output);
            for (int o = 0; o < OUTPUTS; o++) {
                SM_TEST_AT_MOST(fabs(r.output[0][n * OUTPUTS + o] - output[o]), tolerance);
                for (int h = 0; h < HIDDEN; h++) {
                    expected_gradient[o * HIDDEN + h] += seeds[n * OUTPUTS + o] * hidden[h];
                    alive += hidden[h] > 0;
                }
            }
        }
        CU_ASSERT(alive > 0); /* else the gradient says nothing */
        for (size_t i = 0; i < count; i++) {
            SM_TEST_AT_MOST(fabs(gradient[i] - expected_gradient[i]), tolerance);
        }
        result_free(&r);
        machine_free(&m);
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_vector_head_is_pooling_and_two_linear_layers);
    return sm_test_end();
}
