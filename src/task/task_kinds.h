/** \file
 * What the rows of sm_task_kinds share. Each row is a file of its own; the table in task_kinds.c names them. */
#ifndef SIGMATIC_TASK_TASK_KINDS_H
#define SIGMATIC_TASK_TASK_KINDS_H

#include <sigmatic/task/task.h>

/** Targets as they are, of classes and of real values: sm_task_kind.build_target (target_build.c). */
int64_t sm_build_classes(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);
int64_t sm_build_reals(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);

/** \return the class of the greatest of `classes` logits, of equals the first (decode.c). */
int sm_likeliest_class(int classes, const float *logits);

#endif
