#define _GNU_SOURCE
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/comm/cores.h>

#include "comm/comm_private.h"
#include "comm/wait.h"

#ifdef __linux__
#include <assert.h>
#include <omp.h>
#include <sched.h>

enum { OWN_THREADS, OWN_CORES, NODE_THREADS, NODE_CORES, COUNTS };

/* What the process may run on. OMP_PROC_BIND has bound its first thread to one place; the others are its cores too. */
static cpu_set_t own_cores(void)
{
    cpu_set_t own;
    int ids[CPU_SETSIZE];
    CPU_ZERO(&own);
    sched_getaffinity(0, sizeof own, &own);
    for (int place = 0; place < omp_get_num_places(); place++) {
        int count = omp_get_place_num_procs(place);
        if (count > CPU_SETSIZE) {
            continue;
        }
        omp_get_place_proc_ids(place, ids);
        for (int i = 0; i < count; i++) {
            CPU_SET(ids[i], &own);
        }
    }
    return own;
}

/* MPI is called without its mutex: no reduction is under way, so no helper is at work.
 *
 * Cores are joined over the node as sets of bits: bound ranks have different ones, others the same. */
static void count_cores(const sm_comm *comm, int threads, double counts[COUNTS])
{
    cpu_set_t own = own_cores(), together = own;
    int threads_together = threads;
    assert(sm_mpi_helper_is_idle());
    if (comm->size > 1) {
        MPI_Request request;
        sm_check_mpi(MPI_Iallreduce(&own, &together, sizeof own, MPI_BYTE, MPI_BOR, comm->node.comm, &request),
                     "MPI_Iallreduce");
        sm_wait_for_request(&request, "the node's cores");
        sm_check_mpi(MPI_Iallreduce(&threads, &threads_together, 1, MPI_INT, MPI_SUM, comm->node.comm, &request),
                     "MPI_Iallreduce");
        sm_wait_for_request(&request, "the node's threads");
    }
    counts[OWN_THREADS] = threads;
    counts[OWN_CORES] = CPU_COUNT(&own);
    counts[NODE_THREADS] = threads_together;
    counts[NODE_CORES] = CPU_COUNT(&together);
}

void sm_cores_check(sm_comm *comm, int threads)
{
    double counts[COUNTS], *all = sm_alloc((size_t)comm->size * sizeof counts);
    int bound = -1, crowded = -1;
    count_cores(comm, threads, counts);
    sm_comm_gather_double(comm, counts, COUNTS, all);
    for (int rank = comm->size - 1; rank >= 0; rank--) {
        const double *of = all + (size_t)rank * COUNTS;
        bound =
            of[OWN_CORES] > 0 && of[OWN_THREADS] > of[OWN_CORES] && of[NODE_THREADS] <= of[NODE_CORES] ? rank : bound;
        crowded = of[NODE_CORES] > 0 && of[NODE_THREADS] > of[NODE_CORES] ? rank : crowded;
    }
    if (comm->rank == 0 && bound >= 0) {
        const double *of = all + (size_t)bound * COUNTS;
        sm_log_warning("rank %d runs %.0f %s on %.0f of the node's %.0f cores: start mpirun with --bind-to none or "
                       "--map-by slot:PE=%.0f, or set distributed.threads = %.0f",
                       bound, of[OWN_THREADS], sm_plural((int64_t)of[OWN_THREADS], "thread", "threads"), of[OWN_CORES],
                       of[NODE_CORES], of[OWN_THREADS], of[OWN_CORES]);
    }
    if (comm->rank == 0 && crowded >= 0) {
        const double *of = all + (size_t)crowded * COUNTS;
        sm_log_warning(
            "%.0f threads share %.0f %s on the node of rank %d and will wait for each other's time slices: "
            "set distributed.threads lower, start fewer ranks there, or let mpirun give them more cores (--bind-to "
            "none)",
            of[NODE_THREADS], of[NODE_CORES], sm_plural((int64_t)of[NODE_CORES], "core", "cores"), crowded);
    }
    sm_free(all);
}
#else
void sm_cores_check(sm_comm *comm, int threads)
{
    (void)comm, (void)threads;
}
#endif
