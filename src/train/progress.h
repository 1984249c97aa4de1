/** \file
 * The live line of a run, and the table of losses and sigmas at its end. Rank 0 prints. */
#ifndef SIGMATIC_TRAIN_PROGRESS_H
#define SIGMATIC_TRAIN_PROGRESS_H

#include <sigmatic/train/run_log.h>

typedef struct sm_progress sm_progress;

/** \param first_step  steps done before (a resumed run) */
sm_progress *sm_progress_new(const sm_session *session, int64_t steps, int64_t first_step);
void sm_progress_free(sm_progress *progress);

/** Shows the step if it is time to. */
void sm_progress_step(sm_progress *progress, const sm_step_record *record);

/** Prints each learned sigma beside the residual scale of an evaluation (report.h). \param calibrations  one a task */
void sm_progress_calibration(const sm_progress *progress, const sm_calibration *calibrations);

/** Warns of the traps that the run is in (traps.h), of each once. Of a run that goes on those that need its beginning are
 * not found. */
void sm_progress_warn(sm_progress *progress);

/** Prints each task's smoothed loss with its last weight, s and sigma (report.h). */
void sm_progress_summary(const sm_progress *progress);

#endif
