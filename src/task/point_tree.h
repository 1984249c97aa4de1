/** \file
 * Points of the plane in a balanced tree of boxes, for the nearest ones of any place. */
#ifndef SIGMATIC_TASK_POINT_TREE_H
#define SIGMATIC_TASK_POINT_TREE_H

#include <stddef.h>
#include <stdint.h>

enum { SM_POINT_TREE_ROOT = 1 };

typedef struct sm_point_box {
    double low[2], high[2];
    int32_t begin, end; /**< slots of its points */
} sm_point_box;

/** Points stand in the order of the tree; a place in it is a "slot". Points that are not finite are left out. */
typedef struct sm_point_tree {
    int32_t count, first_leaf;
    sm_point_box *boxes; /**< a complete binary tree: the halves of box i < first_leaf are 2 i and 2 i + 1 */
    double (*points)[2]; /**< by slot */
    int32_t *index;      /**< by slot: which of the given points */
} sm_point_tree;

/** \param [in] count  at most INT32_MAX */
sm_point_tree sm_point_tree_new(size_t count, const double (*points)[2]);
void sm_point_tree_free(sm_point_tree *tree);

/** Finds the `wanted` least squared distances below `limit` from a place to points, one at that place too.
 * \param [out] squared  rising; `limit` where there are no more */
void sm_point_tree_distances(const sm_point_tree *tree, const double from[2], int wanted, double limit,
                             double *squared);

/** \return the index of the nearest point at a squared distance of at most `limit`, of equals the least; -1 none. */
int32_t sm_point_tree_nearest(const sm_point_tree *tree, const double from[2], double limit);

/* Of numbers, without fmin()'s care for NaN, which costs a call. */
static inline double sm_lesser(double a, double b)
{
    return a < b ? a : b;
}

static inline double sm_greater(double a, double b)
{
    return a > b ? a : b;
}

static inline double sm_squared_distance(const double a[2], const double b[2])
{
    double x = a[0] - b[0], y = a[1] - b[1];
    return x * x + y * y;
}

/** \return not more than the squared distance of any point in the box; in rounded arithmetic too, each operation being
 * monotone. */
static inline double sm_squared_to_box(const double from[2], const sm_point_box *box)
{
    double x = sm_greater(sm_greater(box->low[0] - from[0], from[0] - box->high[0]), 0);
    double y = sm_greater(sm_greater(box->low[1] - from[1], from[1] - box->high[1]), 0);
    return x * x + y * y;
}

#endif
