/* ranks: 1 2 3 4 */
#include "harness.h"

#include <sigmatic/base/status.h>

#include <stdio.h>
#include <string.h>

static void sums_run_over_all_ranks(void)
{
    int rank = sm_comm_rank(test_comm), size = sm_comm_size(test_comm);
    int64_t whole[2] = {rank + 1, -rank};
    double real = 0.5 * rank;
    sm_comm_sum_int64(test_comm, whole, 2);
    sm_comm_sum_double(test_comm, &real, 1);
    CU_ASSERT(whole[0] == size * (size + 1) / 2 && whole[1] == -size * (size - 1) / 2);
    CU_ASSERT(real == 0.25 * size * (size - 1));
}

static void broadcast_reaches_every_rank_from_any_root(void)
{
    for (int root = 0; root < sm_comm_size(test_comm); root++) {
        int value = sm_comm_rank(test_comm) == root ? 40 + root : -1;
        sm_comm_broadcast(test_comm, &value, sizeof value, root);
        CU_ASSERT(value == 40 + root);
    }
}

static void one_failure_becomes_everyones(void)
{
    CU_ASSERT(sm_comm_agree(test_comm, SM_OK) == SM_OK);
    int last = sm_comm_size(test_comm) - 1;
    sm_fail(SM_OK, "nothing");
    sm_status own = SM_OK;
    if (sm_comm_rank(test_comm) == last) {
        own = sm_fail(SM_ERR_INPUT, "x.h5: no such thing");
    }
    CU_ASSERT(sm_comm_agree(test_comm, own) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("x.h5: no such thing");
    if (last > 0) {
        char who[64];
        snprintf(who, sizeof who, "rank %d: x.h5", last);
        SM_TEST_MESSAGE(who);
    }
    /* now it is everybody's: agreeing again does not blame again */
    CU_ASSERT(sm_comm_agree(test_comm, SM_ERR_INPUT) == SM_ERR_INPUT);
    CU_ASSERT(strstr(sm_error_message(), "rank 0:") == NULL || last == 0);
    SM_TEST_MESSAGE("x.h5: no such thing");
}

static void gather_keeps_the_order_of_ranks(void)
{
    double own[2] = {sm_comm_rank(test_comm), 7}, all[64];
    sm_comm_gather_double(test_comm, own, 2, all);
    for (int r = 0; r < sm_comm_size(test_comm); r++) {
        CU_ASSERT(all[2 * r] == r && all[2 * r + 1] == 7);
    }
}

/* Parts are communicators of their own; who is not in one sleeps. */
static void the_first_ranks_make_a_part(void)
{
    for (int ranks = 1; ranks <= sm_comm_size(test_comm); ranks++) {
        sm_comm *part = sm_comm_part_new(test_comm, ranks);
        CU_ASSERT((part != NULL) == (sm_comm_rank(test_comm) < ranks));
        if (part) {
            double one = 1;
            CU_ASSERT(sm_comm_size(part) == ranks && sm_comm_rank(part) == sm_comm_rank(test_comm));
            for (int i = 0; i < 3; i++, one = 1) {
                sm_comm_sum_double(part, &one, 1);
                CU_ASSERT(one == ranks);
            }
        }
        sm_comm_part_free(part);
        sm_comm_barrier_asleep(test_comm);
    }
}

/* Only one rank enters: a message to another one would hang. */
static void self_is_one_rank_alone(void)
{
    sm_comm *self = sm_comm_self();
    CU_ASSERT(sm_comm_rank(self) == 0 && sm_comm_size(self) == 1);
    if (sm_comm_rank(test_comm) == 0) {
        double value = 3, all = 0;
        sm_comm_sum_double(self, &value, 1);
        sm_comm_gather_double(self, &value, 1, &all);
        sm_comm_broadcast(self, &value, sizeof value, 0);
        sm_comm_barrier(self);
        CU_ASSERT(value == 3 && all == 3);
        CU_ASSERT(sm_comm_agree(self, sm_fail(SM_ERR_IO, "alone")) == SM_ERR_IO);
        SM_TEST_MESSAGE("alone");
    }
    sm_comm_barrier(test_comm);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(sums_run_over_all_ranks);
    SM_TEST(broadcast_reaches_every_rank_from_any_root);
    SM_TEST(one_failure_becomes_everyones);
    SM_TEST(gather_keeps_the_order_of_ranks);
    SM_TEST(the_first_ranks_make_a_part);
    SM_TEST(self_is_one_rank_alone);
    return sm_test_end();
}
