/** \file
 * Sums of small arrays over all ranks, for a latency near that of the memory: the ranks of a node meet in shared
 * memory, only one of them sends messages to other nodes. The order of additions is fixed by the layout of ranks. */
#ifndef SIGMATIC_COMM_MEETING_H
#define SIGMATIC_COMM_MEETING_H

#include "comm/node.h"

#include <stddef.h>

typedef struct sm_meeting sm_meeting;

/** One row an operation that the ranks can do. */
typedef struct sm_meeting_operation {
    const char *name; /**< for the diagnosis of a stall */
    size_t bytes_each;
    void (*combine)(void *into, const void *from, size_t count);
    MPI_Datatype type;
    MPI_Op message;
} sm_meeting_operation;

extern const sm_meeting_operation sm_meeting_sum_int64, sm_meeting_sum_double, sm_meeting_sum_float,
    sm_meeting_max_int64, sm_meeting_max_double;

/** \param node  must outlive it. Collective. */
sm_meeting *sm_meeting_new(const sm_node *node);
/** NULL is legal. */
void sm_meeting_free(sm_meeting *meeting);

/** values[i] = combined over ranks, the same bits on all. Collective. */
void sm_meeting_reduce(sm_meeting *meeting, void *values, size_t count, const sm_meeting_operation *operation);

/** Waits for the ranks of this node. */
void sm_meeting_wait_for_node(sm_meeting *meeting);

#endif
