/** \file
 * Sums over all ranks in the order of base/sum_tree.h: the same bits for any number of ranks.
 *
 * Every rank holds the maximal subtrees of its block of positions; together the blocks are all positions, rank after
 * rank. Doubles (few) are gathered and every rank finishes the tree. Floats (many) go in pieces: each rank gets all
 * subtrees of its share of a piece, finishes the tree and sends the sum to all; with one subtree a rank that is the traffic of any
 * other sum. Nothing is allocated between new and free; messages are waited for. */
#ifndef SIGMATIC_COMM_TREE_SUM_H
#define SIGMATIC_COMM_TREE_SUM_H

#include <sigmatic/comm/comm.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_tree_sum sm_tree_sum;

/** \param most_subtrees  no rank will ever have more */
sm_tree_sum *sm_tree_sum_new(sm_comm *comm, int most_subtrees);
/** NULL is legal. */
void sm_tree_sum_free(sm_tree_sum *sum);

/** \return bytes of workspace for sums of up to so many doubles and floats; 0 on one rank. They are summed in pieces: a
 * few MiB a subtree, however many there are. */
size_t sm_tree_sum_workspace_bytes(const sm_comm *comm, int most_subtrees, size_t doubles, size_t floats);

/** Says who holds what in the sums that follow.
 * \param [in] blocks  size + 1 positions: rank r has blocks[r] .. blocks[r + 1] - 1; blocks[0] = 0; the same on every
 * rank
 * \param [in] workspace  64-byte aligned, the caller's, until the next call */
void sm_tree_sum_set_blocks(sm_tree_sum *sum, const int64_t *blocks, void *workspace);

/** \param [in,out] subtrees  (this rank's subtrees, count); on return its first row is the sum, on a rank without
 * subtrees too. Collective. */
void sm_tree_sum_double(sm_tree_sum *sum, double *subtrees, size_t count);

/** \param [in,out] subtrees  one array of `count` floats a subtree of this rank, the first also on a rank without
 * subtrees: the sum on return; the others are used up. Collective. */
void sm_tree_sum_float(sm_tree_sum *sum, float *const *subtrees, size_t count);

#ifdef __cplusplus
}
#endif
#endif
