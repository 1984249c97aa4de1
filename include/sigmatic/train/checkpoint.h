/** \file
 * Checkpoints: parameters, running statistics, log-variances, optimiser state, average and position of a run. Layout in the README.
 *
 * Written by rank 0: built in memory, then temporary file, fsync, rename, so that a file of that name is always whole; each tensor carries a CRC-32C that is verified on load. */
#ifndef SIGMATIC_TRAIN_CHECKPOINT_H
#define SIGMATIC_TRAIN_CHECKPOINT_H

#include <sigmatic/train/trainer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a checkpoint says beside the tensors. */
typedef struct sm_checkpoint_info {
    char *config;      /**< resolved text */
    char *fingerprint; /**< of the training set */
    int64_t step, epoch, samples_seen, skipped, world_size, seed;
    double best_metric; /**< NaN: none yet */
} sm_checkpoint_info;

/** Writes `path`, and the same as `best_path` unless NULL. Collective; the same status on every rank. */
sm_status sm_checkpoint_save(const sm_trainer *trainer, const char *path, const char *best_path,
                             const char *fingerprint, double best_metric);

/** Reads what a checkpoint says of itself, without tensors. By one rank; free with sm_checkpoint_info_free(). */
sm_status sm_checkpoint_read_info(const char *path, sm_checkpoint_info *info);
void sm_checkpoint_info_free(sm_checkpoint_info *info);

/** How many outputs a pixel (classes, components) the checkpoint's decoder of a task has; 0 if it has none of that name. By one rank. */
sm_status sm_checkpoint_task_channels(const char *path, const char *task, int *channels);

/** Loads parameters and running statistics (all of them; anything missing or of another shape is SM_ERR_INPUT naming it).
 *
 * \param trainer      also restores the optimiser's state, the average and the position of the run; NULL: only the network
 * \param use_average  1: the network takes the averaged parameters if the file has them (for evaluation)
 * Collective. */
sm_status sm_checkpoint_load(sm_session *session, sm_trainer *trainer, const char *path, int use_average);

/** Starts from the tensors of a checkpoint whose names and shapes agree; says how many did. SM_ERR_INPUT if none. Collective. */
sm_status sm_checkpoint_load_pretrained(sm_session *session, const char *path);

/** Tells whether a checkpoint is whole: reads every tensor of ours that has a checksum. What others put into the file does not count. By one rank.
 * \return SM_ERR_INPUT naming what is damaged; SM_ERR_IO if it cannot be opened */
sm_status sm_checkpoint_verify(const char *path);

#ifdef __cplusplus
}
#endif
#endif
