/* The folder's own struct, shared by what it is (run_folder.c) and its checkpoints (run_folder_checkpoints.c). */
#ifndef TRAIN_RUN_FOLDER_PRIVATE_H
#define TRAIN_RUN_FOLDER_PRIVATE_H

#include "train/folder_lock.h"
#include "train/run_folder.h"

enum { SM_CHECKPOINT_NAME_BYTES = 32 };

/* What is known of a checkpoint without reading it again. */
typedef struct sm_checkpoint_verdict {
    char name[SM_CHECKPOINT_NAME_BYTES];
    int is_whole;
} sm_checkpoint_verdict;

struct sm_run_folder {
    const char *path;
    char *checkpoints; /* the folder of them */
    sm_folder_lock *lock;
    sm_checkpoint_verdict *verdicts;
    size_t verdict_count;
};

#endif
