#define _POSIX_C_SOURCE 200809L
#include "comm/mpi_guard.h"

#include <sigmatic/base/status.h>

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

pthread_mutex_t sm_mpi_mutex = PTHREAD_MUTEX_INITIALIZER;

static int thread_level, helpers_at_work, is_ours;

int sm_mpi_takes_turns(void)
{
    return thread_level >= MPI_THREAD_SERIALIZED;
}

void sm_mpi_set_helper_works(int works)
{
    helpers_at_work += works ? 1 : -1;
    assert(helpers_at_work >= 0);
}

int sm_mpi_helper_is_idle(void)
{
    return helpers_at_work == 0;
}

void sm_check_mpi(int code, const char *what)
{
    if (code != MPI_SUCCESS) {
        char text[MPI_MAX_ERROR_STRING] = "";
        int length = 0;
        MPI_Error_string(code, text, &length);
        sm_abort("%s failed: %s", what, text);
    }
}

/* ---- begin and end ---- */

static int leave_code;

static void leave(int signal_number)
{
    (void)signal_number;
    _exit(leave_code);
}

void sm_mpi_abort(int code)
{
    enum { GRACE_SECONDS = 5 };
    sigset_t alarms;
    leave_code = code;
    signal(SIGALRM, leave);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    alarm(GRACE_SECONDS);
    MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
}

static void abort_all(void)
{
    sm_mpi_abort(1);
}

void sm_mpi_begin(int *argc, char ***argv)
{
    /* Messages of a bucket go out at once: with the handshake of longer ones every stage waits for one more poll of both
     * sides, and half of the overlap is lost. Half of the default bucket, what goes to the only other node, and a header. */
    setenv("OMPI_MCA_btl_tcp_eager_limit", "528384", 0);
    int is_running = 0;
    MPI_Initialized(&is_running);
    is_ours = !is_running;
    sm_blocking_begin("MPI to start on all ranks");
    int code =
        is_ours ? MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &thread_level) : MPI_Query_thread(&thread_level);
    if (code != MPI_SUCCESS || thread_level < MPI_THREAD_FUNNELED) {
        sm_abort(is_ours ? "MPI_Init_thread failed or offers no MPI_THREAD_FUNNELED"
                         : "the program that uses Sigmatic started MPI without MPI_THREAD_FUNNELED: "
                           "expected MPI_Init_thread() with that or more, or sm_init() alone");
    }
    sm_check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    sm_check_mpi(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    sm_blocking_end();
    sm_abort_set_handler(abort_all);
}

int sm_mpi_is_ours(void)
{
    return is_ours;
}

void sm_mpi_end(void)
{
    sm_abort_set_handler(NULL);
    if (is_ours) {
        sm_blocking_begin("MPI to end on all ranks");
        MPI_Finalize();
        sm_blocking_end();
    }
}
