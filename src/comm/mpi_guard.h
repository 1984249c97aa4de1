/** \file
 * What every call of MPI needs: its code checked, and one thread at a time. */
#ifndef SIGMATIC_COMM_MPI_GUARD_H
#define SIGMATIC_COMM_MPI_GUARD_H

#include "comm/blocking.h"

#include <mpi.h>
#include <pthread.h>

enum { SM_EXIT_STALLED = 3 };

/** Starts MPI; from now on sm_abort() ends all ranks. Collective over all ranks of the job. */
void sm_mpi_begin(int *argc, char ***argv);

/** \return 1 if sm_mpi_begin() has started MPI, and not the program that uses Sigmatic */
int sm_mpi_is_ours(void);

/** Ends MPI. Collective over all ranks of the job. */
void sm_mpi_end(void);

/** Ends all ranks with this exit code. From any thread: MPI_Abort may itself wait for a rank that is lost, or for another
 * thread inside MPI, so after some seconds this rank leaves without it. */
_Noreturn void sm_mpi_abort(int code);

/** sm_abort() unless MPI succeeded. */
void sm_check_mpi(int code, const char *what);

/** MPI lets one thread in at a time (MPI_THREAD_SERIALIZED). Whoever calls it while a helper thread may be at work holds
 * this: the main thread from the first call of a message to the end of its wait. Not recursive. */
extern pthread_mutex_t sm_mpi_mutex;

/** \return 1 if threads other than the main one may call MPI, in turn */
int sm_mpi_takes_turns(void);

/** A helper thread begins or ends to call MPI by itself. Main thread, holding the mutex. */
void sm_mpi_set_helper_works(int works);

/** \return 1 if no helper thread calls MPI, so that the main thread may do so without the mutex. Main thread. */
int sm_mpi_helper_is_idle(void);

#endif
