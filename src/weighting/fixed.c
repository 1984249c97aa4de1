/* total = sum of w_k L_k with constants w_k, the user's: equation 1 of Kendall, Gal, Cipolla (CVPR 2018). */
#include <sigmatic/weighting/weighting.h>

#include <math.h>

static const sm_key keys[] = {
    {"task.NAME", "weight", SM_KEY_REAL, "1", 0, INFINITY, NULL, NULL, "fixed: factor of the loss"},
    {0},
};

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    weighting->own = sm_weighting_task_reals(weighting, config, "weight");
    return SM_OK;
}

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    const double *weight = weighting->own;
    for (int i = 0; i < weighting->count; i++) {
        if (step->active[i]) {
            out->weight[i] = weight[i];
            out->total += weight[i] * step->loss[i];
        }
    }
}

const sm_weighting_kind sm_weighting_fixed = {
    .name = "fixed",
    .help = "by the key `weight` of each task",
    .keys = keys,
    .make = make,
    .weigh = weigh,
};
