/** \file
 * What the rows of sm_task_kinds share. Each row is a file of its own; the table in task_kinds.c names them. */
#ifndef SIGMATIC_TASK_TASK_KINDS_H
#define SIGMATIC_TASK_TASK_KINDS_H

#include <sigmatic/task/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Targets as they are, of classes or labels and of real values: sm_task_kind.build_target (target_build.c). */
int64_t sm_build_classes(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);
int64_t sm_build_reals(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);

/** Draws what is predicted, or true, as its target is drawn by sm_target_picture(). Exactly one of logits and target is
 * given (decode.c). */
void sm_draw_decoded(const sm_task *task, int height, int width, const float *logits, const void *target, double least,
                     double most, uint8_t *rgb);

/** \return the class of the greatest of `classes` logits, of equals the first (decode.c). */
int sm_likeliest_class(int classes, const float *logits);

#ifdef __cplusplus
}
#endif
#endif
