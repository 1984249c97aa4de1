/** \file
 * Checkpoints: parameters, running statistics, log-variances, optimiser state, average and position of a run. Layout in include/README.md.
 *
 * Written by rank 0: built in memory, then temporary file, fsync, rename, so that a file of that name is always whole; each tensor carries a CRC-32C, and the root one of each
 * attribute (io/h5_checksums.h), that are verified whenever it is read. Files of version 1, which have none for attributes, are read as they are. */
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

/** Writes `best_path` unless NULL, then the same as `path`. Collective: rank 0 writes, the others wait.
 * \return the same on every rank: SM_ERR_WRITE or SM_ERR_IO naming the path, SM_ERR_NUMERIC naming a tensor that is not finite throughout; a file of
 * that name stays as it was */
sm_status sm_checkpoint_save(const sm_trainer *trainer, const char *path, const char *best_path,
                             const char *fingerprint, double best_metric);

/** Reads what a checkpoint says of itself, without tensors. Not collective.
 * \param [out] info  freed with sm_checkpoint_info_free(); empty on failure
 * \return SM_ERR_IO: cannot be opened; SM_ERR_INPUT: no checkpoint, or one that lacks an attribute, by name */
sm_status sm_checkpoint_read_info(const char *path, sm_checkpoint_info *info);
void sm_checkpoint_info_free(sm_checkpoint_info *info);

/** Reads what a checkpoint says of the data that its network learnt from. Not collective.
 * \param [out] data  freed with sm_data_description_free(); NULL on failure, and of a checkpoint of a version that did not say it
 * \return SM_ERR_IO, SM_ERR_INPUT as above */
sm_status sm_checkpoint_read_data(const char *path, sm_data_description **data);

/** Not collective.
 * \param [out] channels  outputs (classes, components) of the checkpoint's decoder of a task; 0 if it has none of that name
 * \return SM_ERR_IO, SM_ERR_INPUT as above */
sm_status sm_checkpoint_task_channels(const char *path, const char *task, int *channels);

/** Loads parameters and running statistics, all of them. Collective: rank 0 reads and tells the others.
 *
 * \param trainer      also restores the optimiser's state, the average and the position of the run; NULL: only the network
 * \param use_average  1: the network takes the averaged parameters if the file has them (for evaluation)
 * \return the same on every rank: SM_ERR_IO; SM_ERR_INPUT naming the object that is missing, damaged, of another shape or
 * another model's, or the position that no run writes. What was loaded before a failure stays */
sm_status sm_checkpoint_load(sm_session *session, sm_trainer *trainer, const char *path, int use_average);

/** Tells whether a checkpoint is whole: attributes, and every tensor of ours that has a checksum, are read. What others put into the file does not count.
 * Memory and time are bounded by the size of the file. Not collective.
 * \param must_be_finite  1: so that a run can go on from it
 * \return SM_ERR_INPUT naming what is damaged or not finite; SM_ERR_IO if it cannot be opened */
sm_status sm_checkpoint_verify(const char *path, int must_be_finite);

#ifdef __cplusplus
}
#endif
#endif
