/** \file
 * Losses that jump: of a task whose loss in a step lies far above what it was in the steps before.
 *
 * Over about the last 50 steps of a task, m is the mean of its loss and d the mean of |loss - m|, both with exponentially falling weights. A loss above 2 m
 * and above m + 10 d is a spike, once there were 50. It is told, and then not again for 50 steps; it counts in m and d like every other. */
#ifndef SIGMATIC_TRAIN_LOSS_SPIKES_H
#define SIGMATIC_TRAIN_LOSS_SPIKES_H

#include <sigmatic/train/session.h>
#include <sigmatic/train/step_record.h>

typedef struct sm_loss_spikes sm_loss_spikes;

sm_loss_spikes *sm_loss_spikes_new(const sm_session *session);
/** NULL is legal. */
void sm_loss_spikes_free(sm_loss_spikes *spikes);

/** Looks at a step, and warns of the tasks whose loss jumps. Not collective.
 * \return how many were told */
int sm_loss_spikes_note(sm_loss_spikes *spikes, const sm_step_record *record);

#endif
