#include "train/prediction_mean.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <string.h>

/* A probability of 0 has no logarithm. */
static const float least_probability = 1e-30f;

int sm_prediction_components(const sm_task *task)
{
    return sm_task_is_regression(task) ? (int)(sm_task_item_bytes(task) / sizeof(float)) : task->channels;
}

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

void sm_prediction_mean_begin(sm_prediction_mean *m, const sm_task *task, size_t items)
{
    size_t count = items * (size_t)sm_prediction_components(task);
    m->task = task;
    m->items = items;
    m->runs = 0;
    m->mean = zeroed(m->mean, count, &m->mean_room);
    if (sm_task_is_regression(task)) {
        m->squares = zeroed(m->squares, count, &m->squares_room);
    } else {
        m->entropy = zeroed(m->entropy, items, &m->entropy_room);
    }
}

void sm_prediction_mean_free(sm_prediction_mean *m)
{
    sm_free(m->mean);
    sm_free(m->squares);
    sm_free(m->entropy);
}

/* ---- probabilities ----------------------------------------------------------------------------------------------- */

static double term(double probability)
{
    return probability > 0 ? -probability * log(probability) : 0;
}

static void softmax(int channels, const float *logits, double inverse_temperature, double *probability)
{
    double most = -INFINITY, sum = 0;
    for (int c = 0; c < channels; c++) {
        double scaled = logits[c] * inverse_temperature;
        most = scaled > most ? scaled : most;
    }
    for (int c = 0; c < channels; c++) {
        probability[c] = exp(logits[c] * inverse_temperature - most);
        sum += probability[c];
    }
    for (int c = 0; c < channels; c++) {
        probability[c] /= sum;
    }
}

static void probabilities(const sm_task *task, const float *logits, double inverse_temperature, double *probability)
{
    if (!sm_task_is_labelling(task)) {
        softmax(task->channels, logits, inverse_temperature, probability);
        return;
    }
    for (int c = 0; c < task->channels; c++) {
        probability[c] = 1 / (1 + exp(-logits[c] * inverse_temperature));
    }
}

static double entropy_of(const sm_task *task, const double *probability)
{
    double sum = 0;
    for (int c = 0; c < task->channels; c++) {
        sum += term(probability[c]) + (sm_task_is_labelling(task) ? term(1 - probability[c]) : 0);
    }
    return sum;
}

void sm_prediction_entropy(const sm_task *task, size_t items, const float *logits, double inverse_temperature,
                           float *entropy)
{
    double probability[SM_CLASSES_MAX];
    for (size_t i = 0; i < items; i++) {
        probabilities(task, logits + i * (size_t)task->channels, inverse_temperature, probability);
        entropy[i] = (float)entropy_of(task, probability);
    }
}

static void add_probabilities(sm_prediction_mean *m, const float *logits, double inverse_temperature)
{
    double probability[SM_CLASSES_MAX];
    size_t channels = (size_t)m->task->channels;
    for (size_t i = 0; i < m->items; i++) {
        float *mean = m->mean + i * channels;
        probabilities(m->task, logits + i * channels, inverse_temperature, probability);
        for (size_t c = 0; c < channels; c++) {
            mean[c] += ((float)probability[c] - mean[c]) / (float)m->runs;
        }
        m->entropy[i] += ((float)entropy_of(m->task, probability) - m->entropy[i]) / (float)m->runs;
    }
}

/* ---- real values ------------------------------------------------------------------------------------------------- */

/* Welford's running mean and squares. */
static void add_reals(sm_prediction_mean *m, const float *logits)
{
    size_t count = m->items * (size_t)sm_prediction_components(m->task);
    float *values = sm_alloc(count * sizeof *values);
    sm_task_decode(m->task, m->items, logits, values);
    for (size_t i = 0; i < count; i++) {
        float before = values[i] - m->mean[i];
        m->mean[i] += before / (float)m->runs;
        m->squares[i] += before * (values[i] - m->mean[i]);
    }
    sm_free(values);
}

void sm_prediction_mean_add(sm_prediction_mean *m, const float *logits, double inverse_temperature)
{
    m->runs++;
    if (sm_task_is_regression(m->task)) {
        add_reals(m, logits);
    } else {
        add_probabilities(m, logits, inverse_temperature);
    }
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static float logit_of(const sm_task *task, float probability)
{
    float no = sm_task_is_labelling(task) ? fmaxf(1 - probability, least_probability) : 1;
    return logf(fmaxf(probability, least_probability) / no);
}

static void end_probabilities(const sm_prediction_mean *m, float *logits, float *entropy, float *information)
{
    double probability[SM_CLASSES_MAX];
    size_t channels = (size_t)m->task->channels;
    for (size_t i = 0; i < m->items; i++) {
        for (size_t c = 0; c < channels; c++) {
            float mean = m->mean[i * channels + c];
            logits[i * channels + c] = logit_of(m->task, mean);
            probability[c] = mean;
        }
        if (entropy) {
            entropy[i] = (float)entropy_of(m->task, probability);
            information[i] = fmaxf(entropy[i] - m->entropy[i], 0); /* rounding */
        }
    }
}

void sm_prediction_mean_end(const sm_prediction_mean *m, float *logits, float *entropy, float *spread)
{
    size_t count = m->items * (size_t)sm_prediction_components(m->task);
    if (!sm_task_is_regression(m->task)) {
        end_probabilities(m, logits, entropy, spread);
        return;
    }
    for (size_t i = 0; spread && i < count; i++) {
        spread[i] = m->runs > 1 ? m->squares[i] / (float)(m->runs - 1) : 0;
    }
}
