#include "task/point_tree.h"

#include <sigmatic/base/memory.h>

#include <assert.h>
#include <math.h>

enum { LEAF_POINTS = 12 };

static void swap_points(sm_point_tree *tree, int32_t a, int32_t b)
{
    for (int axis = 0; axis < 2; axis++) {
        double kept = tree->points[a][axis];
        tree->points[a][axis] = tree->points[b][axis];
        tree->points[b][axis] = kept;
    }
    int32_t index = tree->index[a];
    tree->index[a] = tree->index[b];
    tree->index[b] = index;
}

static double median(double a, double b, double c)
{
    return sm_greater(sm_lesser(a, b), sm_lesser(sm_greater(a, b), c));
}

/* Moves points so that none before `middle` is greater along the axis, and none from there on less. */
static void split(sm_point_tree *tree, int32_t begin, int32_t end, int32_t middle, int axis)
{
    double(*points)[2] = tree->points;
    while (end - begin > 1) {
        double pivot = median(points[begin][axis], points[begin + (end - begin) / 2][axis], points[end - 1][axis]);
        int32_t less = begin, more = end; /* [begin, less) is less than the pivot, [more, end) greater */
        for (int32_t i = begin; i < more;) {
            if (points[i][axis] < pivot) {
                swap_points(tree, i++, less++);
            } else if (points[i][axis] > pivot) {
                swap_points(tree, i, --more);
            } else {
                i++;
            }
        }
        if (middle < less) {
            end = less;
        } else if (middle >= more) {
            begin = more;
        } else {
            return;
        }
    }
}

static void build(sm_point_tree *tree, int32_t i, int32_t begin, int32_t end)
{
    sm_point_box *box = &tree->boxes[i];
    *box = (sm_point_box){{INFINITY, INFINITY}, {-INFINITY, -INFINITY}, begin, end};
    for (int32_t p = begin; p < end; p++) {
        for (int axis = 0; axis < 2; axis++) {
            box->low[axis] = sm_lesser(box->low[axis], tree->points[p][axis]);
            box->high[axis] = sm_greater(box->high[axis], tree->points[p][axis]);
        }
    }
    if (i < tree->first_leaf) {
        int32_t middle = begin + (end - begin) / 2;
        split(tree, begin, end, middle, box->high[1] - box->low[1] > box->high[0] - box->low[0]);
        build(tree, 2 * i, begin, middle);
        build(tree, 2 * i + 1, middle, end);
    }
}

sm_point_tree sm_point_tree_new(size_t count, const double (*points)[2])
{
    assert(count <= INT32_MAX);
    sm_point_tree tree = {.first_leaf = SM_POINT_TREE_ROOT};
    tree.points = sm_alloc(count * sizeof *tree.points);
    tree.index = sm_alloc(count * sizeof *tree.index);
    for (size_t i = 0; i < count; i++) {
        if (isfinite(points[i][0]) && isfinite(points[i][1])) {
            tree.points[tree.count][0] = points[i][0];
            tree.points[tree.count][1] = points[i][1];
            tree.index[tree.count++] = (int32_t)i;
        }
    }
    while (tree.count / tree.first_leaf >= LEAF_POINTS) {
        tree.first_leaf *= 2;
    }
    tree.boxes = sm_alloc(2 * (size_t)tree.first_leaf * sizeof *tree.boxes);
    build(&tree, SM_POINT_TREE_ROOT, 0, tree.count);
    return tree;
}

void sm_point_tree_free(sm_point_tree *tree)
{
    sm_free(tree->boxes);
    sm_free(tree->points);
    sm_free(tree->index);
}

/* ---- several distances ------------------------------------------------------------------------------------------- */

typedef struct several {
    const double *from;
    double *squared;
    int wanted;
} several;

static void insert(several *found, double squared)
{
    int at = found->wanted - 1;
    if (squared < found->squared[at]) {
        for (; at > 0 && found->squared[at - 1] > squared; at--) {
            found->squared[at] = found->squared[at - 1];
        }
        found->squared[at] = squared;
    }
}

static void search_several(const sm_point_tree *tree, int32_t i, several *found)
{
    if (i >= tree->first_leaf) {
        for (int32_t p = tree->boxes[i].begin; p < tree->boxes[i].end; p++) {
            insert(found, sm_squared_distance(found->from, tree->points[p]));
        }
        return;
    }
    double left = sm_squared_to_box(found->from, &tree->boxes[2 * i]);
    double right = sm_squared_to_box(found->from, &tree->boxes[2 * i + 1]);
    int nearer = right < left;
    if (sm_lesser(left, right) < found->squared[found->wanted - 1]) {
        search_several(tree, 2 * i + nearer, found);
    }
    if (sm_greater(left, right) < found->squared[found->wanted - 1]) {
        search_several(tree, 2 * i + !nearer, found);
    }
}

void sm_point_tree_distances(const sm_point_tree *tree, const double from[2], int wanted, double limit, double *squared)
{
    several found = {from, squared, wanted};
    for (int k = 0; k < wanted; k++) {
        squared[k] = limit;
    }
    search_several(tree, SM_POINT_TREE_ROOT, &found);
}

/* ---- one point --------------------------------------------------------------------------------------------------- */

typedef struct one {
    const double *from;
    double squared;
    int32_t index;
} one;

static void search_one(const sm_point_tree *tree, int32_t i, one *found)
{
    if (sm_squared_to_box(found->from, &tree->boxes[i]) > found->squared) {
        return;
    }
    if (i < tree->first_leaf) {
        const sm_point_box *halves = &tree->boxes[2 * i];
        int nearer = sm_squared_to_box(found->from, &halves[1]) < sm_squared_to_box(found->from, &halves[0]);
        search_one(tree, 2 * i + nearer, found);
        search_one(tree, 2 * i + !nearer, found);
        return;
    }
    for (int32_t p = tree->boxes[i].begin; p < tree->boxes[i].end; p++) {
        double squared = sm_squared_distance(found->from, tree->points[p]);
        int32_t index = tree->index[p];
        if (squared < found->squared || (squared == found->squared && (found->index < 0 || index < found->index))) {
            found->squared = squared;
            found->index = index;
        }
    }
}

int32_t sm_point_tree_nearest(const sm_point_tree *tree, const double from[2], double limit)
{
    one found = {from, limit, -1};
    search_one(tree, SM_POINT_TREE_ROOT, &found);
    return found.index;
}
