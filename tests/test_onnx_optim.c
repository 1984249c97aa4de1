/* ranks: 1 */
/* The optimisers against the test vectors of ONNX (Debian package libonnx-testdata), which tests/golden/export_onnx.py
 * makes readable. Each case is one update from a given state. Where ONNX's definitions differ from PyTorch's and ours:
 *  Momentum  the gradient of the first update (step 0) is not multiplied by `beta`; all cases are such, so beta drops
 *            out; norm_coefficient is our weight decay
 *  Adam      step 0 has no bias correction: here the step count is so large that the corrections are 1;
 *            norm_coefficient adds to the gradient (Adam, not AdamW), so the test does
 *            test_adam_multiple was computed with epsilon 0.01, which its node does not state (the default is 1e-6)
 *  Adagrad   we have none */
#include "golden.h"

#include <sigmatic/optim/optimizer.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TENSORS = 4, MANY_STEPS = 1000000 };

/* One update of a few float32 numbers by another float32 program: a few roundings. */
static const double rounding = 1e-6;

static sm_h5 *file;
static int ran, skipped;

/* The tensors of a case side by side in flat arrays, a slice each. */
typedef struct flat {
    sm_slice_update slices[MOST_TENSORS];
    int tensors;
    float parameters[64], gradients[64], state[2][64];
} flat;

static void gather(golden_case *from, const char *array, int tensor, float *flat_array, sm_slice_update *slice)
{
    char name[32];
    sm_h5_info info;
    snprintf(name, sizeof name, "%s_%d", array, tensor);
    const float *values = golden_array(from, name, &info);
    CU_ASSERT_TRUE_FATAL(slice->offset + info.count <= 64);
    slice->count = info.count;
    memcpy(flat_array + slice->offset, values, info.count * sizeof *values);
}

static void compare(golden_case *from, const char *array, int tensor, const float *flat_array,
                    const sm_slice_update *slice)
{
    char name[32];
    snprintf(name, sizeof name, "new_%s_%d", array, tensor);
    golden_compare(from, name, flat_array + slice->offset, rounding);
}

static void run(golden_case *from, const sm_optimizer *optimizer, const char *const *states, int decay, int64_t step)
{
    flat all = {.tensors = golden_attribute(from, "tensors")};
    int64_t steps[MOST_TENSORS] = {step, step, step, step};
    float *state[2] = {all.state[0], all.state[1]};
    float added = decay ? 0 : (float)golden_attribute_double(from, "norm_coefficient");

    CU_ASSERT_TRUE_FATAL(!from->broken && all.tensors >= 1 && all.tensors <= MOST_TENSORS);
    CU_ASSERT_EQUAL(golden_attribute(from, "step"), 0);
    for (int i = 0; i < all.tensors; i++) {
        size_t offset = i > 0 ? all.slices[i - 1].offset + all.slices[i - 1].count : 0;
        all.slices[i] = (sm_slice_update){offset, 0, 1, decay, 1};
        gather(from, "parameter", i, all.parameters, &all.slices[i]);
        gather(from, "gradient", i, all.gradients, &all.slices[i]);
        for (int k = 0; k < optimizer->kind->state_count; k++) {
            gather(from, states[k], i, all.state[k], &all.slices[i]);
        }
    }
    for (int i = 0; i < 64; i++) {
        all.gradients[i] += added * all.parameters[i];
    }
    sm_optimizer_step(optimizer, all.slices, all.tensors, golden_attribute_double(from, "learning_rate"), 1,
                      all.parameters, all.gradients, state, steps, 1);
    for (int i = 0; i < all.tensors; i++) {
        compare(from, "parameter", i, all.parameters, &all.slices[i]);
        for (int k = 0; k < optimizer->kind->state_count; k++) {
            compare(from, states[k], i, all.state[k], &all.slices[i]);
        }
    }
    ran++;
}

static const sm_optimizer_kind *kind_named(const char *name)
{
    const sm_optimizer_kind *kind = sm_optimizer_kinds;
    while (strcmp(kind->name, name) != 0) {
        kind++;
    }
    return kind;
}

static void optimizer_case(golden_case *from)
{
    static const char *const velocity[] = {"velocity"}, *const moments[] = {"first", "second"};
    int is_nesterov = golden_attribute_is(from, "kind", "nesterov");
    if (is_nesterov || golden_attribute_is(from, "kind", "momentum")) {
        sm_optimizer sgd = {.kind = kind_named("sgd"),
                            .nesterov = is_nesterov,
                            .momentum = golden_attribute_double(from, "alpha"),
                            .weight_decay = golden_attribute_double(from, "norm_coefficient")};
        run(from, &sgd, velocity, 1, 0);
    } else if (golden_attribute_is(from, "kind", "adam")) {
        sm_optimizer adamw = {.kind = kind_named("adamw"),
                              .beta1 = golden_attribute_double(from, "alpha"),
                              .beta2 = golden_attribute_double(from, "beta"),
                              .epsilon = golden_attribute_double(from, "epsilon")};
        if (strstr(from->group, "test_adam_multiple")) {
            adamw.epsilon = 0.01;
        }
        CU_ASSERT_EQUAL(golden_attribute_double(from, "norm_coefficient_post"), 0);
        run(from, &adamw, moments, 0, MANY_STEPS);
    } else {
        CU_ASSERT_TRUE(golden_attribute_is(from, "kind", "adagrad"));
        skipped++;
    }
}

static void updates_equal_onnx(void)
{
    file = golden_onnx();
    if (!file) {
        return;
    }
    ran = skipped = 0;
    int cases = golden_for_each(file, "/optimizer", optimizer_case);
    CU_ASSERT_TRUE(ran >= 5 && ran + skipped == cases);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST_BY_SETS(updates_equal_onnx);
    int failed = sm_test_end();
    (void)sm_h5_close(file);
    return failed;
}
