#include "task/task_kinds.h"

#include <math.h>
#include <string.h>

/* A row is its file's own; its name is also a choice of the key `kind`, in the same order. */
extern const sm_task_kind sm_semantic_kind, sm_instance_kind, sm_depth_kind;

const sm_task_kind *const sm_task_kinds[] = {&sm_semantic_kind, &sm_instance_kind, &sm_depth_kind, NULL};

const sm_key sm_task_keys[] = {
    {"task.NAME", "kind", SM_KEY_CHOICE, NULL, 0, 0, "semantic|instance|depth", NULL, "what the task predicts"},
    {"task.NAME", "target", SM_KEY_TEXT, "", 0, 0, NULL, NULL,
     "array of the dataset that it learns; empty = its kind's: semantic, instance, disparity"},
    {"task.NAME", "loss", SM_KEY_CHOICE, "auto", 0, 0, "auto|cross_entropy|l1|l2", NULL,
     "auto = cross_entropy of a semantic task, l1 of the others, which also take l2"},
    {"task.NAME", "class_weights", SM_KEY_REALS, "", 0, INFINITY, NULL, NULL,
     "cross_entropy: factor of the loss of each class's pixels; empty = 1"},
    {0},
};

const sm_task_kind *sm_task_kind_find(const char *name)
{
    for (int k = 0; sm_task_kinds[k]; k++) {
        if (strcmp(sm_task_kinds[k]->name, name) == 0) {
            return sm_task_kinds[k];
        }
    }
    return NULL;
}
