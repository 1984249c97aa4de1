/* The coefficients on which the tasks agree as players of Nash's bargaining game: Navon et al., "Multi-Task Learning as
 * a Bargaining Game" (ICML 2022), claim 3.1 and algorithm 1:
 *
 *     G alpha = 1 / alpha,  alpha > 0,   G_ij = g_i g_j
 *
 * and an update that is longer than nash_max_norm is shortened to it. Solved as the minimum of b'C b / 2 - sum log b_i
 * with b_i = alpha_i |g_i| and the cosines C, which is convex and self-concordant, by damped Newton steps; the authors
 * solve a series of convex approximations. There is no minimum where gradients cancel (Pareto stationarity): then, or if
 * some b_i would be above 1000, the last coefficients stay, as where the authors' solver fails. Between the steps
 * 1, 1 + nash_interval, ... they stay too: the solution is saved, not the gradients, by which the update is shortened in
 * every step (the authors' program takes none then, and shortens what one backward of the weighted sum gives). Heads learn by alpha_i L_i, as in the authors' program. */
#include "weighting/by_gradients.h"
#include "weighting/dense.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <string.h>

static const sm_key keys[] = {
    {"weighting", "nash_max_norm", SM_KEY_REAL, "1", 0, INFINITY, NULL, NULL,
     "nash_mtl: the gradient of what tasks share is shortened to this norm; 0 = never"},
    {"weighting", "nash_interval", SM_KEY_INTEGER, "1", 1, 1e9, NULL, "steps",
     "nash_mtl: between two solutions; the coefficients stay meanwhile, gradients are taken all the same"},
    {0},
};

typedef struct nash {
    double max_norm;
    double interval;
    double *alpha; /* a state: of the last step that found some */
    double *steps; /* a state, one number */
} nash;

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    nash *own = weighting->own = sm_alloc(sizeof *own);
    own->max_norm = sm_config_real(config, "weighting", "nash_max_norm");
    own->interval = (double)sm_config_integer(config, "weighting", "nash_interval");
    own->alpha = sm_weighting_add_state(weighting, "alpha", (size_t)weighting->count);
    own->steps = sm_weighting_add_state(weighting, "steps", 1);
    for (int i = 0; i < weighting->count; i++) {
        own->alpha[i] = 1;
    }
    return SM_OK;
}

/* One damped Newton step: to b (1 + d / (1 + decrement)), which stays positive; undamped at the end.
 * \return the decrement; NaN if there is no step */
static double step_once(int n, const double *cosine, double *b, double *hessian, double *direction)
{
    double decrement = 0;
    for (int i = 0; i < n; i++) {
        direction[i] = 1;
        for (int j = 0; j < n; j++) { /* in units of b_i, so that nothing depends on their sizes */
            hessian[i * n + j] = b[i] * cosine[i * n + j] * b[j];
            direction[i] -= hessian[i * n + j];
        }
        hessian[i * n + i] += 1;
    }
    double *right = memcpy(sm_alloc((size_t)n * sizeof *right), direction, (size_t)n * sizeof *right);
    int solved = sm_dense_solve(n, hessian, direction);
    for (int i = 0; i < n; i++) {
        decrement += right[i] * direction[i];
    }
    sm_free(right);
    decrement = solved ? sqrt(fmax(0, decrement)) : NAN;
    for (int i = 0; solved && i < n; i++) {
        b[i] *= 1 + direction[i] / (decrement < 0.25 ? 1 : 1 + decrement);
    }
    return decrement;
}

/* \return 0 if there is no b with (C b)_i = 1 / b_i below the limit */
static int bargain(int n, const double *cosine, double *b)
{
    enum { MOST_STEPS = 200 };
    const double most = 1000, done = 1e-12;
    double *room = sm_alloc((size_t)(n + 1) * (size_t)n * sizeof *room), decrement = 1, greatest = 1;
    for (int i = 0; i < n; i++) {
        b[i] = 1 / sqrt(n);
    }
    for (int step = 0; step < MOST_STEPS && decrement > done && greatest <= most; step++) {
        decrement = step_once(n, cosine, b, room, room + n * n);
        greatest = 0;
        for (int i = 0; i < n; i++) {
            greatest = fmax(greatest, b[i]);
        }
    }
    sm_free(room);
    return decrement <= done && greatest <= most;
}

static void solve(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram, double *coefficient)
{
    nash *own = weighting->own;
    int solved = bargain(gram->count, gram->cosine, coefficient);
    (void)step;
    for (int i = 0; solved && i < gram->count; i++) {
        own->alpha[gram->task[i]] = coefficient[i] / (gram->length[i] * gram->greatest);
    }
}

/* What sm_combine_gradients() would fill in is in the state. */
static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    nash *own = weighting->own;
    double *unused = sm_alloc_zeroed((size_t)weighting->count * sizeof *unused);
    if (fmod(*own->steps, own->interval) == 0) {
        sm_combine_gradients(weighting, step, solve, unused);
    }
    ++*own->steps;
    for (int i = 0; i < weighting->count; i++) {
        if (step->active[i]) {
            out->weight[i] = own->alpha[i];
            out->total += own->alpha[i] * step->loss[i];
        }
    }
    sm_free(unused);
}

static void shorten(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram,
                    double *coefficient)
{
    const nash *own = weighting->own;
    int n = gram->count;
    double *b = sm_alloc((size_t)n * sizeof *b);
    (void)step;
    for (int i = 0; i < n; i++) {
        b[i] = own->alpha[gram->task[i]] * gram->length[i];
    }
    double norm = gram->greatest * sqrt(fmax(0, sm_dense_product(n, b, gram->cosine, b)));
    double factor = own->max_norm > 0 && norm > own->max_norm ? own->max_norm / norm : 1;
    for (int i = 0; i < n; i++) {
        coefficient[i] = factor * own->alpha[gram->task[i]];
    }
    sm_free(b);
}

const sm_weighting_kind sm_weighting_nash_mtl = {
    .name = "nash_mtl",
    .help = "the coefficients of Nash's bargaining game (Navon et al. 2022)",
    .keys = keys,
    .needs = SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS,
    .make = make,
    .weigh = weigh,
    .choose = shorten,
};
