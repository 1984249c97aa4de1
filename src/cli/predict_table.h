/** \file
 * The CSV of what is predicted of whole images: a row an image, a column a value. */
#ifndef SIGMATIC_CLI_PREDICT_TABLE_H
#define SIGMATIC_CLI_PREDICT_TABLE_H

#include <sigmatic/comm/comm.h>
#include <sigmatic/train/predictor.h>

/** \return 1 if any task has a value of the whole image. */
int predict_table_has_columns(const sm_task *const *tasks, int task_count);

/** \return the row of an image, freed with sm_free(): its name; of each task of whole images the name of its class, its
 * numbers, or 0 and 1 of its labels; then its uncertainties. */
char *predict_table_row(const char *name, const sm_task_prediction *tasks, int task_count);

/** \return the names of the columns of such rows, freed with sm_free() */
char *predict_table_header(const sm_task_prediction *tasks, int task_count);

/** Writes the rows of all ranks in the order of the images. Collective.
 * \param header  NULL on a rank that has no row
 * \param rows    of this rank's images: those of index rank, rank + ranks, ...; NULL: none of it
 * \return the same on every rank: SM_ERR_WRITE, SM_ERR_IO naming `path` */
sm_status predict_table_write(sm_comm *comm, const char *path, const char *header, char *const *rows,
                              int64_t row_count);

#endif
