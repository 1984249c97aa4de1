#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/comm/node_memory.h>

#include "comm/comm_private.h"

struct sm_node_memory {
    sm_shared shared;
    void *base;
    int is_shared, rank, size;
};

sm_node_memory *sm_node_memory_new(sm_comm *comm, size_t bytes)
{
    sm_node_memory *memory = sm_alloc_zeroed(sizeof *memory);
    int64_t fails = 0;
    memory->size = 1;
    if (comm->size > 1) {
        sm_comm_barrier(comm); /* with a clock, before calls that have none */
        fails = comm->node.size > 1 && !sm_shared_new_once(&comm->node, bytes, &memory->shared);
        sm_comm_max_int64(comm, &fails, 1);
    }
    if (fails) {
        sm_shared_free(&memory->shared);
        if (comm->rank == 0) {
            sm_log_warning("the ranks of a node cannot share %zu MiB (is /dev/shm full?): each has its own",
                           bytes >> 20);
        }
    }
    memory->is_shared = comm->size > 1 && !fails;
    if (memory->shared.is_shared) {
        memory->rank = comm->node.rank;
        memory->size = comm->node.size;
        memory->base = memory->shared.base[0];
    } else {
        memory->base = sm_alloc_zeroed(bytes > 0 ? bytes : 1);
    }
    return memory;
}

void sm_node_memory_free(sm_node_memory *memory)
{
    if (memory && memory->shared.is_shared) {
        sm_shared_free(&memory->shared);
    } else if (memory) {
        sm_free(memory->base);
    }
    sm_free(memory);
}

void *sm_node_memory_base(const sm_node_memory *memory)
{
    return memory->base;
}

int sm_node_memory_is_shared(const sm_node_memory *memory)
{
    return memory->is_shared;
}

int sm_node_memory_rank(const sm_node_memory *memory)
{
    return memory->rank;
}

int sm_node_memory_size(const sm_node_memory *memory)
{
    return memory->size;
}
