/* The shortest convex combination of the tasks' gradients: with it all losses fall, or it is 0 and no direction lets
 * all fall (Pareto stationarity). Sener and Koltun, "Multi-Task Learning as Multi-Objective Optimization" (NeurIPS
 * 2018), equation 4:
 *
 *     alpha = argmin |sum_k alpha_k g_k / n_k|^2  over  alpha >= 0, sum alpha_k = 1
 *
 * and the update is sum_k alpha_k g_k. The paper has n_k = 1; its authors' program knows |g_k| (l2), L_k (loss) and
 * L_k |g_k| (loss+). The paper minimises by Frank and Wolfe's method, here it is done exactly. Heads learn by their own
 * losses (the paper's algorithm 2). */
#include "weighting/by_gradients.h"
#include "weighting/dense.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <string.h>

static const sm_key keys[] = {
    {"weighting", "mgda_normalisation", SM_KEY_CHOICE, "none", 0, 0, "none|l2|loss|loss+", NULL,
     "mgda: what each gradient is divided by before the shortest combination is sought: 1, its length, its loss, both"},
    {0},
};

typedef struct mgda {
    int by_length, by_loss;
} mgda;

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    const char *normalisation = sm_config_text_of(config, "weighting", "mgda_normalisation");
    mgda *own = weighting->own = sm_alloc_zeroed(sizeof *own);
    own->by_length = strcmp(normalisation, "l2") == 0 || strcmp(normalisation, "loss+") == 0;
    own->by_loss = strncmp(normalisation, "loss", 4) == 0;
    return own->by_loss ? sm_weighting_refuse_negative_losses(weighting, config) : SM_OK;
}

/* In x_k = alpha_k |g_k| / n_k the squared length is x'C x with the cosines C, whatever the scales of the gradients. */
static void choose(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram,
                   double *coefficient)
{
    const double least_loss = 1e-100;
    const mgda *own = weighting->own;
    int n = gram->count;
    double *per = sm_alloc((size_t)n * sizeof *per), *zero = sm_alloc_zeroed((size_t)n * sizeof *zero);
    for (int i = 0; i < n; i++) {
        per[i] = own->by_length ? 1 : 1 / gram->length[i];
        per[i] *= own->by_loss ? fmax(step->loss[gram->task[i]], least_loss) : 1;
    }
    sm_dense_minimise(n, gram->cosine, zero, per, coefficient);
    for (int i = 0; i < n; i++) {
        coefficient[i] *= per[i];
    }
    sm_free(per);
    sm_free(zero);
}

const sm_weighting_kind sm_weighting_mgda = {
    .name = "mgda",
    .help = "the shortest convex combination of the tasks' gradients (Sener and Koltun 2018)",
    .keys = keys,
    .needs = SM_WEIGHTING_NEEDS_SHARED_GRADIENTS,
    .make = make,
    .weigh = sm_weigh_plainly,
    .choose = choose,
};
