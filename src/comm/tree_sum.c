/* MPI is called without its mutex: these sums stand in for a reduction's, so that there is none whose helper could be at
 * work. */
#include <sigmatic/comm/tree_sum.h>

#include <sigmatic/base/clones.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/sum_tree.h>

#include "comm/comm_private.h"
#include "comm/stall_private.h"
#include "comm/wait.h"

#include <assert.h>
#include <string.h>

enum {
    DOUBLES_NOW = 1 << 12, /* of one gather: both sums of 2048 channels */
    FLOATS_NOW = 1 << 20,  /* of one piece */
    SHARE_ALIGNMENT = 16,
    TAG = 1
};

struct sm_tree_sum {
    sm_comm *comm;
    int most_subtrees;
    void *workspace;
    int64_t total;
    int most_now;         /* subtrees of any rank */
    int *counts;          /* subtrees of each rank */
    sm_subtree *subtrees; /* (ranks, most_subtrees) */
    MPI_Request *requests;
    int request_count;
    int *share_counts, *share_begins; /* of a piece, by rank */
    size_t row_floats;                /* between subtrees received */
};

static size_t share_begin(size_t count, int rank, int ranks)
{
    return rank == ranks ? count : count * (size_t)rank / (size_t)ranks / SHARE_ALIGNMENT * SHARE_ALIGNMENT;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* floats of any rank's share of a piece, whole cache lines */
static size_t longest_share(size_t piece, int ranks)
{
    return sm_round_up(piece / (size_t)ranks, SHARE_ALIGNMENT) + 2 * SHARE_ALIGNMENT;
}

size_t sm_tree_sum_workspace_bytes(const sm_comm *comm, int most_subtrees, size_t doubles, size_t floats)
{
    if (comm->size == 1) {
        return 0;
    }
    size_t ranks = (size_t)comm->size, subtrees = (size_t)most_subtrees;
    size_t gathered = (ranks + 1) * subtrees * smaller(doubles, DOUBLES_NOW) * sizeof(double);
    size_t shares = ranks * subtrees * longest_share(smaller(floats, FLOATS_NOW), comm->size) * sizeof(float);
    return gathered > shares || floats == 0 ? gathered : shares;
}

sm_tree_sum *sm_tree_sum_new(sm_comm *comm, int most_subtrees)
{
    sm_tree_sum *sum = sm_alloc_zeroed(sizeof *sum);
    size_t ranks = (size_t)comm->size, subtrees = (size_t)most_subtrees;
    sum->comm = comm;
    sum->most_subtrees = most_subtrees;
    sum->counts = sm_alloc_zeroed(ranks * sizeof *sum->counts);
    sum->subtrees = sm_alloc_zeroed(SM_SUM_TREE_DEPTH * ranks * sizeof *sum->subtrees);
    sum->requests = sm_alloc_zeroed(2 * ranks * subtrees * sizeof *sum->requests);
    sum->share_counts = sm_alloc_zeroed(ranks * sizeof *sum->share_counts);
    sum->share_begins = sm_alloc_zeroed(ranks * sizeof *sum->share_begins);
    return sum;
}

void sm_tree_sum_free(sm_tree_sum *sum)
{
    if (sum) {
        sm_free(sum->counts);
        sm_free(sum->subtrees);
        sm_free(sum->requests);
        sm_free(sum->share_counts);
        sm_free(sum->share_begins);
        sm_free(sum);
    }
}

void sm_tree_sum_set_blocks(sm_tree_sum *sum, const int64_t *blocks, void *workspace)
{
    int size = sum->comm->size;
    sum->workspace = workspace;
    sum->total = blocks[size];
    sum->most_now = 0;
    for (int r = 0; r < size; r++) {
        sum->counts[r] =
            sm_sum_tree_subtrees(sum->total, blocks[r], blocks[r + 1], sum->subtrees + r * SM_SUM_TREE_DEPTH);
        sum->most_now = sum->counts[r] > sum->most_now ? sum->counts[r] : sum->most_now;
        if (sum->counts[r] > sum->most_subtrees) {
            sm_abort("a sum over ranks was made for %d subtrees a rank; rank %d has %d", sum->most_subtrees, r,
                     sum->counts[r]);
        }
    }
}

/* ---- doubles ---- */

static void add_doubles(double *restrict to, const double *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

/* Finishes the tree. \param [in,out] all  (ranks, most_now, count) \return the root */
static const double *finish_doubles(const sm_tree_sum *sum, double *all, size_t count)
{
    sm_sum_tree tree;
    double *row[SM_SUM_TREE_DEPTH] = {NULL};
    sm_sum_tree_begin(&tree, sum->total);
    for (int r = 0; r < sum->comm->size; r++) {
        for (int j = 0; j < sum->counts[r]; j++) {
            int top = tree.count;
            row[top] = all + (size_t)(r * sum->most_now + j) * count;
            int additions = sm_sum_tree_push(&tree, sum->subtrees[r * SM_SUM_TREE_DEPTH + j]);
            for (; additions > 0; additions--, top--) {
                add_doubles(row[top - 1], row[top], count);
            }
        }
    }
    return row[0];
}

void sm_tree_sum_double(sm_tree_sum *sum, double *subtrees, size_t count)
{
    const sm_comm *comm = sum->comm;
    if (comm->size == 1 || sum->total == 0) {
        return;
    }
    assert(sm_mpi_helper_is_idle());
    sm_stall_count_collective();
    for (size_t begin = 0; begin < count; begin += DOUBLES_NOW) {
        size_t piece = smaller(count - begin, DOUBLES_NOW), own = (size_t)sum->most_now * piece;
        double *packed = sum->workspace, *all = packed + own;
        memset(packed, 0, own * sizeof *packed);
        for (int j = 0; j < sum->counts[comm->rank]; j++) {
            memcpy(packed + j * piece, subtrees + j * count + begin, piece * sizeof *packed);
        }
        MPI_Request request;
        sm_check_mpi(MPI_Iallgather(packed, (int)own, MPI_DOUBLE, all, (int)own, MPI_DOUBLE, comm->handle, &request),
                     "MPI_Iallgather");
        sm_wait_for_request(&request, "a sum");
        memcpy(subtrees + begin, finish_doubles(sum, all, piece), piece * sizeof *subtrees);
    }
}

/* ---- floats ---- */

static SM_CLONES(void, add_floats, (float *restrict to, const float *restrict from, size_t count), (to, from, count))
{
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

static int all_finished(void *user)
{
    sm_tree_sum *sum = user;
    int finished = 0;
    sm_check_mpi(MPI_Testall(sum->request_count, sum->requests, &finished, MPI_STATUSES_IGNORE), "MPI_Testall");
    return finished;
}

static float *received(const sm_tree_sum *sum, int rank, int subtree)
{
    return (float *)sum->workspace + (size_t)(rank * sum->most_now + subtree) * sum->row_floats;
}

/* Every rank gets all subtrees of its share of a piece. */
static void spread_subtrees(sm_tree_sum *sum, float *const *subtrees, size_t first)
{
    const sm_comm *comm = sum->comm;
    int own = sum->share_counts[comm->rank];
    sum->request_count = 0;
    for (int i = 1; i < comm->size; i++) {
        int from = (comm->rank + comm->size - i) % comm->size;
        for (int j = 0; own > 0 && j < sum->counts[from]; j++) {
            sm_check_mpi(MPI_Irecv(received(sum, from, j), own, MPI_FLOAT, from, TAG, comm->handle,
                                   &sum->requests[sum->request_count++]),
                         "MPI_Irecv");
        }
    }
    for (int i = 1; i < comm->size; i++) {
        int to = (comm->rank + i) % comm->size;
        for (int j = 0; sum->share_counts[to] > 0 && j < sum->counts[comm->rank]; j++) {
            sm_check_mpi(MPI_Isend(subtrees[j] + first + sum->share_begins[to], sum->share_counts[to], MPI_FLOAT, to,
                                   TAG, comm->handle, &sum->requests[sum->request_count++]),
                         "MPI_Isend");
        }
    }
    sm_wait(all_finished, sum, &(sm_wait_reason){"shares of a sum", 0, 0});
}

/* Finishes the tree in this rank's share of a piece. */
static void finish_floats(const sm_tree_sum *sum, float *const *subtrees, size_t first)
{
    const sm_comm *comm = sum->comm;
    size_t count = (size_t)sum->share_counts[comm->rank], begin = first + (size_t)sum->share_begins[comm->rank];
    sm_sum_tree tree;
    float *row[SM_SUM_TREE_DEPTH] = {NULL};
    sm_sum_tree_begin(&tree, sum->total);
    for (int r = 0; r < comm->size; r++) {
        for (int j = 0; j < sum->counts[r]; j++) {
            int top = tree.count;
            row[top] = r == comm->rank ? subtrees[j] + begin : received(sum, r, j);
            int additions = sm_sum_tree_push(&tree, sum->subtrees[r * SM_SUM_TREE_DEPTH + j]);
            for (; additions > 0; additions--, top--) {
                add_floats(row[top - 1], row[top], count);
            }
        }
    }
    assert(row[0]); /* the tree has leaves */
    if (row[0] != subtrees[0] + begin) {
        memcpy(subtrees[0] + begin, row[0], count * sizeof(float));
    }
}

static void spread_sum(const sm_tree_sum *sum, float *piece)
{
    MPI_Request request;
    sm_check_mpi(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, piece, sum->share_counts, sum->share_begins,
                                 MPI_FLOAT, sum->comm->handle, &request),
                 "MPI_Iallgatherv");
    sm_wait_for_request(&request, "a sum");
}

void sm_tree_sum_float(sm_tree_sum *sum, float *const *subtrees, size_t count)
{
    int size = sum->comm->size;
    if (size == 1 || sum->total == 0) {
        return;
    }
    assert(sm_mpi_helper_is_idle());
    sm_stall_count_collective();
    for (size_t first = 0; first < count; first += FLOATS_NOW) {
        size_t piece = smaller(count - first, FLOATS_NOW);
        sum->row_floats = longest_share(piece, size);
        for (int r = 0; r < size; r++) {
            sum->share_begins[r] = (int)share_begin(piece, r, size);
            sum->share_counts[r] = (int)(share_begin(piece, r + 1, size) - share_begin(piece, r, size));
        }
        spread_subtrees(sum, subtrees, first);
        finish_floats(sum, subtrees, first);
        spread_sum(sum, subtrees[0] + first);
    }
}
