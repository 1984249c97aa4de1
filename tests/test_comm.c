/* ranks: 1 2 3 4 */
#define _POSIX_C_SOURCE 200809L
#include "harness.h"

#include <sigmatic/base/status.h>
#include <sigmatic/comm/node_memory.h>
#include <sigmatic/comm/vote.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

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

/* Each rank of a node writes its place, all read all of them, in turns that a barrier parts; nodes do not see each other. */
static void memory_stands_once_a_node(void)
{
    enum { ROUNDS = 2000 };
    for (int per_node = 0; per_node <= 2; per_node++) {
        sm_comm *comm = sm_test_nodes(per_node);
        int ranks = sm_comm_size(comm), rank = sm_comm_rank(comm), first = per_node ? rank / per_node * per_node : 0;
        int size = per_node && ranks - first > per_node ? per_node : ranks - first, wrong = 0;
        sm_node_memory *memory = sm_node_memory_new(comm, (size_t)ranks * sizeof(int64_t));
        int64_t *places = sm_node_memory_base(memory);
        CU_ASSERT(sm_node_memory_is_shared(memory) == (ranks > 1) && (uintptr_t)places % 64 == 0);
        CU_ASSERT(sm_node_memory_rank(memory) == rank - first && sm_node_memory_size(memory) == size);
        for (int i = 0; i < ranks; i++) {
            wrong += places[i] != 0;
        }
        sm_comm_node_barrier(comm);
        for (int round = 0; round < ROUNDS; round++) {
            places[rank - first] = round * 100 + rank;
            sm_comm_node_barrier(comm);
            for (int i = 0; i < size; i++) {
                wrong += places[i] != round * 100 + first + i;
            }
            sm_comm_node_barrier(comm);
        }
        if (sm_node_memory_rank(memory) == 0) {
            for (int i = 0; i < ranks; i++) {
                places[i] = rank == 0 ? 7 + i : -1;
            }
        }
        sm_comm_broadcast_to_nodes(comm, places, (size_t)ranks * sizeof *places);
        for (int i = 0; i < ranks; i++) {
            wrong += places[i] != 7 + i;
        }
        CU_ASSERT(wrong == 0);
        sm_node_memory_free(memory);
        sm_comm_part_free(comm);
    }
    sm_node_memory_free(NULL);
}

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* Somebody's error, or wish to stop, ends the work of all after the same round, long before its end. */
static void votes_end_the_work_of_all_ranks(void)
{
    enum { ROUNDS = 20000, EARLY = 1, LATE = 7 };
    static const int when[] = {EARLY, LATE};
    for (int i = 0; i < 4; i++) {
        sm_vote vote = {0};
        int64_t round = 0, same;
        int is_last = sm_comm_rank(test_comm) == sm_comm_size(test_comm) - 1, is_stop = i % 2;
        for (; round < ROUNDS && !vote.failed && !vote.stop; round++) {
            int happens = is_last && round >= when[i / 2];
            sm_vote_between(test_comm, &vote, round, happens && !is_stop ? SM_ERR_IO : SM_OK, happens && is_stop);
            rest();
        }
        CU_ASSERT(vote.failed == !is_stop && vote.stop == is_stop);
        CU_ASSERT(round >= when[i / 2] && round < ROUNDS / 10);
        CU_ASSERT(when[i / 2] > EARLY || round == EARLY + 1);
        same = round;
        sm_comm_max_int64(test_comm, &same, 1);
        CU_ASSERT_EQUAL(round, same);
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(sums_run_over_all_ranks);
    SM_TEST(broadcast_reaches_every_rank_from_any_root);
    SM_TEST(one_failure_becomes_everyones);
    SM_TEST(votes_end_the_work_of_all_ranks);
    SM_TEST(gather_keeps_the_order_of_ranks);
    SM_TEST(the_first_ranks_make_a_part);
    SM_TEST(self_is_one_rank_alone);
    SM_TEST(memory_stands_once_a_node);
    return sm_test_end();
}
