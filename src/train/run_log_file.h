/** \file
 * The file of a run log, which is only ever replaced whole: what stands at its path can be read at every instant. By one rank.
 *
 * A replacement is made beside it: a copy of what stands there (or, by the first one of a start, a new file with the rows that are kept
 * of the old one) with the new rows behind it, synced, then renamed. A death before the rename leaves the old file and litter of one name,
 * which the next replacement takes; a failure leaves the old file and the rows where they were. */
#ifndef SIGMATIC_TRAIN_RUN_LOG_FILE_H
#define SIGMATIC_TRAIN_RUN_LOG_FILE_H

#include "train/run_log_table.h"

typedef struct sm_run_log_file sm_run_log_file;

/** Writes the attributes of a new file. */
typedef sm_status (*sm_run_log_attributes)(sm_h5 *file, const void *user);

/** Finds out what an earlier start has left, and builds the new file beside it.
 *
 * Rows that the earlier start has in its journal only are first put into its own file, as it would have done.
 * \param tables       SM_RUN_TABLES, kept by reference; rows that wait in them get into the file
 * \param resume_step  0: nothing is kept
 * \param [out] kept   what the kept rows end with
 * \param [out] out    freed with sm_run_log_file_free(); untouched on failure
 * \return SM_ERR_IO, SM_ERR_WRITE of the new file; the old one, whatever its state, is only warned of */
sm_status sm_run_log_file_open(const char *path, const char *journal, sm_run_table *tables, int64_t resume_step,
                               sm_run_log_attributes attributes, const void *user, sm_run_log_kept *kept,
                               sm_run_log_file **out);

/** Puts the waiting rows into the file; they wait no more. An old file that could not be read is renamed to `path`.damaged-<n> before,
 * and so is one that somebody has changed since.
 * \return SM_ERR_IO, SM_ERR_WRITE; the rows still wait */
sm_status sm_run_log_file_replace(sm_run_log_file *file);

/** \return 1 from the first replacement on */
int sm_run_log_file_is_ours(const sm_run_log_file *file);

/** \return which start of the run writes the file, from 1 */
int64_t sm_run_log_file_start(const sm_run_log_file *file);

/** \return the number of the start that wrote a log; 0: an older version's, or one whose number cannot be read */
int64_t sm_run_log_file_read_start(const sm_h5 *file);

/** \return the path of the journal beside a log, freed with sm_free() */
char *sm_run_log_file_journal(const char *path);

/** What never took its place is removed. NULL is legal. */
void sm_run_log_file_free(sm_run_log_file *file);

#endif
