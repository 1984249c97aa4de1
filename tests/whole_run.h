/** \file Whole runs of sm_train() in folders below the scratch folder, and what they leave there. Collective over all
 * ranks, unless it says rank 0. */
#ifndef SIGMATIC_TESTS_WHOLE_RUN_H
#define SIGMATIC_TESTS_WHOLE_RUN_H

#include "tiny_run.h"

#include <sigmatic/io/h5.h>
#include <sigmatic/train/train.h>

/** \return 1 on rank 0. Not collective. */
int is_root(void);

/** Runs sm_train() with tiny_config(sets) in `folder` (below the scratch folder). */
sm_status train_with(const char *folder, const sm_train_options *options, const char *const *sets);
sm_status train(const char *folder, const char *resume, const char *const *sets);

/** The same, with what rank 0 says kept: all `parts`, NULL-terminated, must be in it, what follows a '!' must not. */
sm_status train_saying(const char *folder, const char *resume, const char *const *sets, const char *const *parts);

/** \return the path of a file in a run's folder, freed with sm_free(). Not collective. */
char *path_in(const char *folder, const char *name);

/** Not collective. */
int exists_in(const char *folder, const char *name);

/** \return a line for each file of a run's folder but its lock, which each start takes: its name, inode, time of the last change and checksum. Freed with sm_free(). Rank 0. */
char *contents_of(const char *folder);

void remove_in(const char *folder, const char *name);

/** By one rank. */
void copy_file(const char *from, const char *to);

/** Copies a file to another folder, under the same name or another. */
void copy_in(const char *from_folder, const char *to_folder, const char *name);
void copy_to(const char *from_folder, const char *from_name, const char *to_folder, const char *to_name);

/** Rank 0. */
sm_h5 *open_in(const char *folder, const char *name);

/** \return the numbers of a dataset as they lie in memory, freed with sm_free(). Rank 0. */
void *read_numbers(const sm_h5 *file, const char *object, size_t *bytes);

/** Asserts that a column of run.h5 is first, first + step, ... */
void expect_counts(const char *folder, const char *object, int64_t first, int64_t step, size_t expected);

/** Asserts that `status` begins with `word`. */
void expect_status_file(const char *folder, const char *word);

#endif
