/** \file
 * The functions behind the rows of sm_task_kinds; contracts in <sigmatic/task/task.h>. */
#ifndef SIGMATIC_TASK_TASK_KINDS_H
#define SIGMATIC_TASK_TASK_KINDS_H

#include <sigmatic/task/task.h>

/* target_build.c: any target of classes, of real values */
int64_t sm_build_classes(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);
int64_t sm_build_reals(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);

/* semantic.c: counts are the confusion matrix, row truth, column prediction */
extern const sm_metric sm_semantic_metrics[];
size_t sm_semantic_counts(const sm_task *task);
size_t sm_semantic_sums(const sm_task *task);
void sm_semantic_add(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                     int64_t *counts, double *sums);
void sm_semantic_values(const sm_task *task, const int64_t *counts, const double *sums, double *values);
void sm_semantic_picture(const sm_task *task, int height, int width, const float *logits, const void *target,
                         const uint8_t *thing, uint8_t *rgb);

/* instance.c: one count (valid pixels) and one sum (of |dx| + |dy|) */
extern const sm_metric sm_instance_metrics[];
int64_t sm_instance_build(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);
size_t sm_instance_counts(const sm_task *task);
size_t sm_instance_sums(const sm_task *task);
void sm_instance_add(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                     int64_t *counts, double *sums);
void sm_instance_values(const sm_task *task, const int64_t *counts, const double *sums, double *values);
void sm_instance_picture(const sm_task *task, int height, int width, const float *logits, const void *target,
                         const uint8_t *thing, uint8_t *rgb);

/* depth.c: counts are valid pixels and those of known distance; sums of |error|, error^2 and |error in metres| */
extern const sm_metric sm_depth_metrics[];
size_t sm_depth_counts(const sm_task *task);
size_t sm_depth_sums(const sm_task *task);
void sm_depth_add(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                  int64_t *counts, double *sums);
void sm_depth_values(const sm_task *task, const int64_t *counts, const double *sums, double *values);
void sm_depth_picture(const sm_task *task, int height, int width, const float *logits, const void *target,
                      const uint8_t *thing, uint8_t *rgb);

#endif
