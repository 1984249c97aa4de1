#include "train/prediction_mean.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <string.h>

/* \return `room` floats or more, all zero in the first `count` */
static float *zeroed(float *floats, size_t count, size_t *room)
{
    if (count > *room) {
        sm_free(floats);
        floats = sm_alloc(count * sizeof *floats);
        *room = count;
    }
    memset(floats, 0, count * sizeof *floats);
    return floats;
}

void sm_prediction_mean_begin(sm_prediction_mean *m, const sm_task *task, size_t items, int has_spread)
{
    size_t count = items * (size_t)task->channels;
    m->task = task;
    m->items = items;
    m->has_spread = has_spread;
    m->runs = 0;
    m->mean = zeroed(m->mean, count, &m->mean_room);
    if (has_spread && sm_task_is_regression(task)) {
        m->squares = zeroed(m->squares, count, &m->squares_room);
    } else if (has_spread) {
        m->entropy = zeroed(m->entropy, items, &m->entropy_room);
    }
}

void sm_prediction_mean_free(sm_prediction_mean *m)
{
    sm_free(m->mean);
    sm_free(m->squares);
    sm_free(m->entropy);
}

/* ---- entropy ----------------------------------------------------------------------------------------------------- */

static double term(double probability)
{
    return probability > 0 ? -probability * log(probability) : probability * 0; /* NaN stays */
}

static double entropy_of(const sm_task *task, const float *probability)
{
    double sum = 0;
    for (int c = 0; c < task->channels; c++) {
        double one = probability[c];
        sum += term(one) + (sm_task_is_labelling(task) ? term(1 - one) : 0);
    }
    return sum;
}

void sm_prediction_entropy(const sm_task *task, size_t items, const float *probabilities, float *entropy)
{
    for (size_t i = 0; i < items; i++) {
        entropy[i] = (float)entropy_of(task, probabilities + i * (size_t)task->channels);
    }
}

/* ---- adding ------------------------------------------------------------------------------------------------------ */

/* Welford's running mean and squares: what all runs agree on keeps its bits. */
void sm_prediction_mean_add(sm_prediction_mean *m, int run, size_t first, size_t items, const float *values)
{
    size_t channels = (size_t)m->task->channels;
    float *mean = m->mean + first * channels, count = (float)(run + 1);
    int is_real = sm_task_is_regression(m->task);
    for (size_t i = 0; i < items * channels; i++) {
        float before = values[i] - mean[i];
        mean[i] += before / count;
        if (m->has_spread && is_real) {
            m->squares[first * channels + i] += before * (values[i] - mean[i]);
        }
    }
    for (size_t i = 0; m->has_spread && !is_real && i < items; i++) {
        float *entropy = m->entropy + first + i;
        *entropy += ((float)entropy_of(m->task, values + i * channels) - *entropy) / count;
    }
    m->runs = run + 1 > m->runs ? run + 1 : m->runs;
}

void sm_prediction_mean_spread(const sm_prediction_mean *m, float *spread)
{
    size_t channels = (size_t)m->task->channels;
    if (sm_task_is_regression(m->task)) {
        for (size_t i = 0; i < m->items * channels; i++) {
            spread[i] = m->runs > 1 ? m->squares[i] / (float)(m->runs - 1) : 0;
        }
        return;
    }
    for (size_t i = 0; i < m->items; i++) {
        float information = (float)entropy_of(m->task, m->mean + i * channels) - m->entropy[i];
        spread[i] = information < 0 ? 0 : information; /* rounding; NaN stays */
    }
}
