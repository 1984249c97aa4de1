/** \file
 * Which checkpoint of a run's folder is meant where only the folder is named. Not collective. */
#ifndef SIGMATIC_TRAIN_RUN_CHECKPOINT_H
#define SIGMATIC_TRAIN_RUN_CHECKPOINT_H

#include <sigmatic/base/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Finds the best checkpoint of a run, best.h5, else that of the highest step that is whole (sm_checkpoint_verify, which reads
 * it); damaged ones are passed over with a warning.
 * \param folder  of a run, or one with the checkpoints themselves
 * \param [out] path  freed with sm_free(); NULL if there is none
 * \return SM_ERR_INPUT if there are some, but none is whole; SM_ERR_IO naming a folder that cannot be read */
sm_status sm_run_checkpoint(const char *folder, char **path);

/** The same for going on with a run: that of the highest step which is whole, else best.h5, with a warning if others are damaged. */
sm_status sm_run_newest_checkpoint(const char *folder, char **path);

/** \return 1 if there is one, whole or damaged: nothing is read. 0 also if the folder cannot be read. */
int sm_run_has_checkpoint(const char *folder);

#ifdef __cplusplus
}
#endif
#endif
