/** \file
 * Tables, numbers a sample in place of images: out of a CSV file, or drawn, into one dataset file. */
#ifndef SIGMATIC_DATA_TABLE_H
#define SIGMATIC_DATA_TABLE_H

#include <sigmatic/base/status.h>
#include <sigmatic/comm/comm.h>
#include <sigmatic/io/csv.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What becomes of the columns of a CSV file. Lists are names between commas, one with a comma in quotes. */
typedef struct sm_table_import_options {
    const char *path, *output;
    const char *features;     /**< NULL: all columns that are nothing else */
    const char *targets;      /**< of real values; "NAME=A+B" makes one of two components; NULL: none */
    const char *units;        /**< of the targets, in their order, as many, "" of one without; NULL: none has one */
    const char *classes;      /**< targets of classes: each text is one; NULL: none */
    const char *name;         /**< of samples; NULL: the row's number, from 1 */
    const char *group;        /**< rows of one text in it go to one split; NULL: each row by itself */
    const char *split_column; /**< says train, val or test, if there is one of that name */
    const char *fractions;    /**< "0.8,0.1,0.1" in place of such a column; NULL: all train */
    const char *seed;         /**< of that draw; NULL: 1 */
    int overwrite;
    int (*stop)(void); /**< \return 1: this process was asked to stop; NULL: none ever is */
} sm_table_import_options;

/** Imports a CSV file: features, which are standardised by mean and deviation of the split train, and targets. What is
 * unknown (sm_csv_is_missing()) is NaN, or the ignored class. The file's bytes do not depend on the number of ranks; an
 * interrupted import is gone on with. Collective.
 *
 * \return the same on every rank: SM_ERR_IO; SM_ERR_INPUT naming file, line, column, what was found and expected;
 *         SM_ERR_USAGE: a list that names no column, or one twice, or the output exists; SM_PREEMPTED */
sm_status sm_table_import(sm_comm *comm, const sm_table_import_options *options);

/** Reads a CSV file on rank 0, for all ranks. Collective. \param [out] table  freed with sm_csv_free() */
sm_status sm_table_read_csv(sm_comm *comm, const char *path, sm_csv *table);

/** Writes draws of the toy regression of the authors of Kendall, Gal and Cipolla 2018: x of N(0,1), y1 = 2 x + 8 + 10 e,
 * y2 = 3 x + 3 + e, each e of N(0,1) by itself. Collective.
 * \param samples, validation  draws of train, at least 1, and of val, of which 0 leave it out
 * \return SM_ERR_USAGE, SM_ERR_IO, the same on every rank */
sm_status sm_table_write_toy(sm_comm *comm, const char *output, int64_t samples, int64_t validation, uint64_t seed,
                             int overwrite);

#ifdef __cplusplus
}
#endif
#endif
