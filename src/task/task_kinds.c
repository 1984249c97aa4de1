#include "task/task_kinds.h"

#include <math.h>
#include <string.h>

/* A row is its file's own; its name is also a choice of the key `kind`, in the same order. */
extern const sm_task_kind sm_semantic_kind, sm_instance_kind, sm_depth_kind, sm_depth_metres_kind, sm_normals_kind,
    sm_regression_kind, sm_value_regression_kind, sm_classification_kind, sm_labels_kind, sm_value_labels_kind;

const sm_task_kind *const sm_task_kinds[] = {
    &sm_semantic_kind,
    &sm_instance_kind,
    &sm_depth_kind,
    &sm_depth_metres_kind,
    &sm_normals_kind,
    &sm_regression_kind,
    &sm_value_regression_kind,
    &sm_classification_kind,
    &sm_labels_kind,
    &sm_value_labels_kind,
    NULL,
};

const sm_key sm_task_keys[] = {
    {"task.NAME", "kind", SM_KEY_CHOICE, NULL, 0, 0, "semantic|instance|depth|normals|regression|classification|labels",
     NULL, "what the task predicts (README, What can be learnt)"},
    {"task.NAME", "target", SM_KEY_TEXT, "", 0, 0, NULL, NULL,
     "array of the dataset that it learns; empty = its kind's: semantic, instance, disparity, normal; depth in metres "
     "is "
     "depth with target = depth"},
    {"task.NAME", "loss", SM_KEY_CHOICE, "auto", 0, 0, "auto|cross_entropy|binary_cross_entropy|l1|l2|huber|cosine",
     NULL,
     "auto = cross_entropy of classes, binary_cross_entropy of labels, cosine of normals, l1 of the others; real "
     "values "
     "take l1, l2 and huber"},
    {"task.NAME", "huber_delta", SM_KEY_REAL, "1", 1e-6, 1e6, NULL, NULL,
     "huber: the error from which on the loss grows linearly, in the unit of what is learnt"},
    {"task.NAME", "encoding", SM_KEY_CHOICE, "linear", 0, 0, "linear|log|inverse", NULL,
     "depth in metres: what is learnt of it: the metres, their logarithm, or 1 / metres"},
    {"task.NAME", "class_weights", SM_KEY_REALS, "", 0, INFINITY, NULL, NULL,
     "cross_entropy: factor of the loss of each class's pixels or samples; binary_cross_entropy: of each label where "
     "it is "
     "there; empty = 1"},
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
