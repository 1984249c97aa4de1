/** \file
 * The run log `run.h5`: one row a step for the run and for each task, one row an evaluation. Layout in include/README.md.
 *
 * Written by rank 0. Rows are flushed by blocks, so that plain h5py reads the file while it grows and after kill -9. */
#ifndef SIGMATIC_TRAIN_RUN_LOG_H
#define SIGMATIC_TRAIN_RUN_LOG_H

#include <sigmatic/train/calibration.h>
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

/** Tells whether the rows of a log can go on with those of this session, before anything is changed. Not collective.
 * \return SM_ERR_INPUT naming the key if they were made by another weighting, or another kind, loss or likelihood of a task: the log says
 * of all its rows what they were made by. A log that is missing or cannot be read stops nobody */
sm_status sm_run_log_check(const char *path, const sm_session *session);

/** Opens a new log, or continues one. Not collective, as all below: by one rank, whose failures (SM_ERR_WRITE, SM_ERR_IO) name the file.
 *
 * It is written beside an old one and takes its place with the first row or sync: a run that makes nothing leaves the old log as it was.
 * An old log that cannot be read, whatever its damage, is then renamed to `path`.damaged-<n> with a warning, and a new one begins.
 *
 * \param path         on success there is a log at every instant, the old one or this
 * \param session      kept by reference
 * \param arithmetic   of the convolutions: sm_arithmetic_text()
 * \param split        name of the validation split, for its group; NULL = none
 * \param resume_step  0: a new file; else rows of `path` after this step are dropped, the others kept
 * \param [out] kept   what the kept rows end with
 * \param [out] out    closed with sm_run_log_close(); untouched on failure */
sm_status sm_run_log_open(const char *path, const sm_session *session, const char *arithmetic, const char *split,
                          int64_t resume_step, sm_run_log_kept *kept, sm_run_log **out);

/** Puts the log at its path unless an old one stands there: a new run shows itself before its first step. */
sm_status sm_run_log_begin(sm_run_log *log);

/** Adds a row; written out every few seconds. */
sm_status sm_run_log_step(sm_run_log *log, const sm_step_record *record);

/** Adds an evaluation; written out every few seconds.
 * \param values        all metrics of task 0, then of task 1, ...
 * \param calibrations  one a task */
sm_status sm_run_log_evaluation(sm_run_log *log, int64_t step, const double *values,
                                const sm_calibration *calibrations);

/** Writes out what waits, and waits until all of the file is on the disk. */
sm_status sm_run_log_sync(sm_run_log *log);

/** Writes out what waits and closes; what never took the place of an old log is removed. NULL is legal.
 * \return the first failure of writing this log */
sm_status sm_run_log_close(sm_run_log *log);

/** \return 1 if a log has no step; 0 if it has some, or cannot be read */
int sm_run_log_is_empty(const char *path);

#ifdef __cplusplus
}
#endif
#endif
