/* total = (prod of L_k)^(1/n) over the n active tasks, weight_k = d total / d L_k = total / (n L_k): Chennupati, Sistu,
 * Yogamani, Rawashdeh, "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task Learning"
 * (CVPR workshops 2019), equation 2. */
#include "weighting/positive_losses.h"

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    double logs = 0;
    int active = 0;
    for (int i = 0; i < weighting->count; i++) {
        logs += step->active[i] ? log(fmax(step->loss[i], sm_least_loss)) : 0;
        active += step->active[i] != 0;
    }
    out->total = active > 0 ? exp(logs / active) : 0;
    for (int i = 0; i < weighting->count; i++) {
        if (step->active[i]) {
            out->weight[i] = out->total / (active * fmax(step->loss[i], sm_least_loss));
        }
    }
}

const sm_weighting_kind sm_weighting_gls = {
    .name = "gls",
    .help = "geometric mean of the losses (Chennupati et al. 2019)",
    .needs = SM_WEIGHTING_NEEDS_LOSSES,
    .make = sm_weighting_refuse_negative_losses,
    .weigh = weigh,
};
