/** \file
 * The checkpoints of a run: when one is due, writing it while training goes on, and which of the earlier ones then go.
 *
 * The calling thread copies all of it into memory, as the file that it becomes; a thread of its own only writes that, makes it safe on the disk,
 * renames it and removes what is outdated. One is written at a time.
 * The memory that it is copied into is kept for the next one. Copying the 509 MiB of ResNet-101 with its momentum takes one thread 0.6 s of
 * processor time where a step of batch 2 with 128x256 images takes it 7.6 s; the first one 1.5 s, of which the system takes 0.9 s for the memory.
 * By rank 0, whose trainer it is; none of it collective. Between sm_saver_begin()'s call and return no rank may change the network. */
#ifndef SIGMATIC_TRAIN_SAVER_H
#define SIGMATIC_TRAIN_SAVER_H

#include <sigmatic/train/trainer.h>

#include "train/run_folder.h"

typedef struct sm_saver sm_saver;

/** \param trainer, folder  outlive the saver
 * \param fingerprint  of the training set; kept by reference
 * \param saved_step   of which the folder has the checkpoint that the run goes on from; -1: none */
sm_saver *sm_saver_new(const sm_trainer *trainer, sm_run_folder *folder, const char *fingerprint, int64_t saved_step);

/** Waits for what is being written. NULL is legal. */
void sm_saver_free(sm_saver *saver);

/** To be asked after every step.
 * \return 1 if a checkpoint is due by checkpoint.interval or checkpoint.minutes: from then on until one is begun, but not while steps are skipped */
int sm_saver_is_due(sm_saver *saver);

/** \return the step of the last checkpoint that was begun; -1: none */
int64_t sm_saver_step(const sm_saver *saver);

/** Waits for an earlier one, and begins to write that of a position of the trainer: where it stands, or `applied`. It pushes out older ones unless
 * the last steps were skipped: a state that does not learn takes the place of none that did.
 * \param is_best  best.h5 is written first
 * \return SM_ERR_NUMERIC naming a tensor that is not finite, SM_ERR_WRITE where the disk has too little room; what an earlier one met */
sm_status sm_saver_begin(sm_saver *saver, const sm_trainer_position *position, double best_metric, int is_best);

/** \return without waiting, what writing has met so far; every failure is the first one again */
sm_status sm_saver_look(sm_saver *saver);

/** \return 1 until sm_saver_look() or sm_saver_finish() has met the end of what was begun */
int sm_saver_is_writing(const sm_saver *saver);

/** Waits until all is on the disk. \return what writing met */
sm_status sm_saver_finish(sm_saver *saver);

/** What checkpoints have cost the training: it stands still while they are copied. */
typedef struct sm_saver_cost {
    int64_t count;  /**< of those begun */
    size_t bytes;   /**< of the last one */
    double seconds; /**< that training stood still, for all of them */
} sm_saver_cost;
sm_saver_cost sm_saver_cost_of(const sm_saver *saver);

/** Gives back the memory that is kept for the next one. After sm_saver_finish(). */
void sm_saver_release_memory(sm_saver *saver);

/** \return what the last checkpoint that is on the disk took, from its begin to the disk, in seconds */
double sm_saver_seconds(const sm_saver *saver);

#endif
