/* The update that does most for the task it does least for, within a ball around the mean gradient g_0: Liu et al.,
 * "Conflict-Averse Gradient Descent for Multi-task Learning" (NeurIPS 2021), equations 3 and 4 and algorithm 1:
 *
 *     d = g_0 + c |g_0| g_w / |g_w|,   w = argmin g_w g_0 + c |g_0| |g_w|  over  w >= 0, sum w_k = 1,   g_w = sum w_k g_k
 *
 * For t > 0 the minimum over w of g_w g_0 + c |g_0| (|g_w|^2 / t + t) / 2 is a quadratic problem; the t of the least
 * minimum is |g_w|, and is found by bisection. It stays above a ten-thousandth of |g_0|: beyond, all gradients cancel,
 * and the coefficients would have no limit. No rescaling of d by 1 + c^2, which is an option of the authors' program.
 * Heads learn by their own losses, as there. */
#include "weighting/by_gradients.h"
#include "weighting/dense.h"

#include <sigmatic/base/memory.h>

#include <math.h>

static const sm_key keys[] = {
    {"weighting", "cagrad_c", SM_KEY_REAL, "0.4", 0, 1000, NULL, NULL,
     "cagrad: how far the update may be from the mean gradient, over that one's length"},
    {0},
};

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    double *c = weighting->own = sm_alloc(sizeof *c);
    *c = sm_config_real(config, "weighting", "cagrad_c");
    return SM_OK;
}

/* Everything in x_k = w_k |g_k|; lengths over the greatest |g_k|. */
typedef struct search {
    const sm_task_gram *gram;
    double radius;        /* c |g_0| */
    double *mean;         /* g_0 = sum mean_k g_k / |g_k| */
    double *linear, *per; /* room for the quadratic problem: b, and 1 / |g_k| */
} search;

/* \return |g_w| of the minimiser at t. \param [out] x  the minimiser */
static double minimise_at(const search *s, double t, double *x)
{
    int n = s->gram->count;
    for (int i = 0; i < n; i++) {
        s->linear[i] = 0;
        for (int j = 0; j < n; j++) {
            s->linear[i] += t / s->radius * s->gram->cosine[i * n + j] * s->mean[j];
        }
    }
    sm_dense_minimise(n, s->gram->cosine, s->linear, s->per, x);
    return sqrt(fmax(0, sm_dense_product(n, x, s->gram->cosine, x)));
}

/* |g_w| / t falls with t. \return the t at which it is 1. \param [out] x  its minimiser */
static double find(const search *s, double low, double high, double *x)
{
    enum { HALVINGS = 60 };
    if (minimise_at(s, low, x) <= low) {
        return low;
    }
    for (int i = 0; i < HALVINGS; i++) {
        double middle = sqrt(low * high);
        if (minimise_at(s, middle, x) > middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    minimise_at(s, high, x);
    return high;
}

static void choose(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram,
                   double *coefficient)
{
    const double least = 1e-4, rounding = 1e-7;
    int n = gram->count;
    double *room = sm_alloc_zeroed(4 * (size_t)n * sizeof *room), *x = room + 3 * n, t = 1;
    search s = {gram, 0, room, room + n, room + 2 * n};
    (void)step;
    for (int i = 0; i < n; i++) {
        s.mean[i] = gram->length[i] / n;
        s.per[i] = 1 / gram->length[i];
    }
    double length = sqrt(fmax(0, sm_dense_product(n, s.mean, gram->cosine, s.mean)));
    s.radius = *(const double *)weighting->own * length;
    if (length > rounding && s.radius > 0) {
        t = find(&s, least * length, 1, x);
    }
    for (int i = 0; i < n; i++) {
        coefficient[i] = 1.0 / n + s.radius / t * x[i] * s.per[i];
    }
    sm_free(room);
}

const sm_weighting_kind sm_weighting_cagrad = {
    .name = "cagrad",
    .help = "near the mean gradient, what helps the task that it helps least (Liu et al. 2021)",
    .keys = keys,
    .needs = SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS,
    .make = make,
    .weigh = sm_weigh_plainly,
    .choose = choose,
};
