/** \file
 * What this rank says of itself, and the end of a run that stands still: for comm.c and wait.c. */
#ifndef SIGMATIC_COMM_STALL_PRIVATE_H
#define SIGMATIC_COMM_STALL_PRIVATE_H

#include <sigmatic/comm/comm.h>

/** What a rank waits for, for the diagnosis. */
typedef struct sm_wait_reason {
    const char *what; /**< "sum", "bucket", ... */
    int64_t number;   /**< of a bucket, from 1; 0 = none */
    int64_t count;    /**< of how many */
} sm_wait_reason;

/** From now on a blocked start of MPI is a stall as well. */
void sm_stall_prepare(void);

/** Collective over `world`, whose node is known and which outlives sm_stall_end(). */
void sm_stall_begin(const sm_comm *world);

/** Ends the thread that copies the board, removes its file. */
void sm_stall_end(void);

/** This rank enters a collective. */
void sm_stall_count_collective(void);

/** This rank waits since then (sm_seconds()); NULL: no longer. */
void sm_stall_show_wait(const sm_wait_reason *reason, double since_seconds);

/** Ends all ranks with a diagnosis if a wait of so long is a stall. */
void sm_stall_check(double waited_seconds, double now_seconds);

/** Ends all ranks with a diagnosis if the next rank of this node has ended: whoever waits would wait for ever. Main thread, between the first
 * and the last message of a run. */
void sm_stall_check_neighbour(double waited_seconds, double now_seconds);

#endif
