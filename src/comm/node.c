/* MPI is called without its mutex: nodes and their memory are made and freed while no reduction is under way, so that no
 * helper is at work.
 *
 * Segments are POSIX shared memory instead of MPI_Win_allocate_shared(): a lack of room is an error code and not a hang
 * or a SIGBUS, and each rank's own segment, or its share of a common one, lies in its own NUMA domain. */
#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/memory.h>

#include "comm/node.h"

#include "comm/litter.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- which ranks share memory ---- */

/* The node is known, its place among the others is not. */
static void find_place(MPI_Comm all, sm_node *node)
{
    int rank, place[2] = {0, 0};
    sm_check_mpi(MPI_Comm_rank(all, &rank), "MPI_Comm_rank");
    sm_check_mpi(MPI_Comm_rank(node->comm, &node->rank), "MPI_Comm_rank");
    sm_check_mpi(MPI_Comm_size(node->comm, &node->size), "MPI_Comm_size");
    sm_check_mpi(MPI_Comm_split(all, node->rank == 0 ? 0 : MPI_UNDEFINED, rank, &node->leaders), "MPI_Comm_split");
    if (node->rank == 0) {
        sm_check_mpi(MPI_Comm_rank(node->leaders, &place[0]), "MPI_Comm_rank");
        sm_check_mpi(MPI_Comm_size(node->leaders, &place[1]), "MPI_Comm_size");
    }
    sm_check_mpi(MPI_Bcast(place, 2, MPI_INT, 0, node->comm), "MPI_Bcast");
    node->index = place[0];
    node->count = place[1];
}

void sm_node_split(MPI_Comm all, const sm_node *from, int most_ranks, sm_node *node)
{
    assert(sm_mpi_helper_is_idle());
    int part = most_ranks > 0 ? from->rank / most_ranks : 0;
    MPI_Comm comm;
    sm_blocking_begin("all ranks to find their nodes");
    sm_check_mpi(MPI_Comm_split(from->comm, part, from->rank, &comm), "MPI_Comm_split");
    node->comm = comm;
    find_place(all, node);
    sm_blocking_end();
}

void sm_node_find(MPI_Comm all, sm_node *node)
{
    assert(sm_mpi_helper_is_idle());
    const char *most = getenv("SIGMATIC_RANKS_PER_NODE");
    sm_node whole;
    sm_blocking_begin("all ranks to find their nodes");
    sm_check_mpi(MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &whole.comm), "MPI_Comm_split_type");
    sm_check_mpi(MPI_Comm_rank(whole.comm, &whole.rank), "MPI_Comm_rank");
    sm_node_split(all, &whole, most ? atoi(most) : 0, node);
    sm_check_mpi(MPI_Comm_free(&whole.comm), "MPI_Comm_free");
    sm_blocking_end();
}

void sm_node_free(sm_node *node)
{
    assert(sm_mpi_helper_is_idle());
    sm_blocking_begin("all ranks to leave their nodes");
    if (node->comm) {
        sm_check_mpi(MPI_Comm_free(&node->comm), "MPI_Comm_free");
    }
    if (node->leaders && node->leaders != MPI_COMM_NULL) {
        sm_check_mpi(MPI_Comm_free(&node->leaders), "MPI_Comm_free");
    }
    sm_blocking_end();
    *node = (sm_node){.size = 0};
}

/* ---- shared memory ---- */

/* Names a segment; its first bytes repeat the name, so that a rank of another container with the same process ids is
 * not believed. */
typedef struct segment_name {
    char text[56];
} segment_name;

static segment_name new_name(void)
{
    static int made;
    segment_name name;
    char *text = sm_litter_name(made++);
    memset(&name, 0, sizeof name);
    snprintf(name.text, sizeof name.text, "%s", text);
    sm_free(text);
    return name;
}

/* Memory is reserved for the name only. */
static char *create_segment(const segment_name *name, size_t bytes)
{
    int file = shm_open(name->text, O_CREAT | O_EXCL | O_RDWR, 0600);
    void *base = MAP_FAILED;
    if (file < 0) {
        return NULL;
    }
    if (posix_fallocate(file, 0, sizeof *name) == 0 && ftruncate(file, (off_t)bytes) == 0) {
        base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    close(file);
    if (base == MAP_FAILED) {
        shm_unlink(name->text);
        return NULL;
    }
    return memcpy(base, name, sizeof *name);
}

static char *open_segment(const segment_name *name, size_t bytes)
{
    int file = shm_open(name->text, O_RDWR, 0);
    if (file < 0) {
        return NULL;
    }
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (base == MAP_FAILED) {
        return NULL;
    }
    if (memcmp(base, name, sizeof *name) != 0) {
        munmap(base, bytes);
        return NULL;
    }
    return base;
}

/* Makes the system find memory for bytes begin .. end before anybody touches them: a full /dev/shm is an error now, not
 * a signal later. It finds it in the NUMA domain of the rank that asks. */
static int reserve(const segment_name *name, size_t begin, size_t end)
{
    int file = shm_open(name->text, O_RDWR, 0);
    if (file < 0) {
        return 0;
    }
    int is_reserved = begin == end || posix_fallocate(file, (off_t)begin, (off_t)(end - begin)) == 0;
    close(file);
    return is_reserved;
}

static int all_of_node(const sm_node *node, int holds)
{
    sm_check_mpi(MPI_Allreduce(MPI_IN_PLACE, &holds, 1, MPI_INT, MPI_MIN, node->comm), "MPI_Allreduce");
    return holds;
}

/* Every rank reserves its own segment, or its part of the only one. */
static int reserve_own(const sm_node *node, const segment_name *names, const sm_shared *shared)
{
    if (shared->size > 1) {
        return node->rank >= shared->size || reserve(&names[node->rank], 0, shared->bytes);
    }
    size_t rank = (size_t)node->rank, size = (size_t)node->size;
    return reserve(&names[0], shared->bytes / size * rank,
                   rank + 1 == size ? shared->bytes : shared->bytes / size * (rank + 1));
}

/* The first `segments` ranks make one each. */
static int make_segments(const sm_node *node, int segments, size_t bytes, sm_shared *shared)
{
    *shared = (sm_shared){.size = segments, .bytes = bytes > sizeof(segment_name) ? bytes : sizeof(segment_name)};
    if (node->size == 1) {
        return 0;
    }
    assert(sm_mpi_helper_is_idle());
    sm_blocking_begin("the node to share memory");
    segment_name own = new_name(), *names = sm_alloc((size_t)node->size * sizeof *names);
    int makes = node->rank < segments;
    shared->base = sm_alloc_zeroed((size_t)segments * sizeof *shared->base);
    if (makes) {
        shared->base[node->rank] = create_segment(&own, shared->bytes);
    }
    int created = makes && shared->base[node->rank] != NULL;
    sm_check_mpi(MPI_Allgather(&own, sizeof own, MPI_BYTE, names, sizeof own, MPI_BYTE, node->comm), "MPI_Allgather");
    int complete = all_of_node(node, created || !makes);
    for (int i = 0; i < segments && complete; i++) {
        if (i != node->rank) {
            shared->base[i] = open_segment(&names[i], shared->bytes);
            complete = shared->base[i] != NULL;
        }
    }
    complete = all_of_node(node, complete && reserve_own(node, names, shared)); /* it is everybody's or nobody's */
    if (created) {
        shm_unlink(own.text);
        memset(shared->base[node->rank], 0, sizeof own);
    }
    if (!complete) {
        sm_shared_free(shared);
    }
    shared->is_shared = complete;
    all_of_node(node, 1); /* nobody writes before the names are wiped */
    sm_blocking_end();
    sm_free(names);
    return complete;
}

int sm_shared_new(const sm_node *node, size_t bytes, sm_shared *shared)
{
    return make_segments(node, node->size, bytes, shared);
}

int sm_shared_new_once(const sm_node *node, size_t bytes, sm_shared *shared)
{
    return make_segments(node, 1, bytes, shared);
}

void sm_shared_free(sm_shared *shared)
{
    for (int i = 0; i < shared->size && shared->base; i++) {
        if (shared->base[i]) {
            munmap(shared->base[i], shared->bytes);
        }
    }
    sm_free(shared->base);
    shared->base = NULL;
    shared->is_shared = 0;
}
