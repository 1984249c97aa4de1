/** \file
 * What is kept of one training step: a row of the run log, the progress line. */
#ifndef SIGMATIC_TRAIN_STEP_RECORD_H
#define SIGMATIC_TRAIN_STEP_RECORD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One attempted step. Arrays have one entry a task; NaN where absent. */
typedef struct sm_step_record {
    int64_t step; /**< attempts from 1 */
    int64_t epoch;
    int applied;    /**< 0 = skipped for non-finite numbers */
    double seconds; /**< since the run began, resumed parts included */
    double learning_rate, loss, gradient_norm, images_per_second;
    double step_seconds;
    double data_wait[3], communication_wait[3]; /**< seconds of the step: least, median and most over the ranks */
    double *task_loss, *weight, *log_variance, *sigma; /**< as used in the step */
    double *task_gradient_norm, *gradient_share;       /**< at the shared representation, where they were measured */
    double *gradient_cosine;                           /**< (tasks, tasks) */
    double *waits; /**< the trainer's: 2 a rank, for data and for other ranks; and room to gather them */
} sm_step_record;

#ifdef __cplusplus
}
#endif
#endif
