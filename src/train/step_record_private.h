/** \file
 * Filling in the record of a step. */
#ifndef SIGMATIC_TRAIN_STEP_RECORD_PRIVATE_H
#define SIGMATIC_TRAIN_STEP_RECORD_PRIVATE_H

#include <sigmatic/train/step_record.h>

#include "train/step_losses.h"

/** Gives a zero record its arrays, freed with sm_step_record_end(). */
void sm_step_record_begin(sm_step_record *record, const sm_session *session);
/** A zero record is legal. */
void sm_step_record_end(sm_step_record *record);

/** Fills in total loss and the tasks' numbers. \param coefficient  one a task: what the shared parameters learnt by */
void sm_step_record_tasks(sm_step_record *record, const sm_step_losses *losses, const sm_weights *weights,
                          const double *coefficient);

/** Fills in who waited in this step: one small message. \param data_wait  seconds of this rank for data. Collective */
void sm_step_record_waits(sm_step_record *record, sm_comm *comm, double data_wait);

#endif
