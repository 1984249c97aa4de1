/* total = sum of w_k L_k, w = K softmax(r / T), r_k the ratio of a task's mean losses in the last epoch and in the one
 * before: a task whose loss fell less counts more. Liu, Johns, Davison, "End-to-End Multi-Task Learning with Attention"
 * (CVPR 2019), equation 7; T = 2. Until two epochs are over, r_k = 1. A mean is over the steps in which the task is active;
 * an epoch without any leaves the task's means as they are. The weights of a step are known before it: an inactive task's
 * is not given to others. */
#include "weighting/positive_losses.h"
#include "weighting/shares.h"

#include <sigmatic/base/memory.h>

static const sm_key keys[] = {
    {"weighting", "dwa_temperature", SM_KEY_REAL, "2", 1e-6, INFINITY, NULL, NULL,
     "dwa: temperature of the softmax of the ratios of losses"},
    {0},
};

/* Arrays are states, one number a task. */
typedef struct dwa_state {
    double temperature;
    double *sum, *steps;   /* of the current epoch; one state */
    double *last, *before; /* means of the last two epochs; negative: there is none yet */
    double *epoch;         /* one number: that the sums are of */
} dwa_state;

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    dwa_state *own = weighting->own = sm_alloc(sizeof *own);
    size_t tasks = (size_t)weighting->count;
    own->temperature = sm_config_real(config, "weighting", "dwa_temperature");
    own->sum = sm_weighting_add_state(weighting, "epoch_sums", 2 * tasks);
    own->steps = own->sum + tasks;
    own->last = sm_weighting_add_state(weighting, "last_mean", tasks);
    own->before = sm_weighting_add_state(weighting, "mean_before", tasks);
    own->epoch = sm_weighting_add_state(weighting, "epoch", 1);
    for (size_t i = 0; i < tasks; i++) {
        own->last[i] = own->before[i] = -1;
    }
    return sm_weighting_refuse_negative_losses(weighting, config);
}

static void end_epoch(dwa_state *own, int count)
{
    for (int i = 0; i < count; i++) {
        if (own->steps[i] > 0) {
            own->before[i] = own->last[i];
            own->last[i] = own->sum[i] / own->steps[i];
        }
        own->sum[i] = own->steps[i] = 0;
    }
}

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    dwa_state *own = weighting->own;
    int count = weighting->count;
    if ((double)step->epoch != *own->epoch) {
        end_epoch(own, count);
        *own->epoch = (double)step->epoch;
    }
    for (int i = 0; i < count; i++) {
        double ratio = own->before[i] >= 0 ? own->last[i] / fmax(own->before[i], sm_least_loss) : 1;
        out->weight[i] = ratio / own->temperature;
    }
    sm_weighting_softmax(count, NULL, out->weight);
    for (int i = 0; i < count; i++) {
        out->weight[i] *= step->active[i] ? count : 0;
        if (step->active[i]) {
            out->total += out->weight[i] * step->loss[i];
            own->sum[i] += step->loss[i];
            own->steps[i]++;
        }
    }
}

const sm_weighting_kind sm_weighting_dwa = {
    .name = "dwa",
    .help = "by how mean losses fell from epoch to epoch (Liu, Johns, Davison 2019)",
    .keys = keys,
    .needs = SM_WEIGHTING_NEEDS_LOSSES,
    .make = make,
    .weigh = weigh,
};
