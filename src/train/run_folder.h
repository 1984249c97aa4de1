/** \file
 * The folder of a run: its lock, its status, and its checkpoints by step. Layout in include/README.md.
 *
 * Ours are `run.h5`, `status`, `.lock` and in `checkpoints/` what step-<digits>.h5 and best.h5 name, ordered by number; whatever else
 * stands there is the user's and stays. By rank 0, none of it collective; failures name the path (SM_ERR_IO, SM_ERR_WRITE). */
#ifndef SIGMATIC_TRAIN_RUN_FOLDER_H
#define SIGMATIC_TRAIN_RUN_FOLDER_H

#include <sigmatic/base/status.h>

#include <stddef.h>
#include <stdint.h>

typedef struct sm_run_folder sm_run_folder;

/** Touches nothing yet. \param path  kept by reference */
sm_run_folder *sm_run_folder_new(const char *path);

/** Gives the lock back. NULL is legal. */
void sm_run_folder_free(sm_run_folder *folder);

/** \return the path of a file in the folder, freed with sm_free(). */
char *sm_run_folder_file(const sm_run_folder *folder, const char *name);

/** \return the path of the checkpoint of a step, freed with sm_free(). */
char *sm_run_folder_checkpoint(const sm_run_folder *folder, int64_t step);

/** \return 1 if it holds a run: a log with a step, or a checkpoint. What a start that failed left (a status, an empty log or folder) is none. */
int sm_run_folder_holds_run(const sm_run_folder *folder);

/** Makes the folder and takes it, until sm_run_folder_free(); once taken it stays so. Temporary files of a process that was killed go.
 * \param patience_seconds  how long a run that goes on in it is waited for (folder_lock.h)
 * \return SM_ERR_USAGE if another run is going on in it, on whatever host: it would take its files from under this one */
sm_status sm_run_folder_lock(sm_run_folder *folder, double patience_seconds);

/** Makes the folders of this run. The status "running" is left to the caller, once the log stands.
 * \param keep  0: what an earlier run left is removed */
sm_status sm_run_folder_claim(const sm_run_folder *folder, int keep);

/** Replaces the file `status` by "word" or "word: why"; one that says so already is not touched. */
sm_status sm_run_folder_write_status(const sm_run_folder *folder, const char *word, const char *why);

/** Leaves the status "failed: why" of a start that came to nothing, so that `show` has it among the others. Where a run stands, or one is
 * going on, nothing is touched; nor where nothing can be written, or `status` is another's file: its first word none of ours. */
void sm_run_folder_tell_failed_start(sm_run_folder *folder, const char *why);

/** \return 1 if the checkpoint of a step is there and whole */
int sm_run_folder_has_checkpoint(sm_run_folder *folder, int64_t step);

/** Finds the checkpoint of the highest step to go on from: whole, all numbers finite (sm_checkpoint_verify); others are passed over with a warning, and
 * then best.h5 counts too.
 * \param [out] path  freed with sm_free(); NULL if there is none
 * \return SM_ERR_INPUT if there are some, but neither one of them nor best.h5 will do */
sm_status sm_run_folder_latest(sm_run_folder *folder, char **path);

/** Says that this process has written or loaded the checkpoint of `step`: it is whole, nobody reads it again. */
void sm_run_folder_note_whole(sm_run_folder *folder, int64_t step);

/** Removes what a kill in the middle of writing a checkpoint left. */
sm_status sm_run_folder_remove_unfinished(const sm_run_folder *folder);

/** Lists what goes once the checkpoint of `step` is there: all but the `keep` newest whole ones up to `step`, and but the first at or after each
 * multiple of `every` steps (0: none). Later ones are of a run that was taken back to an earlier checkpoint: they would be resumed instead of
 * this one. Damaged ones do not count, but go as soon as `keep` newer ones are whole. What an earlier process wrote is read once.
 * \param [out] paths  in one block: one sm_free(paths) frees them all */
sm_status sm_run_folder_outdated(sm_run_folder *folder, int64_t step, int keep, int64_t every, char ***paths,
                                 size_t *count);

/** Removes them, where the checkpoint of `step` is there. */
sm_status sm_run_folder_prune(sm_run_folder *folder, int64_t step, int keep, int64_t every);

#endif
