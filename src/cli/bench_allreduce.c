#include "cli/bench_allreduce.h"

#include <sigmatic/comm/reduction_bench.h>

#include <stdio.h>

static const size_t sizes_bytes[] = {64 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 240 << 20};
enum { SIZES = sizeof sizes_bytes / sizeof *sizes_bytes };

static void print_table(double seconds[SIZES][SM_REDUCTION_WAYS])
{
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

sm_status bench_allreduce(sm_comm *comm, int rounds)
{
    sm_status status = SM_OK;
    double seconds[SIZES][SM_REDUCTION_WAYS];
    if (sm_comm_size(comm) == 1) {
        return sm_fail(SM_ERR_USAGE, "bench: --allreduce needs several ranks: mpirun -n N sigmatic bench --allreduce");
    }
    for (int s = 0; s < SIZES; s++) {
        SM_TRY(sm_reduction_measure(comm, sizes_bytes[s], rounds, seconds[s]));
    }
    if (sm_comm_rank(comm) == 0) {
        print_table(seconds);
    }
done:
    return status;
}
