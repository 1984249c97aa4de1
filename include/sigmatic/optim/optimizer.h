/** \file
 * Optimisers on flat arrays: SGD and AdamW as rows of a table, gradient norm and clipping, projection of parameters
 * on bounds.
 *
 * Nothing here knows names, shapes or ranks. Parameters, gradients and every state array have one layout; a slice
 * is a run of it. All arithmetic is in float, element by element: the result does not depend on the number of
 * threads, and (parameters, states, updates) are the whole state, so that a run continues bit for bit.
 * Non-finite numbers pass through, they are never hidden. */
#ifndef SIGMATIC_OPTIM_OPTIMIZER_H
#define SIGMATIC_OPTIM_OPTIMIZER_H

#include <sigmatic/base/status.h>
#include <sigmatic/io/config.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_OPTIMIZER_STATES_MAX = 2 };

/** A run of parameters that are updated alike. */
typedef struct sm_slice_update {
    size_t offset, count;      /**< in floats */
    float learning_rate_scale; /**< multiplies the learning rate; 1 for the network */
    int decay;                 /**< 1 = weight decay applies */
    int active; /**< 0 = neither parameters nor state nor step count are touched, and its gradients count for no norm */
} sm_slice_update;

typedef struct sm_optimizer sm_optimizer;

/** One row of the table of optimisers. */
typedef struct sm_optimizer_kind {
    const char *name; /**< "sgd", "adamw" */
    const char *help;
    int state_count; /**< state arrays, each as long as the parameters, zero before the first step */
    const char *state_names[SM_OPTIMIZER_STATES_MAX]; /**< "momentum"; "exp_avg", "exp_avg_sq" */
    /** Updates `count` parameters. \param step  updates of this slice including this one, from 1 */
    void (*step)(const sm_optimizer *optimizer, size_t count, int64_t step, float learning_rate, float weight_decay,
                 float gradient_scale, float *parameters, const float *gradients, float *const *state);
} sm_optimizer_kind;

/** All optimisers; ends with a NULL name. */
extern const sm_optimizer_kind sm_optimizer_kinds[];

/** As configured in section [optimizer]. */
struct sm_optimizer {
    const sm_optimizer_kind *kind;
    double learning_rate; /**< lr0, which the schedule changes */
    double momentum;      /**< sgd */
    int nesterov;         /**< sgd */
    double weight_decay;
    double beta1, beta2, epsilon; /**< adamw */
    double clip_norm;             /**< global L2 norm of the network's gradients is limited to this; 0 = not */
    double skip_backoff; /**< factor of the learning rate for each streak of skipped steps (trainer.h); 1 = none */
    int64_t skip_limit;  /**< steps skipped in a row that end the run */
    double ema_decay;    /**< decay of the average of the parameters (ema.h); 0 = none is kept */
};

/** Keys of section [optimizer]; ends with a NULL name. */
extern const sm_key sm_optimizer_keys[];

/** \param [out] out  freed with sm_optimizer_free(). \return SM_ERR_CONFIG naming the key and what is allowed */
sm_status sm_optimizer_new(const sm_config *config, sm_optimizer **out);
void sm_optimizer_free(sm_optimizer *optimizer);

/** One update of all active slices; with lr = learning_rate * slice's scale, g = gradient_scale * gradient,
 * wd = weight_decay or 0:
 *
 *  sgd (as PyTorch, dampening 0):  g += wd p;  m = momentum m + g;  p -= lr (nesterov ? g + momentum m : m)
 *  adamw (Loshchilov and Hutter, ICLR 2019, as PyTorch):  p *= 1 - lr wd;  m += (1 - beta1) (g - m);
 *    v = beta2 v + (1 - beta2) g g;  p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
 *    with t = steps of this slice
 *
 * Log-variances take no part in clipping: update them in a call of their own with gradient_scale 1, or limit and
 * scale their gradients before.
 *
 * \param [in]     slices          `slice_count`, not overlapping
 * \param [in]     gradient_scale  from sm_gradient_clip_scale(), or 1
 * \param [in,out] state           kind->state_count arrays in the layout of `parameters`
 * \param [in,out] updates         one count a slice, zero before the first step */
void sm_optimizer_step(const sm_optimizer *optimizer, const sm_slice_update *slices, int slice_count,
                       double learning_rate, double gradient_scale, float *parameters, const float *gradients,
                       float *const *state, int64_t *updates, int threads);

/** Flat arrays are cut into so many blocks of whole cache lines, some empty if the array is small. Who takes part in
 * an update takes a run of blocks: what the parts of a slice give does not depend on the cut. */
enum { SM_FLAT_BLOCKS = 1024 };

/** \return where a block of an array of `floats` floats begins; block = SM_FLAT_BLOCKS: `floats` */
size_t sm_flat_block_begin(size_t floats, int block);

/** squares[b] = sum of squares, in double, of the gradients of active slices in block b, for b in [first, last).
 *
 * \param floats  of the whole flat array
 * \param [out] squares  SM_FLAT_BLOCKS, of which only [first, last) are written
 * \return their sum; non-finite exactly if one of the gradients is */
double sm_gradient_squares(const sm_slice_update *slices, int slice_count, const float *gradients, size_t floats,
                           int first, int last, int threads, double *squares);

/** \return the L2 norm of the gradients whose squares these are: SM_FLAT_BLOCKS, added in their order. */
double sm_gradient_norm_of(const double *squares);

/** \return min(1, clip_norm / (norm + 1e-6)) as PyTorch's clip_grad_norm_; 1 if clip_norm is 0. */
double sm_gradient_clip_scale(double norm, double clip_norm);

/** Puts values back between the bounds; a value outside is set to the bound and its momentum to zero. NaN stays.
 * \param [in,out] momentum  the optimiser's first state in the layout of `parameters`, or NULL */
void sm_project(float *parameters, size_t count, double lower, double upper, float *momentum);

#ifdef __cplusplus
}
#endif
#endif
