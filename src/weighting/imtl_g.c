/* The update has the same projection onto every task's gradient: Liu et al., "Towards Impartial Multi-Task Learning"
 * (ICLR 2021), equations 4 to 6:
 *
 *     sum_k alpha_k g_k u_i  is the same for all i,   u_i = g_i / |g_i|,   sum_k alpha_k = 1
 *
 * so alpha_k = y_k / |g_k| up to a factor, with C y = 1 and the cosines C. Where C is singular, y is the shortest that
 * there is (the generalisation of Quinton and Rey 2024, in units of each gradient's length). Where none is, or where the
 * coefficients would cancel to less than a millionth, gradients oppose each other: all coefficients are 0. They may be
 * negative. Heads learn by their own losses, as in LibMTL. */
#include "weighting/by_gradients.h"
#include "weighting/dense.h"

#include <sigmatic/base/memory.h>

#include <math.h>

/* y = the pseudo-inverse of C times 1. \return the greatest |(C y)_i - 1| */
static double solve_for_ones(int n, const double *cosine, double *y)
{
    const double least_value = 1e-10;
    double *values = sm_alloc((size_t)n * sizeof *values), *vectors = sm_alloc((size_t)n * (size_t)n * sizeof *vectors);
    double error = 0;
    sm_dense_eigen(n, cosine, values, vectors);
    for (int k = 0; k < n; k++) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
            sum += vectors[i * n + k];
        }
        for (int i = 0; values[k] > least_value && i < n; i++) {
            y[i] += vectors[i * n + k] * sum / values[k];
        }
    }
    for (int i = 0; i < n; i++) {
        double product = 0;
        for (int j = 0; j < n; j++) {
            product += cosine[i * n + j] * y[j];
        }
        error = fmax(error, fabs(product - 1));
    }
    sm_free(values);
    sm_free(vectors);
    return error;
}

static void choose(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram,
                   double *coefficient)
{
    const double least = 1e-6;
    double error = solve_for_ones(gram->count, gram->cosine, coefficient), sum = 0, size = 0;
    (void)weighting;
    (void)step;
    for (int i = 0; i < gram->count; i++) {
        coefficient[i] /= gram->length[i];
        sum += coefficient[i];
        size += fabs(coefficient[i]);
    }
    int opposed = error > least || fabs(sum) <= least * size;
    for (int i = 0; i < gram->count; i++) {
        coefficient[i] = opposed ? 0 : coefficient[i] / sum;
    }
}

const sm_weighting_kind sm_weighting_imtl_g = {
    .name = "imtl_g",
    .help = "an update with the same projection onto every task's gradient (Liu et al. 2021)",
    .needs = SM_WEIGHTING_NEEDS_SHARED_GRADIENTS,
    .weigh = sm_weigh_plainly,
    .choose = choose,
};
