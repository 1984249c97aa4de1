/* FAMO: Liu, Feng, Stone, Liu, "FAMO: Fast Adaptive Multitask Optimization" (NeurIPS 2023), algorithm 1. With logits w, of
 * the active tasks, z = softmax(w) and D_k = L_k + 1e-8:
 *
 *     weight_k = c z_k / D_k,   1/c = sum of z_j / D_j,   total = c sum of z_k log D_k   (c held constant)
 *
 * so that with equal logits each task's loss falls at the same relative rate. After the update, of the losses L' of the
 * same batch (a second forward), delta_k = log D_k - log D'_k says how much each fell, and Adam (beta 0.9, 0.999, epsilon
 * 1e-8) takes a step by the gradient of sum delta_k z_k in w, plus decay * w: who fell most loses weight. An inactive task
 * has no part in a step, and its logit and moments stay. Where an updated network's losses are not finite, all logits stay;
 * the next step meets such losses itself. */
#include "weighting/positive_losses.h"
#include "weighting/shares.h"

#include <sigmatic/base/memory.h>

#include <string.h>

static const sm_key keys[] = {
    {"weighting", "famo_learning_rate", SM_KEY_REAL, "0.025", 0, INFINITY, NULL, NULL,
     "famo: Adam's learning rate of the logits"},
    {"weighting", "famo_decay", SM_KEY_REAL, "0.001", 0, INFINITY, NULL, NULL,
     "famo: decay of the logits, added to their gradient"},
    {0},
};

/* Arrays have one number a task; the first four are states. */
typedef struct famo_state {
    double learning_rate, decay;
    double *logit, *moment, *square, *updates; /* w, Adam's moments, and how often each was updated */
    double share[];                            /* z of the step, then log D before its update */
} famo_state;

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    size_t tasks = (size_t)weighting->count;
    famo_state *own = weighting->own = sm_alloc_zeroed(sizeof *own + 2 * tasks * sizeof *own->share);
    own->learning_rate = sm_config_real(config, "weighting", "famo_learning_rate");
    own->decay = sm_config_real(config, "weighting", "famo_decay");
    own->logit = sm_weighting_add_state(weighting, "logit", tasks);
    own->moment = sm_weighting_add_state(weighting, "moment", tasks);
    own->square = sm_weighting_add_state(weighting, "square", tasks);
    own->updates = sm_weighting_add_state(weighting, "updates", tasks);
    return sm_weighting_refuse_negative_losses(weighting, config);
}

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    famo_state *own = weighting->own;
    int count = weighting->count;
    double *log_loss = own->share + count, inverses = 0, total = 0;
    memcpy(own->share, own->logit, (size_t)count * sizeof *own->share);
    sm_weighting_softmax(count, step->active, own->share);
    for (int i = 0; i < count; i++) {
        if (step->active[i]) {
            double loss = step->loss[i] + sm_least_loss;
            log_loss[i] = log(loss);
            out->weight[i] = own->share[i] / loss;
            inverses += out->weight[i];
            total += own->share[i] * log_loss[i];
        }
    }
    for (int i = 0; i < count; i++) {
        out->weight[i] = step->active[i] ? out->weight[i] / inverses : 0;
    }
    out->total = inverses > 0 ? total / inverses : 0;
}

static void update_logit(famo_state *own, int i, double gradient)
{
    const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    double updates = ++own->updates[i];
    gradient += own->decay * own->logit[i];
    own->moment[i] = beta1 * own->moment[i] + (1 - beta1) * gradient;
    own->square[i] = beta2 * own->square[i] + (1 - beta2) * gradient * gradient;
    double mean = own->moment[i] / (1 - pow(beta1, updates));
    double deviation = sqrt(own->square[i] / (1 - pow(beta2, updates)));
    own->logit[i] -= own->learning_rate * mean / (deviation + epsilon);
}

static double fall(const famo_state *own, const sm_weighting_step *step, int count, int i)
{
    return own->share[count + i] - log(step->loss[i] + sm_least_loss);
}

static void learn_from_update(sm_weighting *weighting, const sm_weighting_step *step)
{
    famo_state *own = weighting->own;
    int count = weighting->count;
    double mean = 0;
    for (int i = 0; i < count; i++) {
        mean += step->active[i] ? own->share[i] * fall(own, step, count, i) : 0;
    }
    for (int i = 0; i < count && isfinite(mean); i++) {
        if (step->active[i]) {
            update_logit(own, i, own->share[i] * (fall(own, step, count, i) - mean));
        }
    }
}

const sm_weighting_kind sm_weighting_famo = {
    .name = "famo",
    .help = "all losses at the same relative rate; a second forward in each step (Liu et al. 2023)",
    .keys = keys,
    .needs = SM_WEIGHTING_NEEDS_LOSSES,
    .make = make,
    .weigh = weigh,
    .learn_from_update = learn_from_update,
};
