/* A weighting: every task's loss over its own running mean, so that each counts by how much it falls, whatever its unit.
 *
 *     m_k <- a m_k + (1 - a) L_k,   total = 1/K sum of L_k / m_k,   weight_k = 1 / (K m_k),   a = weighting.memory
 *
 * The means are a state: saved with every checkpoint as /weighting/mean, and put back when a step is skipped. */
#include "own_kinds.h"

#include <sigmatic/base/memory.h>

#include <math.h>

static const sm_key keys[] = {
    {"weighting", "memory", SM_KEY_REAL, "0.9", 0, 0.9999, NULL, NULL,
     "balanced: share of the old mean in the new one"},
    {0},
};

typedef struct own_state {
    double memory, *mean; /* one a task, the weighting's; 0 before its first loss */
} own_state;

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    own_state *own = sm_alloc(sizeof *own);
    own->memory = sm_config_real(config, "weighting", "memory");
    own->mean = sm_weighting_add_state(weighting, "mean", (size_t)weighting->count);
    weighting->own = own; /* freed with the weighting */
    return SM_OK;
}

/* Losses are the same on every rank, so are means and weights. A loss that is not finite makes its step be skipped. */
static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    const double least = 1e-12;
    own_state *own = weighting->own;
    for (int k = 0; k < weighting->count; k++) {
        if (step->active[k]) {
            double *mean = &own->mean[k], loss = step->loss[k];
            *mean = *mean > 0 ? own->memory * *mean + (1 - own->memory) * loss : loss;
            out->weight[k] = 1 / (weighting->count * fmax(*mean, least));
            out->total += out->weight[k] * loss;
        }
    }
}

const sm_weighting_kind own_balanced = {
    .name = "balanced",
    .help = "each loss over its running mean",
    .keys = keys,
    .needs = SM_WEIGHTING_NEEDS_LOSSES,
    .make = make,
    .weigh = weigh,
};
