/* Each task's gradient without what of it opposes another's: Yu et al., "Gradient Surgery for Multi-Task Learning"
 * (NeurIPS 2020), algorithm 1. For each i, p = g_i; for the other tasks j in random order,
 *
 *     p <- p - (p g_j / |g_j|^2) g_j   if p g_j < 0
 *
 * and the update is the sum of the p. Orders are drawn anew in every step, by the run's seed and the step's number: the
 * same on every rank and after resuming. Heads learn by their own losses, as in LibMTL. */
#include "weighting/by_gradients.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>

#include <math.h>

/* Fills in the numbers below n but i, in random order. */
static void shuffle_others(int n, int i, sm_random *random, int *order)
{
    for (int j = 0; j + 1 < n; j++) {
        order[j] = j < i ? j : j + 1;
    }
    for (int left = n - 1; left > 1; left--) {
        int drawn = (int)sm_random_below(random, (uint32_t)left), last = order[left - 1];
        order[left - 1] = order[drawn];
        order[drawn] = last;
    }
}

/* p = sum of x_k g_k / |g_k|. \param [out] x  n */
static void project(const sm_task_gram *gram, int i, const int *order, double *x)
{
    int n = gram->count;
    for (int j = 0; j < n; j++) {
        x[j] = j == i ? gram->length[i] : 0;
    }
    for (int at = 0; at + 1 < n; at++) {
        const double *cosine = gram->cosine + order[at] * n;
        double along = 0;
        for (int k = 0; k < n; k++) {
            along += cosine[k] * x[k];
        }
        x[order[at]] -= fmin(along, 0);
    }
}

static void choose(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram,
                   double *coefficient)
{
    int n = gram->count;
    double *x = sm_alloc((size_t)n * sizeof *x);
    int *order = sm_alloc((size_t)n * sizeof *order);
    sm_random random = sm_random_new(step->seed ^ sm_hash("pcgrad"), (uint64_t)step->step, 0);
    (void)weighting;
    for (int i = 0; i < n; i++) {
        shuffle_others(n, i, &random, order);
        project(gram, i, order, x);
        for (int j = 0; j < n; j++) {
            coefficient[j] += x[j] / gram->length[j];
        }
    }
    sm_free(x);
    sm_free(order);
}

const sm_weighting_kind sm_weighting_pcgrad = {
    .name = "pcgrad",
    .help = "the tasks' gradients without what opposes another's (Yu et al. 2020)",
    .needs = SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS,
    .weigh = sm_weigh_plainly,
    .choose = choose,
};
