/** \file
 * The order of additions that makes a sum over a batch the same bits however the batch is cut into blocks.
 *
 *   node(0, i) = summand of position i,   node(l, i) = node(l - 1, 2 i) + node(l - 1, 2 i + 1)
 *
 * over the positions 0 .. total - 1; where the right child is missing, a node is its left child. The sum is the root.
 * A block of positions adds what lies inside it to its maximal nodes; whoever has the nodes of all blocks, in order,
 * finishes the tree. Pure arithmetic: knows no messages. */
#ifndef SIGMATIC_BASE_SUM_TREE_H
#define SIGMATIC_BASE_SUM_TREE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_SUM_TREE_DEPTH = 128 }; /**< more than the maximal nodes of any block, and than a stack ever holds */

/** The sum of the positions index * 2^level .. (index + 1) * 2^level - 1 below the total. A node that is alone in its
 * parent is called by the parent's name. */
typedef struct sm_sum_node {
    int level;
    int64_t index;
} sm_sum_node;

/** A sum being made from left to right: a stack of nodes that wait for their right siblings. */
typedef struct sm_sum_tree {
    int64_t total;
    int count;
    sm_sum_node node[SM_SUM_TREE_DEPTH];
} sm_sum_tree;

/** An empty stack. */
void sm_sum_tree_begin(sm_sum_tree *tree, int64_t total);

/** Puts the next node, right of all before it, on the stack, at place count.
 * \return additions to be made now, from the top of the stack down: each adds the value of the topmost place to the one
 * below, which becomes the topmost */
int sm_sum_tree_push(sm_sum_tree *tree, sm_sum_node node);

/** The maximal nodes inside the block of positions begin .. end - 1 <= total - 1, from left to right: what stays on the
 * stack after all of its positions were pushed. Pushed block after block they leave the root.
 * \param [out] nodes  SM_SUM_TREE_DEPTH
 * \return how many; 0 for an empty block, at most 2 log2(end - begin) + 1 */
int sm_sum_tree_nodes(int64_t total, int64_t begin, int64_t end, sm_sum_node *nodes);

/** Adds the rows of a block of positions first .. first + rows - 1, in place.
 * \param [in,out] values  (rows, count); on return its first rows are the maximal nodes, the others undefined
 * \return number of maximal nodes */
int sm_sum_tree_add_rows(int64_t total, int64_t first, int rows, size_t count, double *values);

#ifdef __cplusplus
}
#endif
#endif
