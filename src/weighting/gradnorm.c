/* Weights under which the tasks' gradients have the lengths that their rates of learning ask for: Chen et al.,
 * "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks" (ICML 2018), equations 1, 2
 * and algorithm 1. total = sum of w_i L_i, G_i = w_i |g_i|, and w is moved against the gradient of
 *
 *     sum |G_i - m r_i^alpha|,   m = mean of G,   r_i = (L_i / L_i(0)) / mean of (L_j / L_j(0))
 *
 * in which m r_i^alpha counts as constant. As in LibMTL, w = K softmax(z), so that it stays positive with the sum K, and
 * what moves is z: here by plain gradient descent with a rate of its own, and over m, so that the scale of the gradients
 * does not matter. L_i(0) is the task's first loss. An inactive task has no part in the means. Heads learn by w_i, as in
 * the paper. */
#include "weighting/by_gradients.h"

#include <sigmatic/base/memory.h>

#include <math.h>

static const sm_key keys[] = {
    {"weighting", "gradnorm_alpha", SM_KEY_REAL, "1.5", 0, 100, NULL, NULL,
     "gradnorm: how strongly tasks that learn slowly are preferred; 0 = all gradients as long"},
    {"weighting", "gradnorm_learning_rate", SM_KEY_REAL, "0.025", 0, INFINITY, NULL, NULL,
     "gradnorm: learning rate of the weights"},
    {0},
};

typedef struct gradnorm {
    double alpha, learning_rate;
    double *logit, *first_loss; /* states: z; L(0), 0 before there is one */
} gradnorm;

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    gradnorm *own = weighting->own = sm_alloc(sizeof *own);
    own->alpha = sm_config_real(config, "weighting", "gradnorm_alpha");
    own->learning_rate = sm_config_real(config, "weighting", "gradnorm_learning_rate");
    own->logit = sm_weighting_add_state(weighting, "logit", (size_t)weighting->count);
    own->first_loss = sm_weighting_add_state(weighting, "first_loss", (size_t)weighting->count);
    return sm_weighting_refuse_negative_losses(weighting, config);
}

/* K softmax(z), of which no z is subtracted: only their differences move, each by less than the learning rate a step. */
static void find_weights(const sm_weighting *weighting, double *weight)
{
    const gradnorm *own = weighting->own;
    double greatest = -INFINITY, sum = 0;
    for (int i = 0; i < weighting->count; i++) {
        greatest = fmax(greatest, own->logit[i]);
    }
    for (int i = 0; i < weighting->count; i++) {
        weight[i] = exp(own->logit[i] - greatest);
        sum += weight[i];
    }
    for (int i = 0; i < weighting->count; i++) {
        weight[i] *= weighting->count / sum;
    }
}

/* \return the sum of the ratios of the tasks that take part. \param [out] ratio  L_i / L_i(0), n */
static double find_ratios(const gradnorm *own, const sm_weighting_step *step, const sm_task_gram *gram, double *ratio)
{
    double sum = 0;
    for (int i = 0; i < gram->count; i++) {
        int task = gram->task[i];
        ratio[i] = own->first_loss[task] > 0 ? step->loss[task] / own->first_loss[task] : 1;
        sum += ratio[i];
    }
    return sum;
}

/* z moves by d/dz_j of the sum over m: w_j (s_j |g_j| - mean over K of s_i |g_i| w_i) / m with s_i the sign of G_i - m r_i^alpha. */
static void move(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram, double *coefficient)
{
    gradnorm *own = weighting->own;
    int n = gram->count, k = weighting->count;
    double *weight = sm_alloc((size_t)k * sizeof *weight), *slope = sm_alloc_zeroed((size_t)k * sizeof *slope);
    double *ratio = sm_alloc((size_t)n * sizeof *ratio), sum = find_ratios(own, step, gram, ratio), mean = 0, inner = 0;
    find_weights(weighting, weight);
    for (int i = 0; i < n; i++) {
        coefficient[i] = weight[gram->task[i]];
        mean += coefficient[i] * gram->length[i] / n;
    }
    for (int i = 0; i < n; i++) {
        double length = weight[gram->task[i]] * gram->length[i], relative = sum > 0 ? ratio[i] * n / sum : 1;
        double wanted = mean * pow(relative, own->alpha);
        slope[gram->task[i]] = ((length > wanted) - (length < wanted)) * gram->length[i] / mean;
        inner += slope[gram->task[i]] * weight[gram->task[i]] / k;
    }
    for (int j = 0; j < k; j++) {
        own->logit[j] -= own->learning_rate * weight[j] * (slope[j] - inner);
    }
    sm_free(weight);
    sm_free(slope);
    sm_free(ratio);
}

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    gradnorm *own = weighting->own;
    double *coefficient = sm_alloc_zeroed((size_t)weighting->count * sizeof *coefficient);
    find_weights(weighting, out->weight);
    for (int i = 0; i < weighting->count; i++) {
        out->weight[i] = step->active[i] ? out->weight[i] : 0;
        out->total += step->active[i] ? out->weight[i] * step->loss[i] : 0;
        if (step->active[i] && own->first_loss[i] == 0) {
            own->first_loss[i] = step->loss[i];
        }
    }
    sm_combine_gradients(weighting, step, move, coefficient);
    for (int i = 0; i < weighting->count; i++) {
        out->weight[i] = isfinite(coefficient[i]) ? out->weight[i] : coefficient[i];
    }
    sm_free(coefficient);
}

const sm_weighting_kind sm_weighting_gradnorm = {
    .name = "gradnorm",
    .help = "weights that give each task's gradient the length its rate of learning asks for (Chen et al. 2018)",
    .keys = keys,
    .needs = SM_WEIGHTING_NEEDS_SHARED_GRADIENTS,
    .make = make,
    .weigh = weigh,
};
