/** \file
 * The columns of a run log, and how those of an old one are taken over. By one rank. */
#ifndef SIGMATIC_TRAIN_RUN_LOG_TABLE_H
#define SIGMATIC_TRAIN_RUN_LOG_TABLE_H

#include <sigmatic/io/h5.h>
#include <sigmatic/train/run_log.h>

enum { SM_RUN_WAITING_ROWS = 256 };

typedef struct sm_run_column {
    char path[192];
    sm_h5_type type; /**< SM_H5_INT64 or SM_H5_DOUBLE */
    double rows[SM_RUN_WAITING_ROWS];
} sm_run_column;

/** Columns that grow together, with their step column first. */
typedef struct sm_run_table {
    sm_run_column *columns; /**< `count`, freed with sm_free() */
    int count, waiting;
} sm_run_table;

/** \return a new last column, whose path is still to be written; until the next call */
sm_run_column *sm_run_table_add(sm_run_table *table, sm_h5_type type);

/** Creates the columns in a file, without rows. */
sm_status sm_run_table_create(sm_h5 *file, const sm_run_table *table);

/** Copies the rows of an old log up to `last_step`, and evaluations on other splits than that of `evaluations` too.
 * \param file         has the columns of both tables
 * \param evaluations  without columns: this run evaluates on no split
 * \param [out] kept   what the rows end with; untouched where there are none
 * \return SM_ERR_INPUT, SM_ERR_IO of the old one; SM_ERR_WRITE of the new one */
sm_status sm_run_log_copy(const sm_h5 *old, sm_h5 *file, sm_run_table *steps, sm_run_table *evaluations,
                          int64_t last_step, sm_run_log_kept *kept);

#endif
