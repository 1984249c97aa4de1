/* total = sum of the tasks' negative log-likelihoods, each a term in its loss L_k and its learned log-variance s_k, as
 * exp(-s) L / 2 + s/2: Kendall, Gal, Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses" (CVPR 2018),
 * equations 5 to 10. The terms are a table of their own (likelihood.c). The s are parameters of the network. */
#include <sigmatic/base/memory.h>

#include "weighting/rows.h"

#include <math.h>
#include <string.h>

static const char section[] = "weighting";

static const sm_key keys[] = {
    {section, "learning_rate_scale", SM_KEY_REAL, "10", 0, INFINITY, NULL, NULL,
     "uncertainty: learning rate of the log-variances relative to the network's"},
    {section, "gradient_limit", SM_KEY_REAL, "1", 0, INFINITY, NULL, NULL,
     "uncertainty: limit of the gradient of each log-variance; 0 = none"},
    {section, "lower", SM_KEY_REAL, "-20", -80, 80, NULL, NULL, "uncertainty: least log-variance"},
    {section, "upper", SM_KEY_REAL, "20", -80, 80, NULL, NULL, "uncertainty: greatest log-variance"},
    {"task.NAME", "log_variance", SM_KEY_REAL, "0", -80, 80, NULL, NULL,
     "uncertainty: initial log sigma^2 of the task"},
    {0},
};

static sm_status check_bounds(const sm_weighting *weighting, const sm_config *config)
{
    const sm_log_variances *s = weighting->log_variances;
    if (s->lower >= s->upper) {
        return sm_config_fail(config, section, "upper", "expected more than lower = %g", s->lower);
    }
    for (int i = 0; i < weighting->count; i++) {
        if (s->initial[i] < s->lower || s->initial[i] > s->upper) {
            char *task = sm_format("task.%s", weighting->tasks[i].name);
            sm_status status =
                sm_config_fail(config, task, "log_variance", "expected a number in [%g, %g] (weighting.lower, upper)",
                               s->lower, s->upper);
            sm_free(task);
            return status;
        }
    }
    return SM_OK;
}

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    size_t bytes = (size_t)weighting->count * sizeof(double);
    double *initial = sm_weighting_task_reals(weighting, config, "log_variance");
    sm_log_variances *s = weighting->log_variances = sm_alloc(sizeof *s + bytes);
    s->learning_rate_scale = sm_config_real(config, section, "learning_rate_scale");
    s->gradient_limit = sm_config_real(config, section, "gradient_limit");
    s->lower = sm_config_real(config, section, "lower");
    s->upper = sm_config_real(config, section, "upper");
    memcpy(s->initial, initial, bytes);
    sm_free(initial);
    return check_bounds(weighting, config);
}

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    for (int i = 0; i < weighting->count; i++) {
        if (step->active[i]) {
            const sm_likelihood *likelihood = weighting->tasks[i].likelihood;
            double loss = step->loss[i], s = step->log_variance[i];
            int dimensions = weighting->tasks[i].dimensions;
            out->total += likelihood->term(loss, s, dimensions);
            out->weight[i] = likelihood->weight(s);
            out->slope[i] = likelihood->slope(loss, step->loss_slope[i], s, dimensions);
        }
    }
}

const sm_weighting_kind sm_weighting_uncertainty = {
    .name = "uncertainty",
    .help = "by learned log-variances (Kendall, Gal, Cipolla 2018)",
    .keys = keys,
    .make = make,
    .weigh = weigh,
};
