/* Each task's gradient g_i is changed as little as lets it harm no task, that is projected onto the dual cone
 * {d: d g_j >= 0 for all j}; the update is the mean of the projections. Quinton and Rey, "Jacobian Descent for
 * Multi-Objective Optimization" (arXiv 2406.16232), equation 5 and proposition 1: the projection is sum_j v_j g_j with
 *
 *     v = argmin v'G v  over  v >= e_i,   G_jk = g_j g_k
 *
 * which is solved for what v has beyond e_i, in units of each gradient's length. Heads learn by their own losses, as in
 * the authors' library (torchjd, mtl_backward). */
#include "weighting/by_gradients.h"
#include "weighting/dense.h"

#include <sigmatic/base/memory.h>

static void choose(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram,
                   double *coefficient)
{
    int n = gram->count;
    double *more = sm_alloc((size_t)n * sizeof *more);
    (void)weighting;
    (void)step;
    for (int i = 0; i < n; i++) {
        sm_dense_minimise(n, gram->cosine, gram->cosine + i * n, NULL, more);
        for (int j = 0; j < n; j++) {
            coefficient[j] += gram->length[i] / gram->length[j] * ((i == j) + more[j]) / n;
        }
    }
    sm_free(more);
}

const sm_weighting_kind sm_weighting_upgrad = {
    .name = "upgrad",
    .help = "the mean of the tasks' gradients, each projected to where it harms no task (Quinton and Rey 2024)",
    .needs = SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS,
    .weigh = sm_weigh_plainly,
    .choose = choose,
};
