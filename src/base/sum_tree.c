#include <sigmatic/base/sum_tree.h>

#include <assert.h>
#include <string.h>

void sm_sum_tree_begin(sm_sum_tree *tree, int64_t total)
{
    tree->total = total;
    tree->count = 0;
}

static int is_root(sm_sum_node node, int64_t total)
{
    return node.index == 0 && (int64_t)1 << node.level >= total;
}

static int has_right_sibling(sm_sum_node node, int64_t total)
{
    return (node.index + 1) << node.level < total;
}

static sm_sum_node parent_of(sm_sum_node node)
{
    return (sm_sum_node){node.level + 1, node.index / 2};
}

/* \return the node's highest name */
static sm_sum_node lift(sm_sum_node node, int64_t total)
{
    while (node.index % 2 == 0 && !has_right_sibling(node, total) && !is_root(node, total)) {
        node = parent_of(node);
    }
    return node;
}

int sm_sum_tree_push(sm_sum_tree *tree, sm_sum_node node)
{
    int additions = 0;
    node = lift(node, tree->total);
    while (node.index % 2 == 1 && tree->count > 0 && tree->node[tree->count - 1].level == node.level &&
           tree->node[tree->count - 1].index == node.index - 1) {
        tree->count--;
        additions++;
        node = lift(parent_of(node), tree->total);
    }
    assert(tree->count < SM_SUM_TREE_DEPTH);
    tree->node[tree->count++] = node;
    return additions;
}

/* From left to right the largest node that begins here and ends in the block. */
int sm_sum_tree_nodes(int64_t total, int64_t begin, int64_t end, sm_sum_node *nodes)
{
    int count = 0;
    assert(begin >= 0 && end <= total);
    while (begin < end) {
        sm_sum_node node = {0, begin};
        while (node.index % 2 == 0 && !is_root(node, total) &&
               ((node.index + 2) << node.level <= end || end == total)) {
            node = parent_of(node);
        }
        nodes[count++] = node;
        int64_t after = (node.index + 1) << node.level;
        begin = after < end ? after : end;
    }
    return count;
}

int sm_sum_tree_add_rows(int64_t total, int64_t first, int rows, size_t count, double *values)
{
    sm_sum_tree tree;
    double *row[SM_SUM_TREE_DEPTH];
    sm_sum_tree_begin(&tree, total);
    for (int i = 0; i < rows; i++) {
        int top = tree.count;
        row[top] = values + (size_t)i * count;
        for (int additions = sm_sum_tree_push(&tree, (sm_sum_node){0, first + i}); additions > 0; additions--, top--) {
            for (size_t k = 0; k < count; k++) {
                row[top - 1][k] += row[top][k];
            }
        }
    }
    for (int i = 0; i < tree.count; i++) {
        memmove(values + (size_t)i * count, row[i], count * sizeof *values);
    }
    return tree.count;
}
