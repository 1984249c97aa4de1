/** \file
 * The one wait for other ranks. */
#ifndef SIGMATIC_COMM_WAIT_H
#define SIGMATIC_COMM_WAIT_H

#include "comm/mpi_guard.h"
#include "comm/stall_private.h"

/** \param ranks  of this node: more of them than cores make a waiting rank give up its core at once */
void sm_wait_begin(int ranks);

/** Returns when finished(user) is not 0. Every wait of the framework passes here: the clock runs, the board says what
 * this rank waits for, the pollers are called, and a stall ends the run. Main thread. */
void sm_wait(int (*finished)(void *user), void *user, const sm_wait_reason *reason);

/** sm_wait() for one request. */
void sm_wait_for_request(MPI_Request *request, const char *what);

/** Is called again and again during any wait; at most a few at a time. Main thread. */
void sm_poller_add(void (*poll)(void *user), void *user);
void sm_poller_remove(void (*poll)(void *user), void *user);

#endif
