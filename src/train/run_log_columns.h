/** \file
 * What a run log has columns of, and what a row has in them. By one rank. */
#ifndef SIGMATIC_TRAIN_RUN_LOG_COLUMNS_H
#define SIGMATIC_TRAIN_RUN_LOG_COLUMNS_H

#include <sigmatic/train/session.h>
#include <sigmatic/train/step_record.h>

#include "train/run_log_table.h"

/** \param split         name of the validation split; NULL: no evaluation is made, and its table stays empty
 * \param [out] tables  SM_RUN_TABLES, of zeros before */
void sm_run_log_name_columns(const sm_session *session, const char *split, sm_run_table *tables);

/** Adds a row. */
void sm_run_log_add_step(const sm_session *session, const sm_step_record *record, sm_run_table *steps);

/** The same of an evaluation; parameters as of sm_run_log_evaluation(). */
void sm_run_log_add_evaluation(const sm_session *session, int64_t step, const double *values,
                               const sm_calibration *calibrations, sm_run_table *evaluations);

#endif
