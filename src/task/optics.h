/** \file
 * OPTICS (Ankerst, Breunig, Kriegel, Sander: "OPTICS: Ordering Points To Identify the Clustering Structure", SIGMOD 1999) of
 * points in the plane: an order in which the points of a dense region follow each other, and how close each is to those
 * before it.
 *
 *     core(p)     = distance from p to its min_samples-th nearest point, p itself the first; infinite if that is beyond max_distance
 *     reach(p, q) = max(core(p), |p - q|), from a p of finite core to a q with |p - q| <= max_distance
 *
 * The next point is always the one of least reachability from any point before it; of equals, and where none is reachable, that
 * of the least index. All four results are those of scikit-learn's `OPTICS(min_samples, max_eps, algorithm="kd_tree")`, bit
 * for bit; like there, distances are rounded to 15 decimals, so that distances that are equal but for rounding are equal.
 *
 * A binary tree of boxes that knows the greatest reachability within each box stands in for the usual query of all neighbours:
 * boxes in which nothing can come closer are skipped. So even points that all coincide take n log n time, where a list of
 * neighbours takes n^2; the worst case, an infinite max_distance between far clusters, is n^2. */
#ifndef SIGMATIC_TASK_OPTICS_H
#define SIGMATIC_TASK_OPTICS_H

#include <stddef.h>
#include <stdint.h>

typedef struct sm_optics {
    size_t count;
    int32_t *order;        /**< indices of points, as they were processed */
    double *reachability;  /**< of each point, by its index, when it was processed; infinite where a region begins */
    double *core_distance; /**< by index */
    int32_t *predecessor;  /**< by index: the point that it was reached from; -1 none */
} sm_optics;

/** A point that is not finite is nobody's neighbour.
 * Memory: 24 bytes a point are returned, about 60 more are held meanwhile.
 * \param [in] count         at most INT32_MAX
 * \param [in] points        x, y; distances may not overflow (no coordinate above 1e150)
 * \param [in] min_samples   at least 2; with fewer points than that all cores are infinite
 * \param [in] max_distance  at least 0; may be infinite
 * \return freed with sm_optics_free() */
sm_optics sm_optics_new(size_t count, const double (*points)[2], int min_samples, double max_distance);

/** Clusters at a reachability of at most `threshold`: in order, a point that is not reached and has a core distance of
 * at most `threshold` begins a cluster; one that is reached belongs to the last begun; the rest is noise. Equals
 * scikit-learn's cluster_optics_dbscan().
 * \param [out] labels  by index, from 0; -1 noise
 * \return the number of clusters */
int sm_optics_clusters(const sm_optics *optics, double threshold, int32_t *labels);

/** Frees the arrays. */
void sm_optics_free(sm_optics *optics);

#endif
