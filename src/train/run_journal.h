/** \file
 * The journal of a run log: the latest rows, which `run.h5` does not hold yet, in a file that only grows at its end. By one rank.
 *
 * A head, then records of one size, a row each; numbers as the machine has them:
 *
 *     head    "SMJOURN1", u32 bytes of the text, u32 CRC-32C of the text, the text: a line "start <number>", then a line a column,
 *             "<table> <int64|double> <path>", in the order of the values
 *     record  u32 CRC-32C of the rest, u32 table, a double a column (whole numbers too, which are exact below 2^53), zeros up to the
 *             size of the longest row
 *
 * A death in the middle of a write leaves a record whose checksum is wrong: it is no row, and the next write takes its place. One that
 * was damaged later costs its own row only. Rows carry their step, so that nobody needs to know which of them have reached run.h5. */
#ifndef SIGMATIC_TRAIN_RUN_JOURNAL_H
#define SIGMATIC_TRAIN_RUN_JOURNAL_H

#include "train/run_log_table.h"

typedef struct sm_run_journal sm_run_journal;

/** Begins one without rows in place of what is at `path`, on the disk when this returns.
 * \param start   which start of the run writes it: rows belong to a run.h5 of the same start only
 * \param tables  SM_RUN_TABLES; their columns
 * \param [out] out  closed with sm_run_journal_close(); untouched on failure
 * \return SM_ERR_WRITE, SM_ERR_IO */
sm_status sm_run_journal_create(const char *path, int64_t start, const sm_run_table *tables, sm_run_journal **out);

/** Writes the waiting rows that it does not hold yet, in one piece. */
sm_status sm_run_journal_write(sm_run_journal *journal, const sm_run_table *tables);

/** Waits until all rows are on the disk. */
sm_status sm_run_journal_sync(sm_run_journal *journal);

/** All rows are elsewhere. */
sm_status sm_run_journal_empty(sm_run_journal *journal);

/** NULL is legal. */
void sm_run_journal_close(sm_run_journal *journal);

/** Reads the whole rows of one.
 * \param [out] start   that of its writer
 * \param [out] tables  SM_RUN_TABLES, columns as its writer had them, rows waiting; each cleared with sm_run_table_clear(), after a failure too
 * \return SM_ERR_INPUT if it is none, or its head is damaged; SM_ERR_IO */
sm_status sm_run_journal_read(const char *path, int64_t *start, sm_run_table *tables);

#endif
