/* ranks: 1 */
/* The memory of a plan: shared or not, poisoned or not, of another capacity, with values computed again: the same bits. */
#include "plan_fixture.h"

#include <math.h>

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

/* Whatever is so bit by bit. */
static void the_same_holds_for_maps_of_bfloat16(void)
{
    static void (*const tests[])(void) = {shared_memory_changes_nothing,
                                          nothing_is_read_before_it_is_written,
                                          recomputing_changes_nothing,
                                          recomputing_blocks_changes_nothing,
                                          recomputing_blocks_repeats_no_statistics,
                                          fewer_samples_give_the_numbers_of_a_smaller_plan};
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
    SM_TEST(sharing_memory_saves_memory);
    SM_TEST(fewer_samples_give_the_numbers_of_a_smaller_plan);
    SM_TEST(the_same_holds_for_maps_of_bfloat16);
    return sm_test_end();
}
