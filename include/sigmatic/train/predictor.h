/** \file
 * What trained networks predict of one image of any size, or of one row of a table: no dataset, no labels, no messages between
 * ranks.
 *
 * Results have the image's own size: pixels, vectors and disparities are those of the image. */
#ifndef SIGMATIC_TRAIN_PREDICTOR_H
#define SIGMATIC_TRAIN_PREDICTOR_H

#include <sigmatic/train/session.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_predictor sm_predictor;

/** How an image of another size than those of training gets through the network. */
typedef enum sm_predict_mode {
    SM_PREDICT_SCALE, /**< scaled to as many pixels as whole images of training had, its proportions kept; results are scaled back */
    SM_PREDICT_WHOLE,   /**< as it is */
    SM_PREDICT_WINDOWS, /**< as it is, in overlapping windows of the size that training saw, blended (windows.h) */
    SM_PREDICT_MODES
} sm_predict_mode;

/** "scale", "whole", "windows". */
extern const char *const sm_predict_mode_names[SM_PREDICT_MODES];

typedef struct sm_predictor_options {
    sm_predict_mode mode;
    int height, width; /**< of the network's input: what `scale` scales to, the window of `windows`; 0: as trained */
    double overlap;    /**< of windows, in [0, 1) */
    int samples;       /**< Monte Carlo dropout: runs with dropped features, 0 = one run without */
    uint64_t seed;     /**< of what is dropped; with the image's index it decides that alone */
    int uncertainty;   /**< 1: the maps of sm_task_prediction */
    int instances;     /**< 1: instances are found from their vectors */
} sm_predictor_options;

/** What is predicted of one task. Windows, several networks and several runs with dropout are averaged as an evaluation's
 * views are: probabilities of classes and labels, at the learned temperature, and real values in the target's unit
 * (sm_task_values()). Arrays are NULL where there is nothing to say. If x and y were scaled by different factors, the one
 * sigma of a vector's components is scaled by the root of the mean of the factors' squares. */
typedef struct sm_task_prediction {
    const sm_task *task;
    size_t items;       /**< pixels of the image, or 1 */
    int components;     /**< numbers an item of `values` */
    const void *values; /**< uint8_t class ids or labels, else floats */
    /** Of classes and labels: what softmax or the logistic function makes their probabilities of, at the learned
     * temperature; of an average logarithms, or log-odds, of the mean probabilities. (items, channels of the task) */
    const float *logits;
    /** With `uncertainty`: entropy of the softmax, nat; of labels the sum of their entropies. (items) */
    const float *entropy;
    /** With `uncertainty` and several runs, how much they disagree. Of classes and labels the mutual information between
     * prediction and network, nat: entropy of the mean less mean of the entropies (Houlsby et al. 2011). (items) */
    const float *information;
    /** Of real values their variance over the runs (sum of squares over runs - 1). (items, components) */
    const float *variance;
    const sm_instance_list
        *instances; /**< of a task of vectors to centroids, with the option `instances`: found with the classes
                                            of the first task that says where things are, if any does */
    const sm_task *instance_classes; /**< that task; NULL: none */
    const float
        *sigmas;  /**< with `uncertainty`, of a task that predicts a log-variance of each item: sigma, in the unit of
                              sm_task_unit() and, of lengths in pixels, in the image's; of runs the root of the mean square.
                              Of real values of a table also the one of the whole task. (items) */
    double sigma; /**< learned for the whole task, in the same unit, mean of the networks; NaN: none is */
} sm_task_prediction;

/** \param sessions  networks with the same tasks, loaded, each another; kept by reference, must outlive the predictor
 * \param options   copied */
sm_predictor *sm_predictor_new(sm_session *const *sessions, int session_count, const sm_predictor_options *options);
/** NULL is legal. Before the sessions. */
void sm_predictor_free(sm_predictor *predictor);

/** Runs the networks on one image, or on one row of a table, 1 x 1, whatever the mode. Not collective.
 *
 * \param image        (height, width, channels of the input) u8, or features, floats
 * \param index        of the image among all: names the features that dropout drops
 * \param [out] tasks  one a task; views that stay until the next run
 * \return SM_ERR_CONFIG if the network cannot take an image of this size */
sm_status sm_predictor_run(sm_predictor *predictor, const void *image, int height, int width, int64_t index,
                           const sm_task_prediction **tasks);

#ifdef __cplusplus
}
#endif
#endif
