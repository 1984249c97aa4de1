/* Losses of real values. */
#include "task/loss.h"

#include <sigmatic/base/clones.h>

#include <math.h>

static sm_loss_sums l1_forward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const float *target = maps->target;
    size_t channels = (size_t)maps->channels;
    double sum = 0;
    for (size_t i = begin * channels; i < end * channels; i++) {
        sum += isnan(target[i]) ? 0.0 : fabs((double)maps->logits[i] - target[i]);
    }
    return (sm_loss_sums){sum, 0};
}

static SM_CLONES(void, l1_gradient,
                 (size_t count, const float *restrict logits, const float *restrict target, float scale,
                  float *restrict grad),
                 (count, logits, target, scale, grad))
{
    for (size_t i = 0; i < count; i++) {
        float difference = logits[i] - target[i];
        float sign = difference > 0 ? 1.0f : difference < 0 ? -1.0f : difference; /* 0, or NaN from the logits */
        grad[i] = isnan(target[i]) ? 0.0f : scale * sign;
    }
}

static void l1_backward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    size_t first = begin * (size_t)maps->channels, count = (end - begin) * (size_t)maps->channels;
    l1_gradient(count, maps->logits + first, (const float *)maps->target + first, maps->scale,
                maps->grad_logits + first);
}

const sm_loss sm_loss_l1 = {"l1", l1_forward, l1_backward};

static sm_loss_sums l2_forward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const float *target = maps->target;
    size_t channels = (size_t)maps->channels;
    double sum = 0;
    for (size_t i = begin * channels; i < end * channels; i++) {
        double difference = (double)maps->logits[i] - target[i];
        sum += isnan(target[i]) ? 0.0 : difference * difference;
    }
    return (sm_loss_sums){sum, 0};
}

static SM_CLONES(void, l2_gradient,
                 (size_t count, const float *restrict logits, const float *restrict target, float scale,
                  float *restrict grad),
                 (count, logits, target, scale, grad))
{
    for (size_t i = 0; i < count; i++) {
        grad[i] = isnan(target[i]) ? 0.0f : 2 * scale * (logits[i] - target[i]);
    }
}

static void l2_backward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    size_t first = begin * (size_t)maps->channels, count = (end - begin) * (size_t)maps->channels;
    l2_gradient(count, maps->logits + first, (const float *)maps->target + first, maps->scale,
                maps->grad_logits + first);
}

const sm_loss sm_loss_l2 = {"l2", l2_forward, l2_backward};

static sm_loss_sums huber_forward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const float *target = maps->target;
    size_t channels = (size_t)maps->channels;
    double sum = 0, delta = maps->delta;
    for (size_t i = begin * channels; i < end * channels; i++) {
        double distance = fabs((double)maps->logits[i] - target[i]);
        double loss = distance > delta ? delta * (distance - delta / 2) : distance * distance / 2;
        sum += isnan(target[i]) ? 0.0 : loss;
    }
    return (sm_loss_sums){sum, 0};
}

static SM_CLONES(void, huber_gradient,
                 (size_t count, const float *restrict logits, const float *restrict target, float delta, float scale,
                  float *restrict grad),
                 (count, logits, target, delta, scale, grad))
{
    for (size_t i = 0; i < count; i++) {
        float difference = logits[i] - target[i];
        float limited = difference > delta ? delta : difference < -delta ? -delta : difference;
        grad[i] = isnan(target[i]) ? 0.0f : scale * limited;
    }
}

static void huber_backward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    size_t first = begin * (size_t)maps->channels, count = (end - begin) * (size_t)maps->channels;
    huber_gradient(count, maps->logits + first, (const float *)maps->target + first, maps->delta, maps->scale,
                   maps->grad_logits + first);
}

const sm_loss sm_loss_huber = {"huber", huber_forward, huber_backward};

/* ---- directions -------------------------------------------------------------------------------------------------- */

/* A shorter prediction has no direction to speak of: it is divided by this, so that gradients stay bounded. */
static const double least_length = 1e-3;

/* \return the cosine of a prediction and a true direction. \param [out] length  that the prediction is divided by
 * \param [out] is_short  the length is a constant */
static double cosine_of(int channels, const float *x, const float *truth, double *length, double *truth_length,
                        int *is_short)
{
    double dot = 0, squares = 0, truth_squares = 0;
    for (int c = 0; c < channels; c++) {
        dot += (double)x[c] * truth[c];
        squares += (double)x[c] * x[c];
        truth_squares += (double)truth[c] * truth[c];
    }
    *is_short = sqrt(squares) < least_length;
    *length = *is_short ? least_length : sqrt(squares);
    *truth_length = fmax(sqrt(truth_squares), least_length);
    return dot / (*length * *truth_length);
}

static sm_loss_sums cosine_forward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const float *target = maps->target;
    size_t channels = (size_t)maps->channels;
    double sum = 0, length, truth_length;
    int is_short;
    for (size_t i = begin; i < end; i++) {
        const float *truth = target + i * channels;
        if (!isnan(truth[0])) {
            sum += 1 - cosine_of(maps->channels, maps->logits + i * channels, truth, &length, &truth_length, &is_short);
        }
    }
    return (sm_loss_sums){sum, 0};
}

/* d cos / dx = (t - cos x/|x|) / |x| of a unit vector t */
static void cosine_backward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const float *target = maps->target;
    size_t channels = (size_t)maps->channels;
    double length, truth_length;
    int is_short;
    for (size_t i = begin; i < end; i++) {
        const float *truth = target + i * channels, *x = maps->logits + i * channels;
        float *grad = maps->grad_logits + i * channels;
        int is_valid = !isnan(truth[0]);
        double cosine = cosine_of(maps->channels, x, truth, &length, &truth_length, &is_short);
        for (size_t c = 0; c < channels; c++) {
            double along = is_short ? 0 : cosine * x[c] / length;
            grad[c] = is_valid ? (float)(maps->scale * (along - truth[c] / truth_length) / length) : 0;
        }
    }
}

const sm_loss sm_loss_cosine = {"cosine", cosine_forward, cosine_backward};
