/** \file
 * A table in memory, and its way into a dataset file. */
#ifndef SIGMATIC_SRC_DATA_TABLE_FILE_H
#define SIGMATIC_SRC_DATA_TABLE_FILE_H

#include "data/split_draw.h"

#include <sigmatic/comm/comm.h>
#include <sigmatic/data/target.h>

#include <stddef.h>
#include <stdint.h>

/** A target of a table. */
typedef struct sm_table_target {
    sm_target target; /**< of scope sample; its class list is its own, too */
    sm_class_list classes;
    char *name, *unit, **class_names; /**< owned; class_names in one block */
    void *values;                     /**< (rows, components), as targets are in memory; owned */
} sm_table_target;

typedef struct sm_table {
    size_t rows, features;
    char **feature_names; /**< features, each owned */
    float *values;        /**< (rows, features); NaN unknown */
    sm_table_target targets[SM_TARGETS_MAX];
    int target_count;
    char **names;       /**< rows, each owned */
    int *splits;        /**< rows: places in sm_usual_split_names */
    double *mean, *std; /**< features each; NULL: 0 and 1 */
} sm_table;

void sm_table_clear(sm_table *table);

/** Finds mean and standard deviation of the known features of the rows of train, or of the first split that there is;
 * those of a feature without two values are its mean and 1, which is warned of by `path`, unless that is NULL. */
void sm_table_standardise(sm_table *table, const char *path);

/** How it is written. */
typedef struct sm_table_job {
    const char *output, *source;
    const char *origin; /**< as sm_dataset_job's; NULL: begins anew */
    int overwrite;
    int (*stop)(void);
} sm_table_job;

/** Writes it, splits in the order train, val, test. Collective; every rank has the same table. */
sm_status sm_table_write(sm_comm *comm, const sm_table *table, const sm_table_job *job);

#endif
