/** \file
 * The run log `run.h5`: one row a step for the run and for each task, one row an evaluation. Layout in the README.
 *
 * Written by rank 0. Rows are flushed by blocks, so that plain h5py reads the file while it grows and after kill -9. */
#ifndef SIGMATIC_TRAIN_RUN_LOG_H
#define SIGMATIC_TRAIN_RUN_LOG_H

#include <sigmatic/train/session.h>
#include <sigmatic/train/step_record.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_run_log sm_run_log;

/** Where a continued log stands; all zero for a new one. */
typedef struct sm_run_log_kept {
    double seconds;         /**< of the last kept row */
    int64_t evaluated_step; /**< of the last kept evaluation */
} sm_run_log_kept;

/** Opens a new log, or continues one.
 *
 * \param arithmetic   of the convolutions: sm_arithmetic_text()
 * \param split        name of the validation split, for its group; NULL = none
 * \param resume_step  0: a new file; else rows of `path` after this step are dropped, the others kept
 * \param [out] kept   what the kept rows end with */
sm_status sm_run_log_open(const char *path, const sm_session *session, const char *arithmetic, const char *split,
                          int64_t resume_step, sm_run_log_kept *kept, sm_run_log **out);

/** Adds a row; written out every few seconds. */
sm_status sm_run_log_step(sm_run_log *log, const sm_step_record *record);

/** Adds an evaluation. \param values  all metrics of task 0, then of task 1, ... */
sm_status sm_run_log_evaluation(sm_run_log *log, int64_t step, const double *values);

sm_status sm_run_log_flush(sm_run_log *log);

/** NULL is legal. */
sm_status sm_run_log_close(sm_run_log *log);

#ifdef __cplusplus
}
#endif
#endif
