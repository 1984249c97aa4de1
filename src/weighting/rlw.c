/* total = sum of w_k L_k, w = softmax of K draws from N(0, 1), new ones in each step: Lin, Ye, Zhang, Tsang, "Reasonable
 * Effectiveness of Random Weighting: A Litmus Test for Multi-Task Learning" (TMLR 2022). A draw is a function of the run's
 * seed, the number of the step and the place of the task in the config, so the same on every rank and after resuming. The
 * weights of a step are known before it: an inactive task's is not given to others. */
#include "weighting/shares.h"

#include <sigmatic/base/random.h>
#include <sigmatic/weighting/weighting.h>

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    for (int i = 0; i < weighting->count; i++) {
        sm_random random = sm_random_new(step->seed ^ sm_hash("weighting.rlw"), (uint64_t)step->step, (uint32_t)i);
        out->weight[i] = sm_random_normal(&random);
    }
    sm_weighting_softmax(weighting->count, NULL, out->weight);
    for (int i = 0; i < weighting->count; i++) {
        out->weight[i] = step->active[i] ? out->weight[i] : 0;
        out->total += step->active[i] ? out->weight[i] * step->loss[i] : 0;
    }
}

const sm_weighting_kind sm_weighting_rlw = {
    .name = "rlw",
    .help = "random in each step (Lin et al. 2022)",
    .weigh = weigh,
};
