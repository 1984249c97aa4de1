/* What own_training.c registers: a kind of each table, a file each. */
#ifndef OWN_KINDS_H
#define OWN_KINDS_H

#include <sigmatic/model/network.h>
#include <sigmatic/task/task.h>
#include <sigmatic/weighting/weighting.h>

extern const sm_task_kind own_log_disparity; /* own_task.c */
extern const sm_weighting_kind own_balanced; /* own_weighting.c */
extern const sm_backbone own_plain;          /* own_backbone.c */

#endif
