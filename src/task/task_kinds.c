#include "task/task_kinds.h"

#include <string.h>

const sm_task_kind *const sm_task_kinds[] = {&sm_semantic_kind, &sm_instance_kind, &sm_depth_kind, NULL};

const sm_task_kind *sm_task_kind_find(const char *name)
{
    for (int k = 0; sm_task_kinds[k]; k++) {
        if (strcmp(sm_task_kinds[k]->name, name) == 0) {
            return sm_task_kinds[k];
        }
    }
    return NULL;
}
