/** \file
 * Where numbers went wrong first in a step that was skipped. */
#ifndef SIGMATIC_TRAIN_BROKEN_LAYER_H
#define SIGMATIC_TRAIN_BROKEN_LAYER_H

#include <sigmatic/train/trainer.h>

/** Before the running statistics are put back. Collective.
 * \param summed  1: the losses are finite, and gradients there
 * \return the slice of the first layer that met a number that is not finite: of running statistics, which a batch with an
 * infinity in it moves, in the order of forward; else of gradients, in the order of backward. NULL: none is broken */
const char *sm_broken_layer(const sm_trainer *trainer, int summed);

#endif
