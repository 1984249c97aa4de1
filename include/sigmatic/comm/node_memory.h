/** \file
 * Memory that stands once for all ranks of a node. */
#ifndef SIGMATIC_COMM_NODE_MEMORY_H
#define SIGMATIC_COMM_NODE_MEMORY_H

#include <sigmatic/comm/comm.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where some node cannot share (no room in /dev/shm) every rank of every node has private memory, as a rank alone on its
 * node always has. */
typedef struct sm_node_memory sm_node_memory;

/** \param bytes  the same on every rank; aligned to 64, zero. Collective. */
sm_node_memory *sm_node_memory_new(sm_comm *comm, size_t bytes);
/** NULL is legal. No other rank has to come along: what it has mapped stays. */
void sm_node_memory_free(sm_node_memory *memory);

void *sm_node_memory_base(const sm_node_memory *memory);

/** \return 1 if every node of the communicator has the memory once (be it for one rank); 0 if memory could not be shared,
 * or in a communicator of one rank; the same on every rank */
int sm_node_memory_is_shared(const sm_node_memory *memory);

/** Place of this rank among those that have this very memory. */
int sm_node_memory_rank(const sm_node_memory *memory);
int sm_node_memory_size(const sm_node_memory *memory);

#ifdef __cplusplus
}
#endif
#endif
