#include "cli/bench_allreduce.h"

#include <sigmatic/comm/reduction_bench.h>
#include <sigmatic/io/json.h>

#include <stdio.h>

static const size_t sizes_bytes[] = {64 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 240 << 20};
enum { SIZES = sizeof sizes_bytes / sizeof *sizes_bytes };

static sm_status print_json(sm_comm *comm, double seconds[SIZES][SM_REDUCTION_WAYS], const sm_link *link)
{
    sm_json *json = sm_json_new();
    sm_json_set_integer(json, "procs", sm_comm_size(comm));
    sm_json_set_integer(json, "nodes", sm_comm_nodes(comm));
    sm_json_set_real(json, "latency_us", 1e6 * link->latency_seconds);
    sm_json_set_real(json, "bandwidth_mb_s", 1e-6 * link->bandwidth);
    sm_json *bytes = sm_json_set_array(json, "bytes"), *ways = sm_json_set_object(json, "ms");
    for (int s = 0; s < SIZES; s++) {
        sm_json_set_integer(bytes, NULL, (int64_t)sizes_bytes[s]);
    }
    for (int way = 0; way < SM_REDUCTION_WAYS; way++) {
        sm_json *list = sm_json_set_array(ways, sm_reduction_ways[way].name);
        for (int s = 0; s < SIZES; s++) {
            sm_json_set_real(list, NULL, 1e3 * seconds[s][way]);
        }
    }
    sm_json_set_text(json, "recommended", sm_reduction_ways[sm_reduction_recommend(seconds[0], SIZES)].name);
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

static void print_table(double seconds[SIZES][SM_REDUCTION_WAYS], const sm_link *link)
{
    printf("link: %.1f us, %.1f MB/s each way\n", 1e6 * link->latency_seconds, 1e-6 * link->bandwidth);
    printf("sum over ranks, GB/s of gradients (size / time of the slowest rank)\n\n%-34s", "way");
    for (int s = 0; s < SIZES; s++) {
        printf(" %7.4g MiB", (double)sizes_bytes[s] / (1 << 20));
    }
    for (int way = 0; way < SM_REDUCTION_WAYS; way++) {
        printf("\n%-34s", sm_reduction_ways[way].name);
        for (int s = 0; s < SIZES; s++) {
            printf(" %11.2f", 1e-9 * (double)sizes_bytes[s] / seconds[s][way]);
        }
    }
    const sm_reduction_options *best = &sm_reduction_ways[sm_reduction_recommend(seconds[0], SIZES)].options;
    printf("\n\nrecommended:\n  [distributed]\n  reduction = %s\n  bucket_mib = %.4g\n",
           sm_reduction_mode_names[best->mode], (double)best->bucket_bytes / (1 << 20));
}

sm_status bench_allreduce(sm_comm *comm, int rounds, int json)
{
    sm_status status = SM_OK;
    double seconds[SIZES][SM_REDUCTION_WAYS];
    sm_link link;
    if (sm_comm_size(comm) == 1) {
        return sm_fail(SM_ERR_USAGE, "bench: --allreduce needs several ranks: mpirun -n N sigmatic bench --allreduce");
    }
    sm_link_measure(comm, &link);
    for (int s = 0; s < SIZES; s++) {
        sm_reduction_measure(comm, sizes_bytes[s], rounds, seconds[s]);
    }
    if (sm_comm_rank(comm) == 0 && json) {
        status = print_json(comm, seconds, &link);
    } else if (sm_comm_rank(comm) == 0) {
        print_table(seconds, &link);
    }
    return status;
}
