/** \file
 * What a run will hold in memory, a row an owner, from the sizes that are or will be allocated. */
#ifndef SIGMATIC_TRAIN_MEMORY_TABLE_H
#define SIGMATIC_TRAIN_MEMORY_TABLE_H

#include <sigmatic/data/loader.h>
#include <sigmatic/train/evaluator.h>
#include <sigmatic/train/trainer.h>

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_MEMORY_ROWS = 16 };

typedef struct sm_memory_row {
    const char *name;
    size_t bytes;
} sm_memory_row;

/** Bytes of one rank. What is called total is to be compared with RssAnon + RssShmem of /proc/PID/status: memory shared
 * with other ranks of a node counts on every rank that has touched it: of the optimiser's state its own part, on rank 0,
 * which saves, all. */
typedef struct sm_memory_table {
    sm_memory_row rows[SM_MEMORY_ROWS];
    int count;
    size_t total;      /**< sum of the rows: while steps run, after the first evaluation */
    size_t once;       /**< of `total`, what stands once for all ranks of the node */
    size_t evaluation; /**< more while an evaluation runs: its loader */
    size_t checkpoint; /**< more on rank 0 from its first checkpoint on: the memory in which they are made */
    size_t image;      /**< of `total`, what one image more on this rank takes */
} sm_memory_table;

/** \param loader      of the training, not made yet
 * \param evaluator   NULL = none
 * Call after all engines are made and before one is bound. */
void sm_memory_table_fill(const sm_trainer *trainer, const sm_loader_options *loader, const sm_evaluator *evaluator,
                          sm_memory_table *table);

void sm_memory_table_print(const sm_memory_table *table, FILE *file);

/** Sets {"total_bytes", "image_bytes", "once_a_node_bytes", "evaluation_bytes", "checkpoint_bytes", "owners": {NAME: bytes}}. */
void sm_memory_table_set_json(const sm_memory_table *table, sm_json *json);

#ifdef __cplusplus
}
#endif
#endif
