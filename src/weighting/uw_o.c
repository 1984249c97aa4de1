/* total = sum of log L_k, weight_k = 1 / L_k: a Laplace's -log likelihood L / b + log b with the scale at its minimiser
 * b = L, up to a constant. Kirchdorfer, Elich, Kutsche, Stuckenschmidt, Schott, Koehler, "Analytical Uncertainty-Based Loss
 * Weighting in Multi-Task Learning" (GCPR 2024), UW-O. What `uncertainty` goes to, at once and in each step anew. A
 * group of tasks is one loss, the sum of theirs, and counts as one whatever its tasks are: there is no sigma to report. */
#include "weighting/positive_losses.h"

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    for (int i = 0; i < weighting->count; i++) {
        if (step->active[i]) {
            double loss = fmax(step->loss[i], sm_least_loss);
            out->weight[i] = 1 / loss;
            out->total += log(loss);
        }
    }
}

const sm_weighting_kind sm_weighting_uw_o = {
    .name = "uw_o",
    .help = "1 / loss, as if each sigma were at its minimiser in every step (Kirchdorfer et al. 2024)",
    .needs = SM_WEIGHTING_NEEDS_LOSSES,
    .make = sm_weighting_refuse_negative_losses,
    .weigh = weigh,
};
