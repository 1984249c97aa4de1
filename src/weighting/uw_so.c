/* total = sum of w_k L_k, w = softmax(1 / (L T)): UW-O's weights, normalised by a softmax with the temperature T.
 * Kirchdorfer, Elich, Kutsche, Stuckenschmidt, Schott, Koehler, "Analytical Uncertainty-Based Loss Weighting in Multi-Task
 * Learning" (GCPR 2024), UW-SO. Over the active tasks: an inactive one has no loss. */
#include "weighting/positive_losses.h"
#include "weighting/shares.h"

#include <sigmatic/base/memory.h>

static const sm_key keys[] = {
    {"weighting", "uw_so_temperature", SM_KEY_REAL, "1", 1e-6, INFINITY, NULL, NULL,
     "uw_so: temperature of the softmax of 1 / loss"},
    {0},
};

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    double *temperature = weighting->own = sm_alloc(sizeof *temperature);
    *temperature = sm_config_real(config, "weighting", "uw_so_temperature");
    return sm_weighting_refuse_negative_losses(weighting, config);
}

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    const double *temperature = weighting->own;
    for (int i = 0; i < weighting->count; i++) {
        out->weight[i] = step->active[i] ? 1 / (fmax(step->loss[i], sm_least_loss) * *temperature) : 0;
    }
    sm_weighting_softmax(weighting->count, step->active, out->weight);
    for (int i = 0; i < weighting->count; i++) {
        out->total += step->active[i] ? out->weight[i] * step->loss[i] : 0;
    }
}

const sm_weighting_kind sm_weighting_uw_so = {
    .name = "uw_so",
    .help = "softmax of 1 / loss over a temperature (Kirchdorfer et al. 2024)",
    .keys = keys,
    .needs = SM_WEIGHTING_NEEDS_LOSSES,
    .make = make,
    .weigh = weigh,
};
