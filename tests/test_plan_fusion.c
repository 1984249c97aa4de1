/* ranks: 1 */
/* Ops that a plan lowers together equal the separate ones. */
#include "plan_fixture.h"

#include <math.h>

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

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(fusion_changes_nothing);
    SM_TEST(a_vector_beside_a_map_equals_their_concatenation);
    return sm_test_end();
}
