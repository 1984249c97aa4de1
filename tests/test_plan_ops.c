/* ranks: 1 */
/* Ops in a plan against their formulas; graphs and options that do not fit. */
#include "plan_fixture.h"

#include <math.h>
#include <string.h>

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

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(masks_follow_the_sample_not_the_batch);
    SM_TEST(nothing_is_dropped_outside_training);
    SM_TEST(a_perceptron_computes_its_formula);
    SM_TEST(what_does_not_fit_is_said);
    return sm_test_end();
}
