#include "weighting/log_variances.h"

#include <sigmatic/base/memory.h>

#include "weighting/groups.h"

#include <math.h>

static const char section[] = "weighting";

const sm_key sm_log_variances_keys[] = {
    {section, "learning_rate_scale", SM_KEY_REAL, "10", 0, INFINITY, NULL, NULL,
     "learning rate of the log-variances relative to the network's"},
    {section, "gradient_limit", SM_KEY_REAL, "1", 0, INFINITY, NULL, NULL,
     "limit of the gradient of each log-variance; 0 = none"},
    {section, "lower", SM_KEY_REAL, "-20", -80, 80, NULL, NULL, "least log-variance"},
    {section, "upper", SM_KEY_REAL, "20", -80, 80, NULL, NULL, "greatest log-variance"},
    {"task.NAME", "log_variance", SM_KEY_REAL, "0", -80, 80, NULL, NULL,
     "initial log sigma^2 of the task; of imtl_l, log of its scale"},
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
            char *task = sm_group_section(weighting, i);
            sm_status status =
                sm_config_fail(config, task, "log_variance", "expected a number in [%g, %g] (weighting.lower, upper)",
                               s->lower, s->upper);
            sm_free(task);
            return status;
        }
    }
    return SM_OK;
}

sm_status sm_log_variances_read(sm_weighting *weighting, const sm_config *config)
{
    sm_log_variances *s = weighting->log_variances = sm_alloc_zeroed(sizeof *s);
    s->initial = sm_weighting_task_reals(weighting, config, "log_variance");
    s->learning_rate_scale = sm_config_real(config, section, "learning_rate_scale");
    s->gradient_limit = sm_config_real(config, section, "gradient_limit");
    s->lower = sm_config_real(config, section, "lower");
    s->upper = sm_config_real(config, section, "upper");
    return check_bounds(weighting, config);
}

void sm_weighting_by_likelihoods(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    for (int i = 0; i < weighting->count; i++) {
        if (step->active[i]) {
            const sm_likelihood *likelihood = weighting->tasks[i].likelihood;
            int is_density = *likelihood->losses != '\0';
            double many = step->group_weight && is_density ? step->group_weight[i] : 1;
            double loss = step->loss[i] / many, s = step->log_variance[i];
            sm_loss_shape shape = weighting->tasks[i].shape;
            shape.dimensions = step->dimensions ? step->dimensions[i] : shape.dimensions;
            out->total += many * likelihood->term(loss, s, shape);
            out->weight[i] = likelihood->weight(s);
            out->slope[i] = many * likelihood->slope(loss, step->loss_slope[i] / many, s, shape);
        }
    }
}
