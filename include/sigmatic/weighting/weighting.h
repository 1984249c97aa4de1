/** \file
 * How the losses of the tasks become one: likelihoods with learned log-variances (Kendall, Gal, Cipolla, CVPR 2018), and other weightings. Tables that others extend.
 *
 * Everything here is a function of the global losses, the same numbers on every rank: no communication. s = log sigma^2. */
#ifndef SIGMATIC_WEIGHTING_WEIGHTING_H
#define SIGMATIC_WEIGHTING_WEIGHTING_H

#include <sigmatic/base/status.h>
#include <sigmatic/io/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One row of the README's table: the objective term of a task as a function of its loss and its s.
 * L: the loss summed over D components, averaged over valid pixels. loss_slope: dL/ds at fixed logits (categorical_scaled only, else 0). */
typedef struct sm_likelihood {
    const char *name;    /**< "categorical", "categorical_scaled", "gaussian", "laplace", "paper_l1" */
    const char *losses;  /**< losses it fits: "cross_entropy", "l1", "l2" joined by | */
    const char *meaning; /**< what sigma is: "standard deviation", "Laplace scale b", "softmax temperature", ... */
    double (*term)(double loss, double s, int dimensions);
    double (*weight)(double s);                                                /**< d term / d L */
    double (*slope)(double loss, double loss_slope, double s, int dimensions); /**< d term / d s */
    double (*minimiser)(double loss,
                        int dimensions); /**< s where the slope vanishes at this L; NaN if there is no closed form */
    double (*sigma)(double s);           /**< what is reported: exp(s/2), ... */
    int scales_logits;                   /**< 1: the loss is taken of logits * exp(-s) */
} sm_likelihood;

extern const sm_likelihood sm_likelihoods[]; /**< ends with a NULL name */
const sm_likelihood *sm_likelihood_find(const char *name);

/** A task as the weighting sees it. */
typedef struct sm_weighted_task {
    char *name;
    const sm_likelihood *likelihood; /**< set whatever the weighting, for the logs */
    int dimensions;                  /**< D of a regression; 1 for cross-entropy */
    double fixed_weight;             /**< key `weight` */
    double initial_log_variance;     /**< key `log_variance` */
} sm_weighted_task;

typedef struct sm_weighting sm_weighting;

/** Result of one step, arrays of one entry a task. */
typedef struct sm_weights {
    double total;
    double *weight; /**< d total / d L; 0 for an inactive task */
    double *slope;  /**< d total / d s, before any limit; 0 where s is not learned or the task is inactive */
} sm_weights;

/** One row of the table of weightings. */
typedef struct sm_weighting_kind {
    const char *name; /**< "uncertainty", "equal", "fixed" */
    const char *help;
    int learns_log_variances; /**< s are parameters */
    int needs_losses;         /**< weights depend on this step's losses: refused with gradient accumulation */
    void (*weigh)(const sm_weighting *weighting, const double *loss, const double *loss_slope, const double *s,
                  const int *active, sm_weights *out);
} sm_weighting_kind;

extern const sm_weighting_kind sm_weighting_kinds[]; /**< ends with a NULL name */

/** As configured: section [weighting], and the keys likelihood, weight, log_variance of each [task.NAME]. */
struct sm_weighting {
    const sm_weighting_kind *kind;
    int count;
    sm_weighted_task *tasks;
    double learning_rate_scale; /**< of s, relative to the network's; default 10 */
    double gradient_limit;      /**< |d total/ds| is limited to this; 0 = none; default 1 */
    double lower, upper;        /**< projection of s; -20, 20 */
};

extern const sm_key sm_weighting_keys[];

/** \param loss_names  each task's loss ("cross_entropy", "l1", "l2"), which decides the default likelihood and which are allowed
 * \param dimensions  each task's D (ignored for cross_entropy: 1)
 * \return SM_ERR_CONFIG naming the key and what is allowed */
sm_status sm_weighting_new(const sm_config *config, int count, const char *const *names, const char *const *loss_names,
                           const int *dimensions, sm_weighting **out);
void sm_weighting_free(sm_weighting *weighting);

/** Computes total, weights and slopes of one step. An inactive task (no valid pixel in the global batch) adds nothing. */
void sm_weighting_weigh(const sm_weighting *weighting, const double *loss, const double *loss_slope, const double *s,
                        const int *active, sm_weights *out);

#ifdef __cplusplus
}
#endif
#endif
