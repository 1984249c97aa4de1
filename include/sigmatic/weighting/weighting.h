/** \file
 * How the losses of the tasks become one: a table of weightings, a file each (src/weighting/), that others extend.
 *
 * A weighting sees numbers that are the same on every rank: global losses and, if it asks for them, dot products of the
 * tasks' gradients. Nothing here communicates.
 *
 * What is weighed are groups of tasks (keys `group` and `group_weight` of [task.NAME]); without the keys each task is one.
 * Over the active tasks i of a group g, with w_i = group_weight:
 *
 *     L_g = sum w_i L_i,   G_gh = sum w_i w_j g_i g_j,   weight_i = w_i weight_g,   coefficient_i = w_i coefficient_g
 *
 * A group is active if one of its tasks is. A row of the table knows nothing of this: to it a group is a task. */
#ifndef SIGMATIC_WEIGHTING_WEIGHTING_H
#define SIGMATIC_WEIGHTING_WEIGHTING_H

#include <sigmatic/base/status.h>
#include <sigmatic/io/config.h>
#include <sigmatic/weighting/likelihood.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What has to be known before a step's weights are: each row of it includes those before. */
typedef enum sm_weighting_needs {
    SM_WEIGHTING_NEEDS_NOTHING, /**< weights do not depend on the step: its micro-batches may go backward one by one */
    SM_WEIGHTING_NEEDS_LOSSES,
    SM_WEIGHTING_NEEDS_SHARED_GRADIENTS, /**< of each task's loss in the shared representation: heads go backward alone */
    SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS /**< of each task's loss in the shared parameters: K passes backward */
} sm_weighting_needs;

/** What a step tells its weighting. Arrays have one entry a task, for a row of the table one a group; an inactive one (no
 * valid pixel in the global batch) has entries without meaning. */
typedef struct sm_weighting_step {
    const int *active;
    const double *loss;
    const double *loss_slope;   /**< d loss / d s at fixed logits, of likelihoods that scale logits; else 0 */
    const double *log_variance; /**< s; where there is none, 0 */
    const double
        *gram;     /**< (K, K) dot products of the gradients of the losses; 0 of inactive tasks. NULL: not asked for */
    int64_t step;  /**< number of the step in the run, from 1; skipped ones count */
    int64_t epoch; /**< that its batch belongs to, from 0 */
    uint64_t seed; /**< of the run: with `step` it names random numbers, the same on every rank and after resuming */
    /** Of groups, for likelihoods: W = sum of w_i over the active tasks, and D as the mean of theirs by w_i. NULL: every
     * group is one task of the weight 1. */
    const double *group_weight, *dimensions;
} sm_weighting_step;

/** The gradients g_i of the tasks that take part in a step: of the active ones those that are not zero. */
typedef struct sm_task_gram {
    int count;            /**< n, at least 1 */
    const int *task;      /**< n: which */
    const double *cosine; /**< (n, n): g_i g_j / (|g_i| |g_j|), with 1 on the diagonal */
    const double *length; /**< n: |g_i| over the greatest of them; all above 0 */
    double greatest;      /**< the greatest |g_i| */
} sm_task_gram;

/** What it answers: arrays of one entry a task, for a row of the table one a group, zero when asked. */
typedef struct sm_weights {
    double total;
    double *weight; /**< d total / d L; 0 for an inactive task. What the task's own parameters learn by */
    double *slope;  /**< d total / d s, before any limit; 0 where s is not learned or the task is inactive */
} sm_weights;

typedef struct sm_weighting sm_weighting;

/** One row of the table of weightings. */
typedef struct sm_weighting_kind {
    const char *name; /**< a choice of the key `weighting.method` */
    const char *help;
    const sm_key *keys;       /**< of its own, ending with a NULL section; or NULL */
    sm_weighting_needs needs; /**< by default: where gradients are taken is the user's choice (`weighting.gradients`) */
    /** Reads its keys, makes its state. NULL: there is nothing to make.
     * \return SM_ERR_CONFIG naming the key and what is allowed */
    sm_status (*make)(sm_weighting *weighting, const sm_config *config);
    /** Fills in total, weights and slopes. May advance the state, once a step: what a skipped step did to it is undone. */
    void (*weigh)(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out);
    /** Fills in the coefficients, 0 when asked, by which the tasks' gradients are added for the shared parameters. NULL:
     * the weights themselves. Only of a weighting that needs gradients. */
    void (*combine)(sm_weighting *weighting, const sm_weighting_step *step, const sm_weights *weights,
                    double *coefficient);
    /** The same, in place of `combine`, for a formula of the tasks that take part, as if there were no others, whose
     * coefficients are 0: fills in one a task of `gram`, 0 when asked. Where dot products are not finite it is not asked:
     * coefficients are NaN, so that the step is skipped. */
    void (*choose)(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram,
                   double *coefficient);
    /** Learns what the step has changed: `step->loss` are the losses of the same batch (same dropout, same normalisation)
     * by the updated parameters, which costs a second forward. Not called for a skipped step. NULL: there is none. Only of
     * a weighting that needs losses. */
    void (*learn_from_update)(sm_weighting *weighting, const sm_weighting_step *step);
    int learns_log_variances; /**< an s a group, by the slopes that `weigh` fills in; before `make`, `log_variances` are
                                 read from their keys */
} sm_weighting_kind;

/** All weightings; ends with NULL. */
extern const sm_weighting_kind *sm_weighting_kinds[];

/** Adds a row to the table: from then on a choice of `weighting.method`, its keys a part of every config. Before the first
 * config is made, on every rank alike. Not collective.
 * \param kind  must outlive the process's use of the library
 * \return SM_ERR_USAGE if there is one of that name, it does not weigh, or the table is full */
sm_status sm_weighting_register(const sm_weighting_kind *kind);

/** What is weighed: a task, or a group of tasks. */
typedef struct sm_weighted_task {
    char *name;
    const char *loss; /**< "cross_entropy", "l1", ...; "" of a group of several; not owned */
    sm_loss_shape shape;
    const sm_likelihood *likelihood; /**< that its log-variance is of; NULL: it has none */
} sm_weighted_task;

/** A task of the run, in a group. */
typedef struct sm_weighted_member {
    sm_weighted_task task; /**< its likelihood is its group's */
    int group;             /**< index of that */
    double weight;         /**< w */
} sm_weighted_member;

/** Numbers that a weighting carries from step to step: saved with a checkpoint as /weighting/<name>, restored to the
 * bit. */
typedef struct sm_weighting_state {
    const char *name; /**< not owned */
    double *values, *before;
    size_t count;
} sm_weighting_state;

/** How log-variances are learned: as parameters of the network, one a task; those of a group are equal, for they begin so
 * and learn by the same slope. Of weightings that learn another number in their stead, this is s. */
typedef struct sm_log_variances {
    double learning_rate_scale; /**< relative to the network's */
    double gradient_limit;      /**< |d total/ds| is limited to this; 0 = none */
    double lower, upper;        /**< projection of s */
    double *initial;            /**< one a group; freed with the weighting, as this struct */
} sm_log_variances;

/** Their keys; ends with a NULL section. They count with the kinds that learn log-variances. */
extern const sm_key sm_log_variances_keys[];

enum { SM_WEIGHTING_STATES_MAX = 4 };

/** As configured: section [weighting], and the keys of each [task.NAME] that a weighting reads. */
struct sm_weighting {
    const sm_weighting_kind *kind;
    sm_weighting_needs needs;
    int count;               /**< K, of groups */
    sm_weighted_task *tasks; /**< K, what is weighed, in the order of the first task of each */
    int member_count;        /**< of tasks of the run */
    sm_weighted_member *members;
    struct sm_group_sums *sums;      /**< room for a step's; NULL: every task is a group of its own */
    sm_log_variances *log_variances; /**< NULL: none are learned, there are none */
    sm_weighting_state states[SM_WEIGHTING_STATES_MAX];
    int state_count;
    void *own; /**< the kind's, one allocation, freed with the weighting */
};

/** Keys of any weighting; ends with a NULL section. Those of its own are in the rows. */
extern const sm_key sm_weighting_keys[];

/** Makes the weighting that `weighting.method` names.
 *
 * \param loss_names  each task's loss, static: decides which likelihoods are allowed
 * \param shapes  of the losses
 * \param [out] out  freed with sm_weighting_free()
 * \return SM_ERR_CONFIG naming the key and what is allowed */
sm_status sm_weighting_new(const sm_config *config, int count, const char *const *names, const char *const *loss_names,
                           const sm_loss_shape *shapes, sm_weighting **out);
/** NULL is legal. */
void sm_weighting_free(sm_weighting *weighting);

/** For `make`: adds a state array. \return its numbers, zero, the weighting's */
double *sm_weighting_add_state(sm_weighting *weighting, const char *name, size_t count);

/** For `make`: \return the value of a key of each [task.NAME], which the tasks of a group share, one a group; freed with
 * sm_free(). */
double *sm_weighting_task_reals(const sm_weighting *weighting, const sm_config *config, const char *key);

/** A `make`, or a part of it, of weightings whose formula only makes sense of losses that are never negative.
 * \return SM_ERR_CONFIG naming the task whose loss, a log-likelihood of each pixel, may be */
sm_status sm_weighting_refuse_negative_losses(sm_weighting *weighting, const sm_config *config);

/** For `weigh` of weightings that learn log-variances: each task by its likelihood. The tasks of a group share one s, so its
 * term is that of all their residuals together: with a term(L, s, D) that is linear in L and D,
 *
 *     sum w_i term(L_i, s, D_i) = W term(L_g / W, s, mean of the D_i)
 *
 * at whose minimum the residuals of all, counted w_i times, have the scale sigma. A row that is no density of a loss
 * (`losses` is empty) takes L_g for one loss: term(L_g, s). */
void sm_weighting_by_likelihoods(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out);

/** \return 1 if a task of the group that this task is in is active: then what the group learns, it learns in this step */
int sm_weighting_group_is_active(const sm_weighting *weighting, const int *active, int task);

/** \return "geometry (depth, 0.5 normals), semantic": the groups with their tasks and these' weights, freed with sm_free();
 * NULL if every task is a group of its own */
char *sm_weighting_describe_groups(const sm_weighting *weighting);

/** Computes total, weights and slopes of one step. An inactive task adds nothing; the slope of its s is its group's. */
void sm_weighting_weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out);

/** Computes the coefficients of the tasks' gradients, after sm_weighting_weigh() of the same step. */
void sm_weighting_combine(sm_weighting *weighting, const sm_weighting_step *step, const sm_weights *weights,
                          double *coefficient);

/** Of a weighting that learns from updates: what it asks for, as sm_weighting_kind.learn_from_update() says. */
void sm_weighting_learn_from_update(sm_weighting *weighting, const sm_weighting_step *step);

/** A step begins: what becomes of the states from here on can be undone. */
void sm_weighting_begin_step(sm_weighting *weighting);
/** The step is skipped: states are what they were when it began. */
void sm_weighting_undo_step(sm_weighting *weighting);

#ifdef __cplusplus
}
#endif
#endif
