/* Losses of classes and labels whose logits are noisy: the mean of the probabilities over draws of the noise. */
#include "task/loss_item.h"
#include "task/softmax.h"

#include <sigmatic/base/random.h>

#include <math.h>

/* Box-Muller: a block of four uniform numbers makes four normal ones. */
void sm_item_noise(const sm_task *task, const sm_loss_place *place, size_t item, size_t count, float *noise)
{
    const float turn = 6.28318530717958647692f, unit = 1.0f / 16777216;
    uint64_t seed = place->seed ^ sm_hash(task->name);
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t counter[4] = {0, (uint32_t)(item % place->items), (uint32_t)(place->sample + item / place->items),
                           (uint32_t)place->step};
    for (size_t i = 0; i < count; i += 4, counter[0]++) {
        uint32_t block[4];
        sm_philox(key, counter, block);
        for (size_t k = 0; k < 4; k += 2) {
            float length = sqrtf(-2 * logf(((float)(block[k] >> 8) + 0.5f) * unit));
            float angle = turn * ((float)(block[k + 1] >> 8) * unit);
            noise[i + k] = length * cosf(angle);
            noise[i + k + 1] = length * sinf(angle);
        }
    }
}

/* Probabilities of one draw. \return the logarithm of the true class's */
static double draw_classes(int classes, const float *logits, float sigma, const float *noise, uint8_t truth,
                           float *probabilities)
{
    float z[SM_CLASSES_MAX], most = -INFINITY, sum = 0;
    for (int c = 0; c < classes; c++) {
        z[c] = logits[c] + sigma * noise[c];
        most = z[c] > most ? z[c] : most;
    }
    for (int c = 0; c < classes; c++) {
        z[c] -= most;
    }
    sm_exponentials((size_t)classes, z, probabilities);
    for (int c = 0; c < classes; c++) {
        sum += probabilities[c];
    }
    for (int c = 0; c < classes; c++) {
        probabilities[c] /= sum;
    }
    /* cppcheck-suppress invalidFunctionArg ; the likeliest class adds 1 */
    return (double)z[truth] - log((double)sum);
}

/* The loss of draws with these logarithms of the true probability, which become each draw's share in the gradient. */
static double join_draws(int draws, double *logs)
{
    double most, log_sum = sm_softmax(draws, logs, &most);
    return log(draws) - most - log_sum;
}

double sm_sampled_cross_entropy(int channels, int draws, const float *logits, double s, uint8_t truth,
                                const float *noise, double scale, float *grad, double *grad_s)
{
    float probabilities[SM_NOISE_DRAWS_MAX * SM_CLASSES_MAX], sigma = (float)exp(s / 2);
    double shares[SM_NOISE_DRAWS_MAX], along_noise = 0;
    for (int t = 0; t < draws; t++) {
        shares[t] = draw_classes(channels, logits, sigma, noise + t * channels, truth, probabilities + t * channels);
    }
    double loss = join_draws(draws, shares);
    for (int c = 0; grad && c < channels; c++) {
        double sum = 0;
        for (int t = 0; t < draws; t++) {
            double slope = shares[t] * ((double)probabilities[t * channels + c] - (c == truth));
            sum += slope;
            along_noise += slope * noise[t * channels + c];
        }
        grad[c] = (float)(scale * sum);
    }
    if (grad_s) {
        *grad_s = scale * along_noise * sigma / 2;
    }
    return loss;
}

/* \return the loss of one label; \param [out] slope  d loss / d logit \param [out] along_noise  d loss / d sigma */
static double label_loss(int channels, int draws, float logit, float sigma, int is_there, const float *noise,
                         double *slope, double *along_noise)
{
    double shares[SM_NOISE_DRAWS_MAX], slopes[SM_NOISE_DRAWS_MAX];
    for (int t = 0; t < draws; t++) {
        double z = (double)logit + (double)sigma * noise[t * channels], wrong = is_there ? -z : z;
        double exp_minus = exp(-fabs(wrong)), likely_wrong = (wrong > 0 ? 1 : exp_minus) / (1 + exp_minus);
        shares[t] = -((wrong > 0 ? wrong : 0) + log1p(exp_minus)); /* log of the probability of what is true */
        slopes[t] = is_there ? -likely_wrong : likely_wrong;
    }
    double loss = join_draws(draws, shares);
    *slope = *along_noise = 0;
    for (int t = 0; t < draws; t++) {
        *slope += shares[t] * slopes[t];
        *along_noise += shares[t] * slopes[t] * noise[t * channels];
    }
    return loss;
}

double sm_sampled_binary_cross_entropy(int channels, int draws, const float *logits, double s, const uint8_t *truth,
                                       const float *weights, const float *noise, double scale, float *grad,
                                       double *grad_s)
{
    float sigma = (float)exp(s / 2);
    double loss = 0, along_noise = 0;
    for (int c = 0; c < channels; c++) {
        double slope = 0, along = 0, weight = weights && truth[c] == 1 ? weights[c] : 1;
        if (truth[c] != SM_CLASS_IGNORED) {
            loss += weight * label_loss(channels, draws, logits[c], sigma, truth[c] == 1, noise + c, &slope, &along);
            along_noise += weight * along;
        }
        if (grad) {
            grad[c] = (float)(scale * weight * slope);
        }
    }
    if (grad_s) {
        *grad_s = scale * along_noise * sigma / 2;
    }
    return loss;
}
