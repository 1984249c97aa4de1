/** \file
 * The rows of sm_task_kinds, a file each, and what they share. */
#ifndef SIGMATIC_TASK_TASK_KINDS_H
#define SIGMATIC_TASK_TASK_KINDS_H

#include <sigmatic/task/task.h>

extern const sm_task_kind sm_semantic_kind, sm_instance_kind, sm_depth_kind;

/** Targets as they are, of classes and of real values: sm_task_kind.build_target (target_build.c). */
int64_t sm_build_classes(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);
int64_t sm_build_reals(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);

/** \return the class of the greatest of `classes` logits, of equals the first (decode.c). */
int sm_likeliest_class(int classes, const float *logits);

#endif
