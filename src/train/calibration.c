#include <sigmatic/train/calibration.h>

#include <math.h>

const char *const sm_calibration_names[SM_CALIBRATION_NUMBERS] = {"loss", "sigma", "residual_scale", "ratio"};

double sm_calibration_number(const sm_calibration *c, int number)
{
    const double numbers[SM_CALIBRATION_NUMBERS] = {c->loss, c->sigma, c->residual_scale, c->ratio};
    return numbers[number];
}

static double log_variance_of(const sm_session *session, const float *parameters, int task)
{
    return parameters[session->parameters->parameters.items[session->log_variances[task]].offset];
}

void sm_calibrate(const sm_session *session, const float *parameters, const double *losses, sm_calibration *out)
{
    const float *evaluated = parameters ? parameters : session->values;
    for (int t = 0; t < session->task_count; t++) {
        const sm_weighted_task *task = &session->weighting->members[t].task;
        out[t] = (sm_calibration){losses[t], NAN, NAN, NAN};
        if (session->log_variances && !session->tasks[t]->is_heteroscedastic) {
            out[t].sigma = task->likelihood->sigma(log_variance_of(session, evaluated, t));
            out[t].residual_scale = task->likelihood->sigma(task->likelihood->minimiser(losses[t], task->shape));
            out[t].ratio = out[t].sigma / out[t].residual_scale;
        }
    }
}
