/* ranks: 1 2 3 4 8 */
#define _POSIX_C_SOURCE 200809L
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/reduction.h>

#include "comm/reduction_kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BUCKET_BYTES = 4096, MOST = 20011 };

/* Rank r's value i in round `round`; some large, some tiny, so that the order of additions shows. */
static float value_of(int rank, size_t i, int round)
{
    sm_random random = sm_random_new(77, (uint64_t)(rank * 1000 + round), (uint32_t)i);
    float normal = sm_random_normal(&random);
    return ldexpf(normal, (int)sm_random_below(&random, 12) - 6);
}

enum { ROUNDS = 4 };

/* All that the tests need, once: this rank's values; the sum over ranks in double, and of the magnitudes. */
static float own[ROUNDS][MOST];
static double sums[ROUNDS][MOST], magnitudes[ROUNDS][MOST];

static void make_values(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < MOST; i++) {
            for (int r = 0; r < sm_comm_size(test_comm); r++) {
                float value = value_of(r, i, round);
                own[round][i] = r == sm_comm_rank(test_comm) ? value : own[round][i];
                sums[round][i] += value;
                magnitudes[round][i] += fabs((double)value);
            }
        }
    }
}

static void fill(float *values, size_t count, int round)
{
    memcpy(values, own[round], count * sizeof *values);
}

/* Errors relative to the sum of magnitudes: P - 1 additions of float, each within 2^-24 of a partial sum; compressed, beyond what half a unit
 * in the last of bfloat16's 8 bits allows. */
static double worst_error(const float *values, size_t count, int round, int compressed)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double sum = sums[round][i], magnitude = magnitudes[round][i];
        double bound = compressed ? ldexp(magnitude + fabs(sum), -8) * (1 + ldexp(1, -7)) : 0;
        sm_test_worse(&worst, (fabs(values[i] - sum) - bound) / magnitude);
    }
    return worst;
}

static double float_bound(void)
{
    return ldexp(sm_comm_size(test_comm), -24);
}

/* Lets the values become complete in random steps, the same on no two ranks. */
static void run(sm_reduction *reduction, size_t count, unsigned seed)
{
    sm_random random = sm_random_new(seed, (uint64_t)sm_comm_rank(test_comm), 0);
    sm_reduction_begin(reduction);
    for (size_t complete = 0; complete < count;) {
        complete += sm_random_below(&random, 3000);
        sm_reduction_progress(reduction, complete < count ? complete : count);
    }
    sm_reduction_finish(reduction);
}

/* Every rank holds the bits of rank 0. */
static int same_everywhere(const float *values, size_t count)
{
    float *first = sm_alloc(count * sizeof *first + 1);
    memcpy(first, values, count * sizeof *first);
    sm_comm_broadcast(test_comm, first, count * sizeof *first, 0);
    int same = memcmp(first, values, count * sizeof *first) == 0;
    sm_free(first);
    return same;
}

static sm_reduction *new_reduction(float *values, size_t count, const sm_reduction_options *options)
{
    return sm_reduction_new(test_comm, values, count, options);
}

static const size_t counts[] = {0, 1, 15, 1024, 1025, 5000, MOST};
enum { COUNTS = sizeof counts / sizeof *counts };

static void try_all_counts(const sm_reduction_options *options, int shared)
{
    for (int c = 0; c < COUNTS; c++) {
        size_t count = counts[c];
        float *values = shared ? sm_reduction_alloc(test_comm, count + 1) : sm_alloc((count + 1) * sizeof *values);
        values[count] = 123;
        sm_reduction *reduction = new_reduction(values, count, options);
        for (int round = 0; round < 3; round++) {
            fill(values, count, round);
            run(reduction, count, 5);
            SM_TEST_AT_MOST(worst_error(values, count, round, options->compress), float_bound());
            CU_ASSERT(same_everywhere(values, count));
        }
        CU_ASSERT(values[count] == 123);
        sm_reduction_free(reduction);
        if (shared) {
            sm_reduction_free_values(values);
        } else {
            sm_free(values);
        }
    }
}

static void sums_are_those_of_double_in_every_mode(void)
{
    for (int mode = 0; mode < SM_REDUCTION_MODES; mode++) {
        for (int compress = 0; compress < 2; compress++) {
            try_all_counts(&(sm_reduction_options){.mode = (sm_reduction_mode)mode,
                                                   .bucket_bytes = BUCKET_BYTES,
                                                   .compress = compress},
                           0);
        }
    }
}

static void hierarchical_sums_hold_for_any_size_of_nodes(void)
{
    for (int ranks = 0; ranks <= 3; ranks++) {
        for (int shared = 0; shared < 2; shared++) {
            try_all_counts(&(sm_reduction_options){.mode = SM_REDUCTION_HIERARCHICAL,
                                                   .bucket_bytes = BUCKET_BYTES,
                                                   .ranks_per_node = ranks},
                           shared);
        }
        try_all_counts(&(sm_reduction_options){.mode = SM_REDUCTION_HIERARCHICAL,
                                               .bucket_bytes = BUCKET_BYTES,
                                               .ranks_per_node = ranks,
                                               .compress = 1,
                                               .threads = 2},
                       1);
    }
}

/* Uneven shares of the ranks of a node, some empty. */
static size_t share_begin(size_t count, int rank, int size)
{
    return rank == 0 ? 0 : rank == size ? count : count * (size_t)(rank / 2 * 2 + 1) / (size_t)(size + 1);
}

/* What a rank has no share of it may hold as it likes. */
static void try_shares(sm_comm *comm, int rank, int size, size_t count, const sm_reduction_options *given, int shared)
{
    size_t shares[9];
    for (int r = 0; r <= size; r++) {
        shares[r] = share_begin(count, r, size);
    }
    sm_reduction_options options[] = {*given, *given};
    options[1].shares = shares;
    float *values[2];
    for (int i = 0; i < 2; i++) {
        values[i] = shared ? sm_reduction_alloc(comm, count + 1) : sm_alloc((count + 1) * sizeof(float));
        values[i][count] = 123;
        sm_reduction *reduction = sm_reduction_new(comm, values[i], count, &options[i]);
        for (int round = 0; round < 3; round++) {
            fill(values[i], count, round);
            run(reduction, count, 5);
            size_t begin = i ? shares[rank] : 0, end = i ? shares[rank + 1] : count;
            float *sum = sm_alloc((count + 1) * sizeof *sum);
            for (size_t k = 0; k < count; k++) {
                sum[k] = k >= begin && k < end ? values[i][k] : (float)sums[round][k];
            }
            SM_TEST_AT_MOST(worst_error(sum, count, round, options[i].compress), float_bound());
            sm_free(sum);
        }
        CU_ASSERT(values[i][count] == 123);
        sm_reduction_free(reduction);
    }
    size_t begin = shares[rank], length = shares[rank + 1] - begin;
    CU_ASSERT(memcmp(values[0] + begin, values[1] + begin, length * sizeof(float)) == 0);
    for (int i = 0; i < 2; i++) {
        if (shared) {
            sm_reduction_free_values(values[i]);
        } else {
            sm_free(values[i]);
        }
    }
}

/* As one node, and as nodes of two, of which the last may hold one. */
static void ranks_that_need_a_share_get_it(void)
{
    for (int per_node = 0; per_node <= 2; per_node += 2) {
        sm_comm *comm = sm_test_nodes(per_node);
        int ranks = sm_comm_size(comm), place = per_node ? sm_comm_rank(comm) % per_node : sm_comm_rank(comm);
        int left = ranks - (sm_comm_rank(comm) - place), size = per_node && left > per_node ? per_node : left;
        for (int c = 0; c < COUNTS; c++) {
            for (int mode = 0; mode < SM_REDUCTION_MODES; mode++) {
                const sm_reduction_options options = {.mode = (sm_reduction_mode)mode, .bucket_bytes = BUCKET_BYTES};
                try_shares(comm, place, size, counts[c], &options, mode % 2 == 0);
            }
            const sm_reduction_options copied = {.mode = SM_REDUCTION_HIERARCHICAL, .compress = 1};
            try_shares(comm, place, size, counts[c], &copied, 0);
        }
        sm_comm_part_free(comm);
    }
}

static void reduce_once(float *values, const sm_reduction_options *options, unsigned seed)
{
    sm_reduction *reduction = new_reduction(values, MOST, options);
    fill(values, MOST, 0);
    run(reduction, MOST, seed);
    sm_reduction_free(reduction);
}

/* Not of timing, bucket size or overlap; hierarchical with one rank a node is overlapped. */
static void bits_depend_on_the_layout_alone(void)
{
    float *first = sm_alloc(MOST * sizeof *first), *values = sm_alloc(MOST * sizeof *values);
    const sm_reduction_options options[] = {
        {.mode = SM_REDUCTION_BLOCKING, .bucket_bytes = BUCKET_BYTES},
        {.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = BUCKET_BYTES},
        {.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = 30000, .poll_seconds = 1e-9},
        {.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = 20000, .poll_seconds = 1e-6, .thread = 1},
        {.mode = SM_REDUCTION_HIERARCHICAL, .bucket_bytes = 20000, .ranks_per_node = 1}};
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
        reduce_once(i == 0 ? first : values, &options[i], i);
        CU_ASSERT(i == 0 || memcmp(first, values, MOST * sizeof *first) == 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        reduce_once(
            i == 0 ? first : values,
            &(sm_reduction_options){
                .mode = SM_REDUCTION_HIERARCHICAL, .bucket_bytes = 4096 << i, .ranks_per_node = 2, .thread = i % 2},
            i);
        CU_ASSERT(i == 0 || memcmp(first, values, MOST * sizeof *first) == 0);
    }
    sm_free(first);
    sm_free(values);
}

static void a_rank_with_nan_makes_it_everyones(void)
{
    for (int compress = 0; compress < 2; compress++) {
        float *values = sm_alloc(3000 * sizeof *values);
        sm_reduction *reduction = new_reduction(
            values, 3000,
            &(sm_reduction_options){.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = 1, .compress = compress});
        memset(values, 0, 3000 * sizeof *values);
        if (sm_comm_rank(test_comm) == sm_comm_size(test_comm) - 1) {
            values[2999] = NAN;
            values[0] = INFINITY;
        }
        run(reduction, 3000, 1);
        CU_ASSERT(isnan(values[2999]) && isinf(values[0]) && values[1] == 0);
        sm_reduction_free(reduction);
        sm_free(values);
    }
}

static void wait_for_seconds(double seconds)
{
    struct timespec duration = {0, (long)(1e9 * seconds)};
    nanosleep(&duration, NULL);
}

/* All but the end is summed while the last bucket is not even complete. */
static void buckets_travel_while_the_array_fills(void)
{
    const sm_reduction_mode modes[] = {SM_REDUCTION_OVERLAPPED, SM_REDUCTION_HIERARCHICAL, SM_REDUCTION_HIERARCHICAL,
                                       SM_REDUCTION_BLOCKING};
    const int ranks_per_node[] = {0, 0, 2, 0};
    for (int m = 0; m < 4; m++) {
        float *values = sm_alloc(MOST * sizeof *values);
        const sm_reduction_options options = {
            .mode = modes[m], .bucket_bytes = BUCKET_BYTES, .ranks_per_node = ranks_per_node[m], .poll_seconds = 1e-9};
        sm_reduction *reduction = new_reduction(values, MOST, &options);
        fill(values, MOST, 2);
        sm_comm_barrier(test_comm);
        sm_reduction_begin(reduction);
        size_t buckets;
        int most = modes[m] == SM_REDUCTION_BLOCKING ? 20 : 2000;
        for (int polls = 0; polls < most; polls++) { /* at most: time for the slowest of eight ranks on few cores */
            sm_reduction_progress(reduction, MOST - 1);
            sm_reduction_trace(reduction, &buckets);
            wait_for_seconds(polls < 20 ? 1e-4 : 2e-3);
            if (sm_reduction_trace(reduction, &buckets)[buckets - 2].finished_seconds > 0 && polls >= 20) {
                break;
            }
        }
        double finish_begin = sm_seconds();
        sm_comm_barrier(test_comm);
        sm_reduction_finish(reduction);
        const sm_reduction_bucket_times *times = sm_reduction_trace(reduction, &buckets);
        sm_reduction_statistics statistics;
        sm_reduction_get_statistics(reduction, &statistics);
        CU_ASSERT(buckets == statistics.buckets && times[buckets - 1].first + times[buckets - 1].count == MOST);
        int early = 0;
        for (size_t i = 0; i < buckets; i++) {
            early += times[i].finished_seconds < finish_begin;
            CU_ASSERT(times[i].started_seconds <= times[i].finished_seconds);
        }
        CU_ASSERT(early == (modes[m] == SM_REDUCTION_BLOCKING ? 0 : (int)buckets - 1));
        CU_ASSERT(modes[m] == SM_REDUCTION_BLOCKING || statistics.hidden_seconds > 0);
        sm_reduction_free(reduction);
        sm_free(values);
    }
}

/* Inside a long op nobody polls. Other sums meanwhile take turns with the thread. */
static void a_thread_moves_buckets_during_long_ops(void)
{
    const int ranks_per_node[] = {1, 2};
    for (int n = 0; n < 2 && sm_comm_size(test_comm) > ranks_per_node[n]; n++) {
        float *values = sm_alloc(MOST * sizeof *values);
        const sm_reduction_options options = {.mode = SM_REDUCTION_HIERARCHICAL,
                                              .bucket_bytes = BUCKET_BYTES,
                                              .ranks_per_node = ranks_per_node[n],
                                              .thread = 1};
        sm_reduction *reduction = new_reduction(values, MOST, &options);
        for (int round = 0; round < 2; round++) {
            fill(values, MOST, round);
            sm_comm_barrier(test_comm);
            sm_reduction_begin(reduction);
            sm_reduction_progress(reduction, MOST - 1);
            wait_for_seconds(0.25);
            for (int i = 0; i < 50; i++) {
                double one = 1;
                sm_comm_sum_double(test_comm, &one, 1);
                CU_ASSERT(one == sm_comm_size(test_comm));
            }
            double begin = sm_seconds();
            sm_reduction_finish(reduction);
            size_t buckets;
            const sm_reduction_bucket_times *times = sm_reduction_trace(reduction, &buckets);
            CU_ASSERT(times[buckets - 2].finished_seconds < begin);
            SM_TEST_AT_MOST(worst_error(values, MOST, round, 0), float_bound());
            CU_ASSERT(same_everywhere(values, MOST));
        }
        sm_reduction_free(reduction);
        sm_free(values);
    }
}

/* A wait for another message, as in synchronised batch norm, moves the buckets too. */
static void a_wait_elsewhere_moves_buckets(void)
{
    int is_last = sm_comm_rank(test_comm) == sm_comm_size(test_comm) - 1;
    float *values = sm_alloc(MOST * sizeof *values);
    sm_reduction *reduction = new_reduction(
        values, MOST,
        &(sm_reduction_options){.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = BUCKET_BYTES, .poll_seconds = 1e-6});
    fill(values, MOST, 3);
    sm_reduction_begin(reduction);
    sm_reduction_progress(reduction, MOST - 1);
    for (int i = 0; i < 200 && is_last; i++) {
        sm_reduction_progress(reduction, MOST - 1);
        wait_for_seconds(1e-3);
    }
    sm_comm_barrier(test_comm);
    double begin = sm_seconds();
    sm_reduction_finish(reduction);
    size_t buckets;
    const sm_reduction_bucket_times *times = sm_reduction_trace(reduction, &buckets);
    CU_ASSERT(times[0].finished_seconds < begin && times[buckets / 2].finished_seconds < begin);
    SM_TEST_AT_MOST(worst_error(values, MOST, 3, 0), float_bound());
    sm_reduction_free(reduction);
    sm_free(values);
}

/* 2 (P - 1) / P of the array leave a rank on average, half of that compressed, nothing inside a node. */
static void messages_are_as_long_as_said(void)
{
    double ranks = sm_comm_size(test_comm), nodes[] = {ranks, ranks, 1, ceil(ranks / 2)};
    const sm_reduction_options options[] = {
        {.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = BUCKET_BYTES},
        {.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = BUCKET_BYTES, .compress = 1},
        {.mode = SM_REDUCTION_HIERARCHICAL, .bucket_bytes = BUCKET_BYTES},
        {.mode = SM_REDUCTION_HIERARCHICAL, .bucket_bytes = BUCKET_BYTES, .ranks_per_node = 2}};
    for (int i = 0; i < 4; i++) {
        float *values = sm_alloc_zeroed(MOST * sizeof *values);
        sm_reduction *reduction = new_reduction(values, MOST, &options[i]);
        run(reduction, MOST, 1);
        sm_reduction_statistics statistics;
        sm_reduction_get_statistics(reduction, &statistics);
        double sent = (double)statistics.sent_bytes;
        sm_comm_sum_double(test_comm, &sent, 1);
        double expected = 2 * (nodes[i] - 1) * MOST * (options[i].compress ? 2 : 4);
        CU_ASSERT(sent == expected);
        sm_reduction_free(reduction);
        sm_free(values);
    }
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Against the definition: the nearer of the two neighbours, of two equally near ones that with an even last bit. */
static void bfloat16_rounds_to_nearest_even(void)
{
    sm_random random = sm_random_new(3, 0, 0);
    for (int i = 0; i < 20000; i++) {
        uint32_t bits = sm_random_u32(&random), lower = bits & 0xffff0000u;
        bits = i % 4 == 0 ? lower | 0x8000u : bits; /* a tie */
        float value = from_bits(bits), back;
        if (isnan(value) || (bits & 0x7fffffffu) >= 0x7f7f0000u) {
            continue;
        }
        double down = fabs((double)value - from_bits(lower)), up = fabs((double)from_bits(lower + 0x10000u) - value);
        uint32_t nearest = down < up || (down == up && (lower >> 16) % 2 == 0) ? lower : lower + 0x10000u;
        uint16_t half;
        sm_bf16_from_floats(&value, &half, 1);
        sm_floats_from_bf16(&half, &back, 1);
        CU_ASSERT(half == nearest >> 16 && back == from_bits(nearest));
    }
    const float special[] = {NAN, from_bits(0x7f800001u), from_bits(0xffffffffu), INFINITY, -INFINITY, 3.4e38f, -0.0f};
    uint16_t halves[7];
    float back[7];
    sm_bf16_from_floats(special, halves, 7);
    sm_floats_from_bf16(halves, back, 7);
    CU_ASSERT(isnan(back[0]) && isnan(back[1]) && isnan(back[2]));
    CU_ASSERT(back[3] == INFINITY && back[4] == -INFINITY && back[5] == INFINITY && halves[6] == 0x8000);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    make_values();
    SM_TEST(sums_are_those_of_double_in_every_mode);
    SM_TEST(hierarchical_sums_hold_for_any_size_of_nodes);
    SM_TEST(ranks_that_need_a_share_get_it);
    SM_TEST(bits_depend_on_the_layout_alone);
    SM_TEST(a_rank_with_nan_makes_it_everyones);
    SM_TEST(buckets_travel_while_the_array_fills);
    SM_TEST(a_thread_moves_buckets_during_long_ops);
    SM_TEST(a_wait_elsewhere_moves_buckets);
    SM_TEST(messages_are_as_long_as_said);
    SM_TEST(bfloat16_rounds_to_nearest_even);
    return sm_test_end();
}
