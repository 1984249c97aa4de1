/** \file
 * What a run goes on with that its checkpoint was not trained with: each key either holds from now on, and is said, or is refused. */
#ifndef SIGMATIC_TRAIN_RESUME_CHANGES_H
#define SIGMATIC_TRAIN_RESUME_CHANGES_H

#include <sigmatic/train/checkpoint.h>

#include "train/training.h"

/** \param before  config of the checkpoint, as it stands in it
 * \return SM_ERR_INPUT naming a key that cannot change within a run, its old and its new value. Not collective */
sm_status sm_resume_refuse_changes(const char *checkpoint, const char *before, const sm_config *now);

/** \return the best score so far, for the run that goes on; NaN if `now` counts another evaluation the best. Not collective */
double sm_resume_best_metric(const sm_checkpoint_info *info, const sm_config *now);

/** Says in the log which keys have changed, and which learning rate the changes give; once the checkpoint is loaded. Not collective. */
void sm_resume_report_changes(const sm_training *t, const char *before);

#endif
