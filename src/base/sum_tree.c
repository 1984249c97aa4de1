#include <sigmatic/base/sum_tree.h>

#include <assert.h>
#include <string.h>

void sm_sum_tree_begin(sm_sum_tree *tree, int64_t total)
{
    tree->total = total;
    tree->count = 0;
}

static int is_root(sm_subtree subtree, int64_t total)
{
    return subtree.index == 0 && (int64_t)1 << subtree.level >= total;
}

static int has_right_sibling(sm_subtree subtree, int64_t total)
{
    return (subtree.index + 1) << subtree.level < total;
}

static sm_subtree parent_of(sm_subtree subtree)
{
    return (sm_subtree){subtree.level + 1, subtree.index / 2};
}

/* \return the subtree's highest name */
static sm_subtree lift(sm_subtree subtree, int64_t total)
{
    while (subtree.index % 2 == 0 && !has_right_sibling(subtree, total) && !is_root(subtree, total)) {
        subtree = parent_of(subtree);
    }
    return subtree;
}

int sm_sum_tree_push(sm_sum_tree *tree, sm_subtree subtree)
{
    int additions = 0;
    subtree = lift(subtree, tree->total);
    while (subtree.index % 2 == 1 && tree->count > 0 && tree->subtree[tree->count - 1].level == subtree.level &&
           tree->subtree[tree->count - 1].index == subtree.index - 1) {
        tree->count--;
        additions++;
        subtree = lift(parent_of(subtree), tree->total);
    }
    assert(tree->count < SM_SUM_TREE_DEPTH);
    tree->subtree[tree->count++] = subtree;
    return additions;
}

/* From left to right the largest subtree that begins here and ends in the block. */
int sm_sum_tree_subtrees(int64_t total, int64_t begin, int64_t end, sm_subtree *subtrees)
{
    int count = 0;
    assert(begin >= 0 && end <= total);
    while (begin < end) {
        sm_subtree subtree = {0, begin};
        while (subtree.index % 2 == 0 && !is_root(subtree, total) &&
               ((subtree.index + 2) << subtree.level <= end || end == total)) {
            subtree = parent_of(subtree);
        }
        subtrees[count++] = subtree;
        int64_t after = (subtree.index + 1) << subtree.level;
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
        for (int additions = sm_sum_tree_push(&tree, (sm_subtree){0, first + i}); additions > 0; additions--, top--) {
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
