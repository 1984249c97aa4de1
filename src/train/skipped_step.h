/** \file
 * Why a step was skipped: which numbers were not finite, of which task, and from which samples. */
#ifndef SIGMATIC_TRAIN_SKIPPED_STEP_H
#define SIGMATIC_TRAIN_SKIPPED_STEP_H

#include <sigmatic/data/dataset.h>
#include <sigmatic/train/trainer.h>

/** \param trainer   right after the step
 * \param dataset   that its batch came from
 * \param position  samples seen before the step
 * \return "step 7: the loss of task 'depth' is nan; its samples: a, b and 6 more", the same on every rank, freed with sm_free(). Not collective */
char *sm_skipped_step_describe(const sm_trainer *trainer, const sm_dataset *dataset, int64_t position);

#endif
