/** \file
 * What the files of comm share: the communicator, the check of MPI's codes, and the one wait. */
#ifndef SIGMATIC_COMM_PRIVATE_H
#define SIGMATIC_COMM_PRIVATE_H

#include <sigmatic/comm/comm.h>

#include "comm/node.h"

#include <mpi.h>
#include <pthread.h>

struct sm_comm {
    MPI_Comm handle;
    int rank, size;
    sm_node node;               /**< unused if size is 1 */
    struct sm_meeting *meeting; /**< NULL if size is 1 */
};

/** sm_abort() unless MPI succeeded. */
void sm_check_mpi(int code, const char *what);

/** MPI allows one thread at a time (MPI_THREAD_SERIALIZED): the main thread holds this in every call that sends or
 * waits while a helper may be at work, sm_wait() and pollers included. Not recursive. */
extern pthread_mutex_t sm_comm_mutex;

/** \return 1 if threads other than the main one may call MPI, in turn */
int sm_comm_takes_turns(void);

/** What a rank waits for, for the diagnosis. */
typedef struct sm_wait_reason {
    const char *what; /**< "sum", "bucket", ... */
    int64_t number;   /**< of a bucket, from 1; 0 = none */
    int64_t count;    /**< of how many */
} sm_wait_reason;

/** Returns when finished(user) is not 0. Every wait of the framework passes here: the clock runs, the board says what
 * this rank waits for, the pollers are called, and after the stall limit the run ends. */
void sm_wait(int (*finished)(void *user), void *user, const sm_wait_reason *reason);

/** sm_wait() for one request. */
void sm_wait_for_request(MPI_Request *request, const char *what);

/** Is called again and again during any wait; at most a few at a time. */
void sm_poller_add(void (*poll)(void *user), void *user);
void sm_poller_remove(void (*poll)(void *user), void *user);

#endif
