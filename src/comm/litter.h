/** \file
 * That nothing of a run stays in /dev/shm, however it ends.
 *
 * Segments of Sigmatic have no name but while they are made (node.c). Those of Open MPI for messages within a node (vader_segment.*) keep
 * theirs, 4 MB a rank, and a kill -9 of launcher and ranks leaves them for ever; so their names are removed as soon as every rank of the
 * node has mapped all of them, and put back for MPI's end, which complains if they are missing. */
#ifndef SIGMATIC_COMM_LITTER_H
#define SIGMATIC_COMM_LITTER_H

#include "comm/node.h"

/** Removes segments of Sigmatic that an ended process of this user and process-id namespace has left, and the names of MPI's own.
 * Collective over the node. Other systems than Linux, other MPIs, and ranks that do not map all: nothing to do. */
void sm_litter_begin(const sm_node *node);

/** Before MPI ends. Local. */
void sm_litter_end(void);

/** \return a name for shm_open(), freed with sm_free(), that sm_litter_begin() of a later process knows for one of a segment of this process.
 * \param number  of the segments of this process; another one each time */
char *sm_litter_name(int number);

#endif
