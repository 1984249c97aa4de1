#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/comm/comm.h>

#include "comm/comm_private.h"
#include "comm/litter.h"
#include "comm/meeting.h"
#include "comm/stall_private.h"
#include "comm/wait.h"

#include <string.h>
#include <time.h>

static sm_comm world, self;

/* ---- begin and end ---- */

/* Where some ranks of a node cannot share memory (no room in /dev/shm, containers), each is a node. */
static void find_nodes(sm_comm *comm)
{
    sm_node_find(comm->handle, &comm->node);
    if (comm->size == 1) {
        return;
    }
    sm_blocking_begin("all ranks to meet");
    comm->meeting = sm_meeting_new(&comm->node);
    int meets = comm->meeting != NULL;
    sm_check_mpi(MPI_Allreduce(MPI_IN_PLACE, &meets, 1, MPI_INT, MPI_MIN, comm->handle), "MPI_Allreduce");
    if (!meets) {
        sm_meeting_free(comm->meeting);
        sm_node shared = comm->node;
        sm_node_split(comm->handle, &shared, 1, &comm->node);
        sm_node_free(&shared);
        comm->meeting = sm_meeting_new(&comm->node);
    }
    sm_blocking_end();
}

static void find_place(sm_comm *comm, MPI_Comm handle)
{
    comm->handle = handle;
    sm_check_mpi(MPI_Comm_rank(handle, &comm->rank), "MPI_Comm_rank");
    sm_check_mpi(MPI_Comm_size(handle, &comm->size), "MPI_Comm_size");
}

void sm_comm_begin(int *argc, char ***argv)
{
    sm_stall_prepare();
    sm_mpi_begin(argc, argv);
    find_place(&world, MPI_COMM_WORLD);
    self = (sm_comm){.handle = MPI_COMM_SELF, .size = 1};
    sm_log_set_rank(world.rank, world.size);
    find_nodes(&world);
    if (sm_mpi_is_ours()) { /* a program that has MPI for itself may let more processes join */
        sm_litter_begin(&world.node);
    }
    sm_wait_begin(world.node.size);
    sm_stall_begin(&world);
}

void sm_comm_end(void)
{
    sm_comm_barrier(&world); /* with a clock, before calls that have none */
    sm_meeting_free(world.meeting);
    world.meeting = NULL;
    sm_stall_end();
    sm_node_free(&world.node);
    sm_litter_end();
    sm_mpi_end();
}

sm_comm *sm_comm_world(void)
{
    if (world.size == 0) {
        sm_abort("Sigmatic is not started: expected sm_init() before anything else");
    }
    return &world;
}

sm_comm *sm_comm_self(void)
{
    return &self;
}

sm_comm *sm_comm_part_new(sm_comm *comm, int ranks)
{
    MPI_Comm handle;
    sm_comm_barrier(comm); /* with a clock, before calls that have none */
    sm_blocking_begin("all ranks to split");
    sm_check_mpi(MPI_Comm_split(comm->handle, comm->rank < ranks ? 0 : MPI_UNDEFINED, comm->rank, &handle),
                 "MPI_Comm_split");
    sm_blocking_end();
    if (handle == MPI_COMM_NULL) {
        return NULL;
    }
    sm_comm *part = sm_alloc_zeroed(sizeof *part);
    find_place(part, handle);
    find_nodes(part);
    return part;
}

void sm_comm_part_free(sm_comm *part)
{
    if (part) {
        sm_comm_barrier(part);
        sm_meeting_free(part->meeting);
        sm_node_free(&part->node);
        sm_blocking_begin("the ranks of a part to leave it");
        sm_check_mpi(MPI_Comm_free(&part->handle), "MPI_Comm_free");
        sm_blocking_end();
        sm_free(part);
    }
}

int sm_comm_rank(const sm_comm *comm)
{
    return comm->rank;
}

int sm_comm_size(const sm_comm *comm)
{
    return comm->size;
}

int sm_comm_nodes(const sm_comm *comm)
{
    return comm->size == 1 ? 1 : comm->node.count;
}

/* ---- messages ---- */

void sm_comm_barrier(sm_comm *comm)
{
    int64_t nothing = 0;
    sm_comm_max_int64(comm, &nothing, 1);
}

/* Tells a wait whether the others have come; the rank sleeps in between. */
static int have_come(void *user)
{
    const struct timespec nap = {0, 5000000};
    int finished = 0;
    sm_check_mpi(MPI_Test(user, &finished, MPI_STATUS_IGNORE), "MPI_Test");
    if (!finished) {
        nanosleep(&nap, NULL);
    }
    return finished;
}

void sm_comm_barrier_asleep(sm_comm *comm)
{
    if (comm->size == 1) {
        return;
    }
    MPI_Request request;
    sm_stall_count_collective();
    pthread_mutex_lock(&sm_mpi_mutex);
    sm_check_mpi(MPI_Ibarrier(comm->handle, &request), "MPI_Ibarrier");
    sm_wait(have_come, &request, &(sm_wait_reason){"the ranks at work", 0, 0});
    pthread_mutex_unlock(&sm_mpi_mutex);
}

/* Under sm_mpi_mutex. */
static void broadcast(MPI_Comm handle, char *data, size_t bytes, int root)
{
    enum { PIECE_BYTES = 1 << 30 };
    for (size_t begin = 0; begin < bytes; begin += PIECE_BYTES) {
        size_t piece = bytes - begin < PIECE_BYTES ? bytes - begin : PIECE_BYTES;
        MPI_Request request;
        sm_check_mpi(MPI_Ibcast(data + begin, (int)piece, MPI_BYTE, root, handle, &request), "MPI_Ibcast");
        sm_wait_for_request(&request, "a broadcast");
    }
}

void sm_comm_broadcast(sm_comm *comm, void *data, size_t bytes, int root)
{
    if (comm->size == 1) {
        return;
    }
    sm_stall_count_collective();
    pthread_mutex_lock(&sm_mpi_mutex);
    broadcast(comm->handle, data, bytes, root);
    pthread_mutex_unlock(&sm_mpi_mutex);
}

void sm_comm_node_barrier(sm_comm *comm)
{
    sm_comm_broadcast_to_nodes(comm, NULL, 0);
}

void sm_comm_broadcast_to_nodes(sm_comm *comm, void *data, size_t bytes)
{
    if (comm->size == 1) {
        return;
    }
    sm_stall_count_collective();
    pthread_mutex_lock(&sm_mpi_mutex);
    if (comm->node.rank == 0) {
        broadcast(comm->node.leaders, data, bytes, 0);
    }
    sm_meeting_wait_for_node(comm->meeting);
    pthread_mutex_unlock(&sm_mpi_mutex);
}

static void reduce(sm_comm *comm, void *values, size_t count, const sm_meeting_operation *operation)
{
    if (comm->size == 1) {
        return;
    }
    sm_stall_count_collective();
    pthread_mutex_lock(&sm_mpi_mutex);
    sm_meeting_reduce(comm->meeting, values, count, operation);
    pthread_mutex_unlock(&sm_mpi_mutex);
}

void sm_comm_sum_int64(sm_comm *comm, int64_t *values, size_t count)
{
    reduce(comm, values, count, &sm_meeting_sum_int64);
}

void sm_comm_sum_double(sm_comm *comm, double *values, size_t count)
{
    reduce(comm, values, count, &sm_meeting_sum_double);
}

void sm_comm_sum_float(sm_comm *comm, float *values, size_t count)
{
    reduce(comm, values, count, &sm_meeting_sum_float);
}

void sm_comm_max_int64(sm_comm *comm, int64_t *values, size_t count)
{
    reduce(comm, values, count, &sm_meeting_max_int64);
}

void sm_comm_max_double(sm_comm *comm, double *values, size_t count)
{
    reduce(comm, values, count, &sm_meeting_max_double);
}

void sm_comm_gather_double(sm_comm *comm, const double *values, size_t count, double *all)
{
    if (comm->size == 1) {
        memcpy(all, values, count * sizeof *values);
        return;
    }
    sm_stall_count_collective();
    MPI_Request request;
    pthread_mutex_lock(&sm_mpi_mutex);
    sm_check_mpi(MPI_Iallgather(values, (int)count, MPI_DOUBLE, all, (int)count, MPI_DOUBLE, comm->handle, &request),
                 "MPI_Iallgather");
    sm_wait_for_request(&request, "a gather");
    pthread_mutex_unlock(&sm_mpi_mutex);
}

sm_status(sm_comm_agree)(sm_comm *comm, sm_status status)
{
    /* maximum: the lowest failed rank; whether some rank is fine */
    int64_t votes[2] = {status == SM_OK ? INT64_MIN : -(int64_t)comm->rank, status == SM_OK};
    sm_comm_max_int64(comm, votes, 2);
    if (votes[0] == INT64_MIN) {
        return SM_OK;
    }
    int culprit = (int)-votes[0];
    struct {
        sm_status status;
        char message[2048];
    } failure = {status, ""};
    strncpy(failure.message, sm_error_message(), sizeof failure.message - 1);
    sm_comm_broadcast(comm, &failure, sizeof failure, culprit);
    if (!votes[1]) { /* a wrong config is wrong everywhere; and who is to blame is said once */
        return sm_fail(failure.status, "%s", failure.message);
    }
    return sm_fail(failure.status, "rank %d: %s", culprit, failure.message);
}

const char *sm_comm_library_version(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(text, &length);
    text[strcspn(text, "\n")] = 0;
    return text;
}
