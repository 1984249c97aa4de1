/** \file
 * A task: the target that it learns, loss, gradient, metrics, decoding and picture. Kinds are rows of a table; a config section [task.NAME] makes an instance.
 *
 * What a head puts out is (items, outputs): the logits and, of a task with uncertainties of its own for each item, their
 * log-variance (sm_task_outputs()). Losses read that; all else reads logits, (items, channels). An item being a pixel or a sample (sm_target.scope), those of many samples one after the other.
 * What a task trains on is a class id u8 an item or `channels` labels u8 (SM_CLASS_IGNORED invalid), or `channels` floats (NaN invalid).
 * Losses are sums over the local batch; the caller divides by the global count of valid items. */
#ifndef SIGMATIC_TASK_TASK_H
#define SIGMATIC_TASK_TASK_H

#include <sigmatic/base/status.h>
#include <sigmatic/data/sample.h>
#include <sigmatic/data/target.h>
#include <sigmatic/io/config.h>
#include <sigmatic/task/instances.h>
#include <sigmatic/task/joint_metric.h>
#include <sigmatic/weighting/likelihood.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_task sm_task;

/** Sums of a loss over items. */
typedef struct sm_loss_sums {
    double loss; /**< sum over valid items of the loss, itself summed over the D components */
    double
        slope; /**< sum over valid items of d loss / ds at fixed logits where inverse_temperature = exp(-s), which `categorical_scaled` needs; 0 for regressions. Where each item has its own s: their sum */
} sm_loss_sums;

/** What names the noise that a task draws in a step: the same on any number of ranks. */
typedef struct sm_loss_place {
    uint64_t seed, step;
    uint64_t sample; /**< of the first item, in the global batch */
    size_t items;    /**< of a sample */
} sm_loss_place;

/** One row of the table of kinds. Rows may share a name: a task takes the first of its kind that its target fits. */
typedef struct sm_task_kind {
    const char *name; /**< "semantic" */
    const char
        *target; /**< that it learns unless the key `target` names another: "disparity"; NULL: it has to name one */
    sm_target_type learns;     /**< the type of target that it takes, */
    sm_scope scope;            /**< its scope, */
    sm_target_scaling scaling; /**< how its values scale (SM_SCALINGS: in any way), */
    int components;            /**< and its components; 0 = any number */
    const char *losses;        /**< allowed values of the key `loss`, the default first: "l1|l2" */
    int outputs; /**< channels that it predicts; 0 = one a class or label, or as many as the target has components */
    const char *unit;             /**< of what it predicts; NULL = the target's */
    sm_target_build build_target; /**< user = the sm_task */
    const sm_key *keys;           /**< of its own, in section "task.NAME", besides sm_task_keys; NULL: none */
    /** Reads keys of its own from the task's section. NULL: it has none. \return SM_ERR_CONFIG, SM_ERR_INPUT */
    sm_status (*configure)(const sm_config *config, const char *section, sm_task *task);
    /** From the numbers that are learnt, predicted or true, to those of the target: metres from their logarithm. NULL: they are the same.
     * \param values  (items, channels); NaN stays \param [out] out  may be `values` */
    void (*decode)(const sm_task *task, size_t items, const float *values, float *out);
    /** The other way: the logarithm of metres. NULL: they are the same. \param [out] out  may be `values` */
    void (*encode)(const sm_task *task, size_t items, const float *values, float *out);
    /** \return the word by which an exported network says what `decode` does, so that others can do it: "unit_vector",
     * "log_metres" (analysis/torch_model.py has them all). NULL: there is no word. */
    const char *(*decoding)(const sm_task *task);

    /** Numbers that a metric accumulates over samples; both kinds simply add up over ranks. */
    size_t (*metric_counts)(const sm_task *task);
    size_t (*metric_sums)(const sm_task *task);
    /** Adds one sample. \param metres_pixels  baseline * fx * current width / original width, so that metres = this / disparity; NaN unknown */
    void (*metric_add)(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                       int64_t *counts, double *sums);
    /** \param [out] values  one a row of `metrics`; NaN where nothing was measured */
    void (*metric_values)(const sm_task *task, const int64_t *counts, const double *sums, double *values);
    const sm_metric *metrics;       /**< ends with a NULL name; the first is what "best" means by default */
    const sm_metric *class_metrics; /**< those of single classes or labels; ends with a NULL name; NULL: none */
    /** \param [out] values  (rows of `class_metrics`, channels), NaN where nothing was measured */
    void (*class_values)(const sm_task *task, const int64_t *counts, const double *sums, double *values);
    const sm_joint_metric *joint; /**< those that read other tasks, too; NULL: none */

    /** Draws a map as RGB; NULL: a value a sample has no picture. Exactly one of logits and target is given, the other is NULL.
     * \param [in] thing  (H,W) as of sm_task_thing_mask() (for instances), or NULL = everywhere valid */
    void (*picture)(const sm_task *task, int height, int width, const float *logits, const void *target,
                    const uint8_t *thing, uint8_t *rgb);
} sm_task_kind;

/** What is learnt of a depth in metres. */
typedef enum sm_depth_encoding { SM_DEPTH_LINEAR, SM_DEPTH_LOG, SM_DEPTH_INVERSE } sm_depth_encoding;

/** All kinds; ends with NULL. */
extern const sm_task_kind *sm_task_kinds[];

/** Adds a row to the table, behind those that are there: from then on its name is a choice of the key `kind`, its keys a part
 * of every config. Before the first config is made, on every rank alike. Not collective.
 * \param kind  must outlive the process's use of the library
 * \return SM_ERR_USAGE if something is missing in the row, or the table is full */
sm_status sm_task_kind_register(const sm_task_kind *kind);

/** \return a metric of a kind: first its own, then its joint ones; NULL past the last. */
const sm_metric *sm_task_kind_metric(const sm_task_kind *kind, int index);

/** \return the first row of that name, NULL if there is none. */
const sm_task_kind *sm_task_kind_find(const char *name);

/** Keys of a section [task.NAME] that belong to the task itself: kind, loss, ... */
extern const sm_key sm_task_keys[];

enum { SM_NOISE_DRAWS_MAX = 100 };

/** A task as configured. */
struct sm_task {
    char *name; /**< NAME of [task.NAME] */
    const sm_task_kind *kind;
    sm_target *target;      /**< what the dataset says of the target, classes included; owned */
    const char *loss;       /**< a name of the table of losses: "cross_entropy", "l1" */
    double huber_delta;     /**< of the loss huber; 0 of others */
    int channels;           /**< classes, labels or D: what is predicted an item */
    int is_heteroscedastic; /**< its head predicts a log-variance of each item, too, which takes the place of the task's */
    const sm_likelihood *likelihood; /**< of real values that each have theirs; else NULL */
    int noise_draws;                 /**< of classes and labels that each have theirs */
    sm_depth_encoding encoding;      /**< of a depth in metres */
    float *
        class_weights; /**< channels, multiply each item's cross-entropy by its true class, and the loss of each label that is there; NULL = 1. The mean stays one over items */
    sm_instance_options instances; /**< of kind instance */
    void *own;                     /**< the kind's, set by its `configure`: one allocation, freed with the task */
};

/** Makes the task of section [task.NAME].
 * \param targets  descriptions that the dataset has; copied. NULL: there is no dataset yet, the config alone is checked against a target as the kind wants it
 * \return SM_ERR_CONFIG naming the key; SM_ERR_INPUT if the dataset has no such target, or one of another type, scope or number of components */
sm_status sm_task_new(const sm_config *config, const char *name, const sm_target *const *targets, int target_count,
                      sm_task **out);
void sm_task_free(sm_task *task);

/** \return 1 if the task predicts one class an item, 0 if labels or real values. */
static inline int sm_task_is_classification(const sm_task *task)
{
    return task->kind->learns == SM_TARGET_CLASS;
}

/** \return 1 if the task predicts a class a pixel. */
static inline int sm_task_maps_classes(const sm_task *task)
{
    return sm_task_is_classification(task) && task->target->scope == SM_SCOPE_PIXEL;
}

/** \return 1 if the task predicts labels: any of several classes an item. */
static inline int sm_task_is_labelling(const sm_task *task)
{
    return task->kind->learns == SM_TARGET_LABELS;
}

/** \return 1 if the task predicts real values. */
static inline int sm_task_is_regression(const sm_task *task)
{
    return !sm_task_is_classification(task) && !sm_task_is_labelling(task);
}

/** \return channels of its head's output: `channels` and, where each item has one, its log-variance. */
static inline int sm_task_outputs(const sm_task *task)
{
    return task->channels + (task->is_heteroscedastic ? 1 : 0);
}

/** Takes the logits out of what the head puts out, in place: (items, outputs) becomes (items, channels). */
void sm_task_take_logits(const sm_task *task, size_t items, float *output);

/** The sigma of each item, in the unit of sm_task_unit(): a Laplace scale b for loss l1, a standard deviation for l2 and
 * huber, radians for cosine; of classes and labels that of the noise on the logits.
 * \param [in] output  (items, outputs) of a task with is_heteroscedastic, as the head put it out \param [out] sigma  (items) */
void sm_task_sigma(const sm_task *task, size_t items, const float *output, float *sigma);

/** \return bytes of an item of what the task trains on, and of what it predicts. */
size_t sm_task_item_bytes(const sm_task *task);

/** \return the unit of loss and sigma: "px"; "nat" of a cross-entropy; "" of a cosine. */
const char *sm_task_unit(const sm_task *task);

/** \return what a loader needs to know of the task; refers to it. */
sm_target_builder sm_task_builder(const sm_task *task);

/** Loss sums of `items` items. \param place  NULL: the task draws no noise \param inverse_temperature  multiplies the logits of a cross-entropy (1, or exp(-s)) */
sm_loss_sums sm_task_loss(const sm_task *task, size_t items, const float *logits, const void *target,
                          const sm_loss_place *place, double inverse_temperature, int threads);

/** grad_logits = scale * d(sum of the loss)/d logits; zero at invalid items. */
void sm_task_loss_gradient(const sm_task *task, size_t items, const float *logits, const void *target,
                           const sm_loss_place *place, double inverse_temperature, double scale, float *grad_logits,
                           int threads);

/** What the logits say, as the target says it: the likeliest class, which labels are there, or values.
 * \param [out] prediction  items * sm_task_item_bytes() */
void sm_task_decode(const sm_task *task, size_t items, const float *logits, void *prediction);

/** \return what is done to a head's values before they are the target's, as a word: "none", that of the kind's `decoding`,
 * or "other" of a kind that decodes and has no word for it. */
const char *sm_task_decoding(const sm_task *task);

/** What several predictions of one item are averaged in, whether of views, windows, networks or draws of dropout: the
 * probabilities of classes (softmax of the logits) and of labels (logistic function), whose mean is the mixture's
 * (Lakshminarayanan, Pritzel and Blundell 2017, section 2.4; Gal and Ghahramani 2016), and real values as the target
 * says them, in its unit: of a depth its metres, whatever is learnt of them.
 * \param logits  as of sm_session_take_logits(), which knows the temperature
 * \param [out] values  (items, channels), not `logits` */
void sm_task_values(const sm_task *task, size_t items, const float *logits, float *values);

/** The other way, from such means: logits whose softmax or logistic function is the probability (0 as 1e-38), or the
 * numbers that sm_task_decode() makes the values of.
 * \param [out] logits  may be `values` */
void sm_task_logits(const sm_task *task, size_t items, const float *values, float *logits);

/** What the task trains on, as the target says it.
 * \param [out] truth  items * sm_task_item_bytes() */
void sm_task_decode_truth(const sm_task *task, size_t items, const void *target, void *truth);

/** What turns predictions of a view of an image into those of the image: (height, width) grow by (scale_y, scale_x), and are mirrored with `flip`.
 * \param [out] factors  channels: of the real values that are predicted */
void sm_task_factors(const sm_task *task, double scale_x, double scale_y, int flip, float *factors);

/** \return 1 if the task says at every pixel whether there is a thing: sm_task_thing_mask() may be asked. */
int sm_task_finds_things(const sm_task *task);

/** Marks pixels predicted as things. \param [out] thing  (items) 1 + the thing's class; 0 no thing */
void sm_task_thing_mask(const sm_task *task, size_t items, const float *logits, uint8_t *thing);

#ifdef __cplusplus
}
#endif
#endif
