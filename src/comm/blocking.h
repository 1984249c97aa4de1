/** \file
 * A clock for calls of MPI that block, where no sm_wait() can look at it: a thread that lives as long as the call. */
#ifndef SIGMATIC_COMM_BLOCKING_H
#define SIGMATIC_COMM_BLOCKING_H

typedef struct sm_blocking_watch {
    void (*begin)(const char *what); /**< the main thread is about to block */
    void (*end)(void);               /**< it no longer does */
    void (*check)(double seconds);   /**< called by the thread again and again: it has been blocked for so long */
} sm_blocking_watch;

/** Who watches from now on; NULL = nobody. Main thread, not while it is blocked. */
void sm_blocking_set_watch(const sm_blocking_watch *watch);

/** Around calls that block. May be nested: the outermost counts. No sm_wait() in between. Main thread.
 * \param what  for the diagnosis: "MPI to start" */
void sm_blocking_begin(const char *what);
void sm_blocking_end(void);

#endif
