/* ranks: 1 */
/* Maps of bfloat16; that they hold what floats hold is tested with each property. */
#include "plan_fixture.h"

#include <math.h>

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

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_map_pooled_to_a_pixel_has_its_type);
    return sm_test_end();
}
