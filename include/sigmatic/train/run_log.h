/** \file
 * The run log `run.h5`: one row a step for the run and for each task, one row an evaluation. Layout in include/README.md.
 *
 * Written by rank 0. `run.h5` is whole at every instant, for plain h5py too: it is only ever replaced, by a rename, with a file that holds
 * the new rows as well. As that costs more the longer a run is, it takes at most a hundredth of the run's time: every 2 seconds while it
 * takes less than 20 ms, then as often as that share allows, and at the end. In between rows go to `run.journal` every 2 seconds and before a
 * checkpoint, which is gone when the run has ended. A start that goes on puts the journal's rows into run.h5 first, each once.
 *
 * What cannot be written waits in memory, with a warning, and is tried again: a full disk costs no row and stops no run unless it is still
 * full at the end, or 65,536 rows wait: then it ends with this error, behind a checkpoint. */
#ifndef SIGMATIC_TRAIN_RUN_LOG_H
#define SIGMATIC_TRAIN_RUN_LOG_H

#include <sigmatic/io/h5.h>
#include <sigmatic/train/calibration.h>
#include <sigmatic/train/session.h>
#include <sigmatic/train/step_record.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_run_log sm_run_log;

/** Where a continued log stands; all zero for a new one. */
typedef struct sm_run_log_kept {
    int64_t step;           /**< of the last kept row */
    double seconds;         /**< as this */
    int64_t evaluated_step; /**< of the last kept evaluation */
} sm_run_log_kept;

/** Tells whether the rows of a log can go on with those of this session, before anything is changed. Not collective.
 * \return SM_ERR_INPUT naming the key if they were made by another weighting, or another kind, loss or likelihood of a task: the log says
 * of all its rows what they were made by. A log that is missing or cannot be read stops nobody */
sm_status sm_run_log_check(const char *path, const sm_session *session);

/** Opens a new log, or continues one. Not collective, as all below: by one rank, whose failures (SM_ERR_WRITE, SM_ERR_IO) name the file.
 *
 * It is written beside an old one and takes its place with the first row: a run that makes nothing leaves the old log as it was, but for
 * rows that a killed start has left in its journal. An old log that cannot be read, whatever its damage, is then renamed to
 * `path`.damaged-<n> with a warning, and a new one begins, with the rows of the journal.
 *
 * \param path         of run.h5; on success there is a log at every instant, the old one or this
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

/** Adds a row. \return SM_ERR_WRITE, SM_ERR_IO if too many rows wait that cannot be written: the caller ends the run, with this for its reason */
sm_status sm_run_log_step(sm_run_log *log, const sm_step_record *record);

/** Adds an evaluation, and writes what waits.
 * \param values        all metrics of task 0, then of task 1, ...
 * \param calibrations  one a task
 * \return as sm_run_log_step() */
sm_status sm_run_log_evaluation(sm_run_log *log, int64_t step, const double *values,
                                const sm_calibration *calibrations);

/** All rows are on the disk when this returns, so that a checkpoint may know of their steps; if they cannot be, they wait. */
void sm_run_log_sync(sm_run_log *log);

/** Puts all rows into the file and closes; what never took the place of an old log is removed. NULL is legal.
 * \return why rows are missing in the file */
sm_status sm_run_log_close(sm_run_log *log);

/** Opens a log to read, also one that is being written: the rows of run.h5 and, behind them, those that only the journal beside it has,
 * as the next start would put them there. Neither file is changed. A journal that cannot be read, or whose rows do not fit, is warned of
 * and left out.
 * \param [out] out  closed with sm_h5_close(); untouched on failure
 * \return as sm_h5_open() of run.h5 */
sm_status sm_run_log_read(const char *path, sm_h5 **out);

/** \return 1 if a log has no step; 0 if it has some, or cannot be read */
int sm_run_log_is_empty(const char *path);

#ifdef __cplusplus
}
#endif
#endif
