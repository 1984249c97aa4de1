/** \file
 * The order of additions that makes a sum over a batch the same bits however the batch is cut into blocks.
 *
 *   subtree(0, i) = summand of position i,   subtree(l, i) = subtree(l - 1, 2 i) + subtree(l - 1, 2 i + 1)
 *
 * over the positions 0 .. total - 1; where the right child is missing, a subtree is its left child. The sum is the
 * root. A block of positions adds what lies inside it to its maximal subtrees; whoever has the subtrees of all blocks,
 * in order, finishes the tree. Pure arithmetic: knows no messages. */
#ifndef SIGMATIC_BASE_SUM_TREE_H
#define SIGMATIC_BASE_SUM_TREE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_SUM_TREE_DEPTH = 128 }; /**< more than the maximal subtrees of any block, and than a stack ever holds */

/** The sum of the positions index * 2^level .. (index + 1) * 2^level - 1 below the total. A subtree that is alone in
 * its parent is called by the parent's name. */
typedef struct sm_subtree {
    int level;
    int64_t index;
} sm_subtree;

/** A sum being made from left to right: a stack of subtrees that wait for their right siblings. */
typedef struct sm_sum_tree {
    int64_t total;
    int count;
    sm_subtree subtree[SM_SUM_TREE_DEPTH];
} sm_sum_tree;

/** An empty stack. */
void sm_sum_tree_begin(sm_sum_tree *tree, int64_t total);

/** Puts the next subtree, right of all before it, on the stack, at place count.
 * \return additions to be made now, from the top of the stack down: each adds the value of the topmost place to the one
 * below, which becomes the topmost */
int sm_sum_tree_push(sm_sum_tree *tree, sm_subtree subtree);

/** The maximal subtrees inside the block of positions begin .. end - 1 <= total - 1, from left to right: what stays on
 * the stack after all of its positions were pushed. Pushed block after block they leave the root.
 * \param [out] subtrees  SM_SUM_TREE_DEPTH
 * \return how many; 0 for an empty block, at most 2 log2(end - begin) + 1 */
int sm_sum_tree_subtrees(int64_t total, int64_t begin, int64_t end, sm_subtree *subtrees);

/** Adds the rows of a block of positions first .. first + rows - 1, in place.
 * \param [in,out] values  (rows, count); on return its first rows are the maximal subtrees, the others undefined
 * \return number of maximal subtrees */
int sm_sum_tree_add_rows(int64_t total, int64_t first, int rows, size_t count, double *values);

#ifdef __cplusplus
}
#endif
#endif
