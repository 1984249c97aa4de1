#include <sigmatic/optim/optimizer.h>

#include <sigmatic/base/clones.h>
#include <sigmatic/base/memory.h>

#include <assert.h>
#include <math.h>

const sm_key sm_optimizer_keys[] = {
    {"optimizer", "kind", SM_KEY_CHOICE, "sgd", 0, 0, "sgd|adamw", NULL, "how a gradient becomes an update"},
    {"optimizer", "learning_rate", SM_KEY_REAL, "0.0025", 0, INFINITY, NULL, NULL,
     "learning rate of the network before schedule and warm-up"},
    {"optimizer", "momentum", SM_KEY_REAL, "0.9", 0, 1, NULL, NULL, "sgd: share of the last update that is kept"},
    {"optimizer", "nesterov", SM_KEY_BOOL, "true", 0, 0, NULL, NULL, "sgd: Nesterov's form of momentum"},
    {"optimizer", "weight_decay", SM_KEY_REAL, "0.0001", 0, INFINITY, NULL, NULL,
     "pull of conv and linear weights to zero: sgd adds it to the gradient, adamw shrinks the weights"},
    {"optimizer", "beta1", SM_KEY_REAL, "0.9", 0, 1, NULL, NULL, "adamw: decay of the mean gradient"},
    {"optimizer", "beta2", SM_KEY_REAL, "0.999", 0, 1, NULL, NULL, "adamw: decay of the mean squared gradient"},
    {"optimizer", "epsilon", SM_KEY_REAL, "1e-8", 0, 1, NULL, NULL, "adamw: added to the root of the mean square"},
    {"optimizer", "clip_norm", SM_KEY_REAL, "0", 0, INFINITY, NULL, NULL,
     "limit of the global L2 norm of the network's gradients; 0 = none"},
    {"optimizer", "ema_decay", SM_KEY_REAL, "0", 0, 1, NULL, NULL,
     "decay of the average of the parameters that is evaluated instead of them; 0 = none is kept"},
    {"optimizer", "skip_backoff", SM_KEY_REAL, "1", 1e-6, 1, NULL, NULL,
     "factor of the learning rate from each streak of steps on that were skipped for numbers that are not finite, "
     "until "
     "1000 steps later"},
    {"optimizer", "skip_limit", SM_KEY_INTEGER, "100", 1, 1e9, NULL, "steps",
     "skipped in a row for numbers that are not finite end the run"},
    {0},
};

/* In floats: what threads and blocks are cut by. */
enum { GRAIN = 64, LANES = 16 };

static SM_CLONES(void, sgd_loop,
                 (size_t count, float learning_rate, float momentum, float weight_decay, float gradient_scale,
                  int nesterov, float *restrict parameters, const float *restrict gradients, float *restrict velocity),
                 (count, learning_rate, momentum, weight_decay, gradient_scale, nesterov, parameters, gradients,
                  velocity))
{
    float direct = nesterov ? 1.0f : 0.0f;
    float carried = nesterov ? momentum : 1.0f;
    for (size_t i = 0; i < count; i++) {
        float gradient = gradient_scale * gradients[i] + weight_decay * parameters[i];
        velocity[i] = momentum * velocity[i] + gradient;
        parameters[i] -= learning_rate * (direct * gradient + carried * velocity[i]);
    }
}

static void sgd_step(const sm_optimizer *optimizer, size_t count, int64_t step, float learning_rate, float weight_decay,
                     float gradient_scale, float *parameters, const float *gradients, float *const *state)
{
    (void)step; /* a zero momentum makes the first step the gradient itself */
    sgd_loop(count, learning_rate, (float)optimizer->momentum, weight_decay, gradient_scale, optimizer->nesterov,
             parameters, gradients, state[0]);
}

typedef struct adamw_constants {
    float shrink, gradient_scale, beta1_rest, beta2, beta2_rest, step_size, root_scale, epsilon;
} adamw_constants;

static SM_CLONES(void, adamw_loop,
                 (size_t count, const adamw_constants *constants, float *restrict parameters,
                  const float *restrict gradients, float *restrict mean, float *restrict square),
                 (count, constants, parameters, gradients, mean, square))
{
    const adamw_constants c = *constants;
    for (size_t i = 0; i < count; i++) {
        float gradient = c.gradient_scale * gradients[i];
        mean[i] += c.beta1_rest * (gradient - mean[i]);
        square[i] = c.beta2 * square[i] + c.beta2_rest * gradient * gradient;
        float denominator = sqrtf(square[i]) * c.root_scale + c.epsilon;
        parameters[i] = c.shrink * parameters[i] - c.step_size * mean[i] / denominator;
    }
}

static void adamw_step(const sm_optimizer *optimizer, size_t count, int64_t step, float learning_rate,
                       float weight_decay, float gradient_scale, float *parameters, const float *gradients,
                       float *const *state)
{
    double correction1 = 1 - pow(optimizer->beta1, (double)step);
    double correction2 = 1 - pow(optimizer->beta2, (double)step);
    adamw_constants constants = {
        .shrink = (float)(1 - (double)learning_rate * weight_decay),
        .gradient_scale = gradient_scale,
        .beta1_rest = (float)(1 - optimizer->beta1),
        .beta2 = (float)optimizer->beta2,
        .beta2_rest = (float)(1 - optimizer->beta2),
        .step_size = (float)(learning_rate / correction1),
        .root_scale = (float)(1 / sqrt(correction2)),
        .epsilon = (float)optimizer->epsilon,
    };
    adamw_loop(count, &constants, parameters, gradients, state[0], state[1]);
}

const sm_optimizer_kind sm_optimizer_kinds[] = {
    {"sgd", "stochastic gradient descent with (Nesterov) momentum", 1, {"momentum"}, sgd_step},
    {"adamw", "Adam with decoupled weight decay", 2, {"exp_avg", "exp_avg_sq"}, adamw_step},
    {0},
};

sm_status sm_optimizer_new(const sm_config *config, sm_optimizer **out)
{
    static const char section[] = "optimizer";
    static const char *const below_one[] = {"momentum", "beta1", "beta2", "ema_decay"};
    *out = NULL;
    for (size_t i = 0; i < sizeof below_one / sizeof *below_one; i++) {
        if (sm_config_real(config, section, below_one[i]) >= 1) {
            return sm_config_fail(config, section, below_one[i], "expected a number in [0, 1)");
        }
    }
    sm_optimizer *optimizer = sm_alloc_zeroed(sizeof *optimizer);
    *optimizer = (sm_optimizer){
        .kind = &sm_optimizer_kinds[sm_config_choice(config, section, "kind")],
        .learning_rate = sm_config_real(config, section, "learning_rate"),
        .momentum = sm_config_real(config, section, "momentum"),
        .nesterov = sm_config_bool(config, section, "nesterov"),
        .weight_decay = sm_config_real(config, section, "weight_decay"),
        .beta1 = sm_config_real(config, section, "beta1"),
        .beta2 = sm_config_real(config, section, "beta2"),
        .epsilon = sm_config_real(config, section, "epsilon"),
        .clip_norm = sm_config_real(config, section, "clip_norm"),
        .ema_decay = sm_config_real(config, section, "ema_decay"),
        .skip_backoff = sm_config_real(config, section, "skip_backoff"),
        .skip_limit = sm_config_integer(config, section, "skip_limit"),
    };
    *out = optimizer;
    return SM_OK;
}

void sm_optimizer_free(sm_optimizer *optimizer)
{
    sm_free(optimizer);
}

/* \return where part `part` of `parts` of `count` elements begins: a multiple of GRAIN, so that vector tails fall
 * alike. */
static size_t part_begin(size_t count, size_t part, size_t parts)
{
    size_t begin = sm_round_up(count * part / parts, GRAIN);
    return part == parts || begin > count ? count : begin;
}

static void step_part(const sm_optimizer *optimizer, const sm_slice_update *slice, double learning_rate,
                      double gradient_scale, float *parameters, const float *gradients, float *const *state,
                      int64_t step, size_t part, size_t parts)
{
    size_t begin = part_begin(slice->count, part, parts);
    size_t end = part_begin(slice->count, part + 1, parts);
    size_t offset = slice->offset + begin;
    float *state_part[SM_OPTIMIZER_STATES_MAX] = {NULL};
    for (int i = 0; i < optimizer->kind->state_count; i++) {
        state_part[i] = state[i] + offset;
    }
    if (begin < end) {
        optimizer->kind->step(optimizer, end - begin, step, (float)(learning_rate * slice->learning_rate_scale),
                              slice->decay ? (float)optimizer->weight_decay : 0.0f, (float)gradient_scale,
                              parameters + offset, gradients + offset, state_part);
    }
}

void sm_optimizer_step(const sm_optimizer *optimizer, const sm_slice_update *slices, int slice_count,
                       double learning_rate, double gradient_scale, float *parameters, const float *gradients,
                       float *const *state, int64_t *updates, int threads)
{
    assert(threads >= 1);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int part = 0; part < threads; part++) {
        for (int i = 0; i < slice_count; i++) {
            if (slices[i].active) {
                step_part(optimizer, &slices[i], learning_rate, gradient_scale, parameters, gradients, state,
                          updates[i] + 1, (size_t)part, (size_t)threads);
            }
        }
    }
    for (int i = 0; i < slice_count; i++) {
        updates[i] += slices[i].active != 0;
    }
}

/* Squares of floats are exact in double, so every instruction set gives the same sum. */
static SM_CLONES(double, sum_of_squares, (size_t count, const float *values), (count, values))
{
    double lane[LANES] = {0};
    size_t whole = count / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            lane[k] += (double)values[i + k] * values[i + k];
        }
    }
    for (size_t i = whole; i < count; i++) {
        lane[i - whole] += (double)values[i] * values[i];
    }
    double sum = 0;
    for (size_t k = 0; k < LANES; k++) {
        sum += lane[k];
    }
    return sum;
}

size_t sm_flat_block_begin(size_t floats, int block)
{
    return part_begin(floats, (size_t)block, SM_FLAT_BLOCKS);
}

static double squares_between(const sm_slice_update *slices, int slice_count, const float *gradients, size_t begin,
                              size_t end)
{
    double sum = 0;
    for (int i = 0; i < slice_count; i++) {
        size_t first = slices[i].offset, last = first + slices[i].count;
        first = first > begin ? first : begin;
        last = last < end ? last : end;
        if (slices[i].active && first < last) {
            sum += sum_of_squares(last - first, gradients + first);
        }
    }
    return sum;
}

double sm_gradient_squares(const sm_slice_update *slices, int slice_count, const float *gradients, size_t floats,
                           int first, int last, int threads, double *squares)
{
    assert(threads >= 1);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int b = first; b < last; b++) {
        squares[b] = squares_between(slices, slice_count, gradients, sm_flat_block_begin(floats, b),
                                     sm_flat_block_begin(floats, b + 1));
    }
    double sum = 0;
    for (int b = first; b < last; b++) {
        sum += squares[b];
    }
    return sum;
}

double sm_gradient_norm_of(const double *squares)
{
    double sum = 0;
    for (int b = 0; b < SM_FLAT_BLOCKS; b++) {
        sum += squares[b];
    }
    return sqrt(sum);
}

double sm_gradient_clip_scale(double norm, double clip_norm)
{
    if (clip_norm <= 0 || norm + 1e-6 <= clip_norm) {
        return 1;
    }
    return clip_norm / (norm + 1e-6);
}

void sm_project(float *parameters, size_t count, double lower, double upper, float *momentum)
{
    for (size_t i = 0; i < count; i++) {
        int outside = parameters[i] < lower || parameters[i] > upper;
        if (outside) {
            parameters[i] = (float)(parameters[i] < lower ? lower : upper);
        }
        if (outside && momentum) {
            momentum[i] = 0;
        }
    }
}
