/* ranks: 1 */
/* Gradients against differences of the loss, and against graphs that copy what others share; how micro-batches and ranks
 * add them up, and when they are final. */
#include "plan_fixture.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

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
        sm_test_worse(&worst, fabs((double)both.gradients[i] - first.gradients[i] - second.gradients[i]));
        scale = fmax(scale, fabs(first.gradients[i]) + fabs(second.gradients[i]));
    }
    SM_TEST_AT_MOST(worst, 4e-6 * scale); /* the sum of one pass starts at what is there, and rounds along the way */
    CU_ASSERT(all_finite(both.gradients, both.gradient_floats));
    result_free(&first);
    result_free(&second);
    result_free(&both);
    machine_free(&m);
}

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

/* Where a normalisation is frozen its statistics are, too: only if all are the others' gradients are the same. */
static void frozen_parameters_get_no_calls(void)
{
    sm_plan_options still = training;
    still.batch_norm = SM_BATCH_NORM_FROZEN;
    machine all = machine_new(small_network, 0, &still), some = machine_new_frozen(small_network, 0, &still, "stem*");
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

/* Whatever is so bit by bit. */
static void the_same_holds_for_maps_of_bfloat16(void)
{
    static void (*const tests[])(void) = {results_of_a_real_network_are_finite,
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
    SM_TEST(results_of_a_real_network_are_finite);
    SM_TEST(gradients_of_all_readers_add_up);
    SM_TEST(layers_used_twice_add_their_gradients);
    SM_TEST(gradients_are_slopes_of_the_loss);
    SM_TEST(a_rank_without_samples_contributes_zeros);
    SM_TEST(no_samples_add_nothing);
    SM_TEST(accumulation_adds);
    SM_TEST(complete_gradients_stay_what_they_are);
    SM_TEST(frozen_parameters_get_no_calls);
    SM_TEST(the_same_holds_for_maps_of_bfloat16);
    return sm_test_end();
}
