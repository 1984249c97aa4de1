/* ranks: 1 */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/sampler.h>

#include <math.h>
#include <string.h>

static void every_epoch_is_a_permutation(void)
{
    static const int64_t counts[] = {1, 2, 3, 4, 5, 14, 16, 17, 63, 64, 65, 1000, 2975, 4096};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        char *seen = sm_alloc((size_t)counts[c]);
        for (int64_t epoch = 0; epoch < 4; epoch++) {
            memset(seen, 0, (size_t)counts[c]);
            int64_t distinct = 0;
            for (int64_t position = 0; position < counts[c]; position++) {
                int64_t index = sm_sampler_index(7, epoch, counts[c], position);
                CU_ASSERT_FATAL(index >= 0 && index < counts[c]);
                distinct += !seen[index];
                seen[index] = 1;
            }
            CU_ASSERT(distinct == counts[c]);
        }
        sm_free(seen);
    }
}

static int64_t places_in_common(uint64_t seed_a, int64_t epoch_a, uint64_t seed_b, int64_t epoch_b, int64_t count)
{
    int64_t common = 0;
    for (int64_t position = 0; position < count; position++) {
        common +=
            sm_sampler_index(seed_a, epoch_a, count, position) == sm_sampler_index(seed_b, epoch_b, count, position);
    }
    return common;
}

static void seeds_and_epochs_give_other_orders(void)
{
    /* Two random permutations agree in one place on average (Poisson): more than 10 has probability 1e-8. */
    CU_ASSERT(places_in_common(1, 0, 1, 1, 1000) <= 10);
    CU_ASSERT(places_in_common(1, 0, 2, 0, 1000) <= 10);
    CU_ASSERT(places_in_common(1, 0, 1 + ((uint64_t)1 << 40), 0, 1000) <= 10);
    CU_ASSERT(places_in_common(1, 5, 1, 5 + ((int64_t)1 << 33), 1000) <= 10);
    CU_ASSERT(places_in_common(3, 4, 3, 4, 1000) == 1000);
}

/* Chi-square of how often each of 14 samples comes first (and follows sample 0), over many epochs. */
static void small_orders_are_fair(void)
{
    enum { COUNT = 14, EPOCHS = 14 * 300 };
    double first[COUNT] = {0}, after[COUNT] = {0}, chi_first = 0, chi_after = 0;
    int follows = 0;
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        int64_t before = -1;
        for (int64_t position = 0; position < COUNT; position++) {
            int64_t index = sm_sampler_index(11, epoch, COUNT, position);
            first[index] += position == 0;
            after[index] += before == 0;
            follows += before == 0;
            before = index;
        }
    }
    for (int i = 0; i < COUNT; i++) {
        double expected = (double)EPOCHS / COUNT;
        chi_first += (first[i] - expected) * (first[i] - expected) / expected;
        double expected_after = i == 0 ? 0 : (double)follows / (COUNT - 1);
        chi_after += i == 0 ? after[i] : (after[i] - expected_after) * (after[i] - expected_after) / expected_after;
    }
    SM_TEST_AT_MOST(chi_first, 40.8); /* 13 degrees of freedom: exceeded with probability 1e-4 */
    SM_TEST_AT_MOST(chi_after, 39.1); /* 12 */
}

static void ranks_share_every_step_and_lose_nothing(void)
{
    for (int size = 1; size <= 4; size++) {
        for (int64_t batch = 1; batch <= 9; batch++) {
            enum { COUNT = 23 };
            int times[3][COUNT] = {{0}};
            int64_t position = 0, steps = 0;
            while (position < 3 * COUNT) {
                int64_t expected_first = 0, count_global = 0;
                for (int rank = 0; rank < size; rank++) {
                    sm_sampler_step step = sm_sampler_step_at(position, COUNT, batch, rank, size);
                    CU_ASSERT(step.first_local == expected_first);
                    CU_ASSERT(step.count_local == step.count_global / size + (rank < step.count_global % size));
                    expected_first += step.count_local;
                    count_global = step.count_global;
                    for (int64_t i = 0; i < step.count_local; i++) {
                        int64_t place = step.first_global + step.first_local + i;
                        times[step.epoch][sm_sampler_index(5, step.epoch, COUNT, place)]++;
                    }
                }
                CU_ASSERT(expected_first == count_global);
                position += count_global;
                steps++;
            }
            CU_ASSERT(steps == sm_sampler_steps(COUNT, batch, 3));
            for (int i = 0; i < 3 * COUNT; i++) {
                CU_ASSERT(times[i / COUNT][i % COUNT] == 1);
            }
        }
    }
}

static void large_counts_work(void)
{
    int64_t count = ((int64_t)1 << 40) + 12345;
    for (int64_t position = count - 20; position < count; position++) {
        int64_t index = sm_sampler_index(1, 2, count, position);
        CU_ASSERT(index >= 0 && index < count && index != position);
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(every_epoch_is_a_permutation);
    SM_TEST(seeds_and_epochs_give_other_orders);
    SM_TEST(small_orders_are_fair);
    SM_TEST(ranks_share_every_step_and_lose_nothing);
    SM_TEST(large_counts_work);
    return sm_test_end();
}
