/* The nearest system of gradients whose principal components all have the same length, that of the shortest of them:
 * Senushkin et al., "Independent Component Alignment for Multi-Task Learning" (CVPR 2023), algorithm 1. With the
 * eigenvalues l_k > 0 and eigenvectors v_k of the dot products of the gradients
 *
 *     alpha = B w,   B = sqrt(min l) sum_k v_k v_k' / sqrt(l_k),   w = 1/n each
 *
 * (the w of torchjd; LibMTL has w = 1). Eigenvalues up to n times the rounding of double over the greatest count as 0, as
 * in both. Heads learn by their own losses, as in LibMTL. */
#include "weighting/by_gradients.h"
#include "weighting/dense.h"

#include <sigmatic/base/memory.h>

#include <float.h>
#include <math.h>

static void choose(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram,
                   double *coefficient)
{
    int n = gram->count;
    size_t rows = (size_t)n;
    double *products = sm_alloc(rows * rows * sizeof *products), *vectors = sm_alloc(rows * rows * sizeof *vectors);
    double *values = sm_alloc(rows * sizeof *values), greatest = 0, least = INFINITY;
    (void)weighting;
    (void)step;
    for (int i = 0; i < n * n; i++) {
        products[i] = gram->cosine[i] * gram->length[i / n] * gram->length[i % n];
    }
    sm_dense_eigen(n, products, values, vectors);
    for (int k = 0; k < n; k++) {
        greatest = fmax(greatest, values[k]);
    }
    double zero = n * DBL_EPSILON * greatest;
    for (int k = 0; k < n; k++) {
        least = values[k] > zero ? fmin(least, values[k]) : least;
    }
    for (int k = 0; k < n; k++) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
            sum += vectors[i * n + k] / n;
        }
        for (int i = 0; values[k] > zero && i < n; i++) {
            coefficient[i] += sqrt(least / values[k]) * sum * vectors[i * n + k];
        }
    }
    sm_free(products);
    sm_free(vectors);
    sm_free(values);
}

const sm_weighting_kind sm_weighting_aligned_mtl = {
    .name = "aligned_mtl",
    .help = "gradients whose principal components have been made equally long (Senushkin et al. 2023)",
    .needs = SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS,
    .weigh = sm_weigh_plainly,
    .choose = choose,
};
