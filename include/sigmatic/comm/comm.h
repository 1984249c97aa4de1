/** \file
 * Ranks and the messages between them, for plain arrays: knows no tensors. The only user of MPI.
 *
 * A failing MPI call ends all ranks (sm_abort), so the calls below return nothing. Every function marked collective must be entered by every rank of the communicator, in the same order. Called from the main thread only; a reduction (reduction.h) may have a thread of its own that takes turns with it (MPI_THREAD_SERIALIZED). */
#ifndef SIGMATIC_COMM_COMM_H
#define SIGMATIC_COMM_COMM_H

#include <sigmatic/base/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_comm sm_comm;

/** Starts MPI, unless the program has, and tells the log and sm_abort() about it. Once a process, before anything else:
 * programs call sm_init() (train/init.h), which does. Collective. */
void sm_comm_begin(int *argc, char ***argv);

/** Ends MPI, if sm_comm_begin() started it. Collective. */
void sm_comm_end(void);

/** \return all ranks of the job; owned by comm. */
sm_comm *sm_comm_world(void);

/** \return this rank alone; owned by comm. What is collective over it needs no other rank. */
sm_comm *sm_comm_self(void);

/** \return the first `ranks` ranks of comm, freed with sm_comm_part_free(); NULL on the others. Collective over `comm`. */
sm_comm *sm_comm_part_new(sm_comm *comm, int ranks);
/** NULL is legal. Collective over `part`. */
void sm_comm_part_free(sm_comm *part);

int sm_comm_rank(const sm_comm *comm);
int sm_comm_size(const sm_comm *comm);

/** \return number of groups of ranks that share memory */
int sm_comm_nodes(const sm_comm *comm);

/** Waits for all ranks. Collective. */
void sm_comm_barrier(sm_comm *comm);

/** The same for ranks that have nothing to do meanwhile: they leave their cores to the others, and learn of the end
 * some milliseconds late. Collective. */
void sm_comm_barrier_asleep(sm_comm *comm);

/** Copies `bytes` bytes from rank `root` to every rank (any size, in pieces below MPI's int limit). Collective. */
void sm_comm_broadcast(sm_comm *comm, void *data, size_t bytes, int root);

/** Waits for the ranks of this node, as sm_comm_barrier() for all: what one of them wrote, all may read. Collective over
 * all of `comm`. */
void sm_comm_node_barrier(sm_comm *comm);

/** Copies `bytes` bytes from rank 0 to the first rank of every other node, then waits for the node: for memory that
 * stands once a node (node_memory.h). Collective. */
void sm_comm_broadcast_to_nodes(sm_comm *comm, void *data, size_t bytes);

/** values[i] = sum over ranks of values[i]; the same bits on every rank. Collective. */
void sm_comm_sum_int64(sm_comm *comm, int64_t *values, size_t count);
void sm_comm_sum_double(sm_comm *comm, double *values, size_t count);
void sm_comm_sum_float(sm_comm *comm, float *values, size_t count);

/** values[i] = maximum over ranks. Collective. */
void sm_comm_max_int64(sm_comm *comm, int64_t *values, size_t count);
void sm_comm_max_double(sm_comm *comm, double *values, size_t count);

/** Every rank's `count` doubles, rank after rank, to every rank. Collective.
 * \param [out] all  size * count doubles */
void sm_comm_gather_double(sm_comm *comm, const double *values, size_t count, double *all);

/** Makes one rank's failure everyone's: call it before any collective that a failed rank would miss.
 *
 * \param status  this rank's outcome
 * \return SM_OK if it was SM_OK on all ranks; else, on every rank, the status of the lowest failed rank,
 *         whose message becomes sm_error_message() everywhere, "rank 3: ..." in front unless all ranks failed (so that agreeing twice adds nothing). Collective. */
sm_status sm_comm_agree(sm_comm *comm, sm_status status);
#ifdef __clang_analyzer__ /* make lint follows no call into another file: a rank's own failure stays one */
#define sm_comm_agree(comm, status) (sm_comm_agree(comm, status), (status))
#endif

/** \return "Open MPI v4.1.4, ..." */
const char *sm_comm_library_version(void);

#ifdef __cplusplus
}
#endif
#endif
