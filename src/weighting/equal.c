/* total = 1/K sum of L_k: the mean of the K tasks' losses. The baseline of Kendall, Gal, Cipolla (CVPR 2018), table 1. */
#include <sigmatic/weighting/weighting.h>

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    for (int i = 0; i < weighting->count; i++) {
        if (step->active[i]) {
            out->weight[i] = 1.0 / weighting->count;
            out->total += out->weight[i] * step->loss[i];
        }
    }
}

const sm_weighting_kind sm_weighting_equal = {
    .name = "equal",
    .help = "1/K each for K tasks",
    .weigh = weigh,
};
