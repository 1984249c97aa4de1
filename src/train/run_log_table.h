/** \file
 * The columns of a run log and rows of them in memory, and how both get into a file. By one rank. */
#ifndef SIGMATIC_TRAIN_RUN_LOG_TABLE_H
#define SIGMATIC_TRAIN_RUN_LOG_TABLE_H

#include <sigmatic/io/h5.h>
#include <sigmatic/train/run_log.h>

enum { SM_RUN_PATH_BYTES = 192 };

typedef struct sm_run_column {
    char path[SM_RUN_PATH_BYTES];
    sm_h5_type type; /**< SM_H5_INT64 or SM_H5_DOUBLE */
} sm_run_column;

/** Columns that grow together. The first one is the step: it rises from row to row. */
typedef struct sm_run_table {
    sm_run_column *columns;
    int count;    /**< of columns; 0: a table that is not kept */
    double *rows; /**< waiting x count */
    int waiting, capacity;
} sm_run_table;

/** Those of a log: /steps, /timing, /tasks and /weighting; /evaluations/<split>. */
enum { SM_RUN_STEPS, SM_RUN_EVALUATIONS, SM_RUN_TABLES };

/** \return a new last column, whose path is still to be written; until the next call. Only while the table has no rows */
sm_run_column *sm_run_table_add(sm_run_table *table, sm_h5_type type);

/** \return a new last row to be filled; until the next call */
double *sm_run_table_add_row(sm_run_table *table);

/** \return a row's step */
int64_t sm_run_table_step(const sm_run_table *table, int row);

/** Frees columns and rows. Of zeros is legal. */
void sm_run_table_clear(sm_run_table *table);

/** Creates the columns in a file, without rows. */
sm_status sm_run_table_create(sm_h5 *file, const sm_run_table *table);

/** \param [out] rows  of every column
 * \return SM_ERR_INPUT if the file lacks a column or they have unlike numbers of rows */
sm_status sm_run_table_count(const sm_h5 *file, const sm_run_table *table, size_t *rows);

/** Appends those of the waiting rows whose step is behind the last one in the file: what stands there already is not written twice.
 * \param [out] added  rows
 * \return as sm_run_table_count(); SM_ERR_WRITE */
sm_status sm_run_table_append(sm_h5 *file, const sm_run_table *table, int *added);

/** Adds the rows of another table whose step is behind the last one in the file and at most `last_step`, as columns of this one: what
 * the other has no column for is NaN (0 of whole numbers), and a table of another split has no row for this.
 * \param [in,out] kept  their last step and seconds; untouched where there are none */
sm_status sm_run_table_take(sm_h5 *file, const sm_run_table *table, const sm_run_table *other, int64_t last_step,
                            sm_run_log_kept *kept);

/** Copies the rows of an old log up to `last_step` that every column has, and evaluations on other splits than that of `tables` too.
 * \param file         has the columns of the tables
 * \param [out] kept   what the rows end with; untouched where there are none
 * \return SM_ERR_INPUT, SM_ERR_IO of the old one; SM_ERR_WRITE of the new one */
sm_status sm_run_log_copy(const sm_h5 *old, sm_h5 *file, const sm_run_table *tables, int64_t last_step,
                          sm_run_log_kept *kept);

#endif
