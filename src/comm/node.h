/** \file
 * Which ranks share memory, and memory that they share. */
#ifndef SIGMATIC_COMM_NODE_H
#define SIGMATIC_COMM_NODE_H

#include "comm/mpi_guard.h"

#include <stddef.h>

/** The ranks of one node. With one rank a node, `leaders` is a copy of the whole communicator. */
typedef struct sm_node {
    MPI_Comm comm;    /**< the ranks of this node */
    MPI_Comm leaders; /**< the first rank of every node; MPI_COMM_NULL on others */
    int rank, size;   /**< in `comm` */
    int index, count; /**< of this node, of nodes */
} sm_node;

/** All ranks that can share memory (at most SIGMATIC_RANKS_PER_NODE of them, for tests). Collective over `all`. */
void sm_node_find(MPI_Comm all, sm_node *node);

/** Nodes of at most `most_ranks` consecutive ranks of each node (0: all of them). Collective over `all`. */
void sm_node_split(MPI_Comm all, const sm_node *from, int most_ranks, sm_node *node);

/** NULL communicators (a node made by hand for one rank alone) are legal. Collective. */
void sm_node_free(sm_node *node);

/** One segment a rank, each placed by its owner, or one of the first rank; all mapped by every rank of the node. */
typedef struct sm_shared {
    char **base; /**< by rank of the node: `size` of them */
    size_t bytes;
    int size, is_shared;
} sm_shared;

/** Zeroed. Where memory cannot be shared (one rank, no room in /dev/shm, separate containers) no segment is made.
 *
 * \return 1 if there are segments, 0 if not; the same on every rank of the node. Collective over the node. */
int sm_shared_new(const sm_node *node, size_t bytes, sm_shared *shared);

/** The same with one segment for all, base[0], made by the first rank. */
int sm_shared_new_once(const sm_node *node, size_t bytes, sm_shared *shared);
void sm_shared_free(sm_shared *shared);

#endif
