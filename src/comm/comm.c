#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/comm/comm.h>

#include <limits.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sm_comm {
    MPI_Comm handle;
    int rank, size;
};

static sm_comm world, self;

static void abort_all(void)
{
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static void check(int code, const char *what)
{
    if (code != MPI_SUCCESS) {
        char text[MPI_MAX_ERROR_STRING] = "";
        int length = 0;
        MPI_Error_string(code, text, &length);
        sm_abort("%s failed: %s", what, text);
    }
}

void sm_comm_begin(int *argc, char ***argv)
{
    /* libnbc falls to a binomial tree below 4 ranks; the ring takes half the time on a wire. */
    setenv("OMPI_MCA_coll_libnbc_iallreduce_algorithm", "1", 0);
    int provided;
    if (MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS || provided < MPI_THREAD_FUNNELED) {
        sm_abort("MPI_Init_thread failed or offers no MPI_THREAD_FUNNELED");
    }
    world.handle = MPI_COMM_WORLD;
    check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check(MPI_Comm_rank(MPI_COMM_WORLD, &world.rank), "MPI_Comm_rank");
    check(MPI_Comm_size(MPI_COMM_WORLD, &world.size), "MPI_Comm_size");
    self = (sm_comm){MPI_COMM_SELF, 0, 1};
    check(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    sm_log_set_rank(world.rank, world.size);
    sm_abort_set_handler(abort_all);
}

void sm_comm_end(void)
{
    sm_abort_set_handler(NULL);
    MPI_Finalize();
}

sm_comm *sm_comm_world(void)
{
    return &world;
}

sm_comm *sm_comm_self(void)
{
    return &self;
}

int sm_comm_rank(const sm_comm *comm)
{
    return comm->rank;
}

int sm_comm_size(const sm_comm *comm)
{
    return comm->size;
}

/* Every wait of the framework passes here, so that a clock can watch it. */
static void wait_for(MPI_Request *request, const char *what)
{
    int finished = 0;
    for (long polls = 0; !finished; polls++) {
        check(MPI_Test(request, &finished, MPI_STATUS_IGNORE), what);
    }
}

void sm_comm_barrier(sm_comm *comm)
{
    MPI_Request request;
    check(MPI_Ibarrier(comm->handle, &request), "MPI_Ibarrier");
    wait_for(&request, "barrier");
}

void sm_comm_broadcast(sm_comm *comm, void *data, size_t bytes, int root)
{
    enum { PIECE_BYTES = 1 << 30 };
    for (size_t begin = 0; begin < bytes; begin += PIECE_BYTES) {
        size_t piece = bytes - begin < PIECE_BYTES ? bytes - begin : PIECE_BYTES;
        check(MPI_Bcast((char *)data + begin, (int)piece, MPI_BYTE, root, comm->handle), "MPI_Bcast");
    }
}

/* In pieces that stay in the cache: several messages of 1-4 MB are faster than a big one. */
static void reduce(sm_comm *comm, void *values, size_t count, size_t bytes_each, MPI_Datatype type, MPI_Op operation)
{
    enum { PIECE_BYTES = 4 << 20 };
    size_t piece = PIECE_BYTES / bytes_each;
    if (comm->size == 1) {
        return;
    }
    for (size_t begin = 0; begin < count; begin += piece) {
        size_t now = count - begin < piece ? count - begin : piece;
        check(MPI_Allreduce(MPI_IN_PLACE, (char *)values + begin * bytes_each, (int)now, type, operation, comm->handle),
              "MPI_Allreduce");
    }
}

void sm_comm_sum_int64(sm_comm *comm, int64_t *values, size_t count)
{
    reduce(comm, values, count, sizeof *values, MPI_INT64_T, MPI_SUM);
}

void sm_comm_sum_double(sm_comm *comm, double *values, size_t count)
{
    reduce(comm, values, count, sizeof *values, MPI_DOUBLE, MPI_SUM);
}

void sm_comm_sum_float(sm_comm *comm, float *values, size_t count)
{
    reduce(comm, values, count, sizeof *values, MPI_FLOAT, MPI_SUM);
}

void sm_comm_max_int64(sm_comm *comm, int64_t *values, size_t count)
{
    reduce(comm, values, count, sizeof *values, MPI_INT64_T, MPI_MAX);
}

void sm_comm_max_double(sm_comm *comm, double *values, size_t count)
{
    reduce(comm, values, count, sizeof *values, MPI_DOUBLE, MPI_MAX);
}

void sm_comm_gather_double(sm_comm *comm, const double *values, size_t count, double *all)
{
    check(MPI_Allgather(values, (int)count, MPI_DOUBLE, all, (int)count, MPI_DOUBLE, comm->handle), "MPI_Allgather");
}

sm_status sm_comm_agree(sm_comm *comm, sm_status status)
{
    int64_t first_failed = status == SM_OK ? INT64_MIN : -(int64_t)comm->rank; /* maximum = lowest rank */
    sm_comm_max_int64(comm, &first_failed, 1);
    if (first_failed == INT64_MIN) {
        return SM_OK;
    }
    int culprit = (int)-first_failed;
    struct {
        sm_status status;
        char message[2048];
    } failure = {status, ""};
    strncpy(failure.message, sm_error_message(), sizeof failure.message - 1);
    sm_comm_broadcast(comm, &failure, sizeof failure, culprit);
    if (comm->size == 1) {
        return failure.status;
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
