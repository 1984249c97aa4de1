#include <sigmatic/io/choices.h>
#include <sigmatic/task/task_kinds.h>

#include <math.h>
#include <string.h>

/* A row is its file's own; its name is also a choice of the key `kind`, in the same order. */
extern const sm_task_kind sm_semantic_kind, sm_instance_kind, sm_depth_kind, sm_depth_metres_kind, sm_normals_kind,
    sm_regression_kind, sm_value_regression_kind, sm_classification_kind, sm_labels_kind, sm_value_labels_kind;

enum { MOST_KINDS = 64 };

const sm_task_kind *sm_task_kinds[MOST_KINDS + 1] = {
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

static char kind_names[32 * MOST_KINDS] = "semantic|instance|depth|normals|regression|classification|labels";

const sm_key sm_task_keys[] = {
    {"task.NAME", "kind", SM_KEY_CHOICE, NULL, 0, 0, kind_names, NULL, "what the task predicts (configs/tasks.md)"},
    {"task.NAME", "target", SM_KEY_TEXT, "", 0, 0, NULL, NULL,
     "array of the dataset that it learns; empty = its kind's (semantic, instance, disparity, normal), else the one "
     "called as the task, if it fits; beside a disparity, depth in metres is target = depth"},
    {"task.NAME", "first_step", SM_KEY_INTEGER, "1", 1, 1e12, NULL, NULL, "the first step in which it trains"},
    {"task.NAME", "last_step", SM_KEY_INTEGER, "0", 0, 1e12, NULL, NULL,
     "the last step in which it trains; 0 = the run's"},
    {"task.NAME", "loss", SM_KEY_CHOICE, "auto", 0, 0, "auto|cross_entropy|binary_cross_entropy|l1|l2|huber|cosine",
     NULL,
     "auto = cross_entropy of classes, binary_cross_entropy of labels, cosine of normals, l1 of the others; real "
     "values "
     "take l1, l2 and huber"},
    {"task.NAME", "huber_delta", SM_KEY_REAL, "1", 1e-6, 1e6, NULL, NULL,
     "huber: the error from which on the loss grows linearly, in the unit of what is learnt"},
    {"task.NAME", "uncertainty", SM_KEY_CHOICE, "per_task", 0, 0, "per_task|per_pixel", NULL,
     "per_pixel: the head predicts a log-variance of each pixel, or sample, beside its value, which takes the place of "
     "the task's (Kendall, Gal 2017)"},
    {"task.NAME", "uncertainty_draws", SM_KEY_INTEGER, "10", 1, SM_NOISE_DRAWS_MAX, NULL, NULL,
     "uncertainty = per_pixel of classes and labels: draws of the noise on the logits"},
    {"task.NAME", "encoding", SM_KEY_CHOICE, "linear", 0, 0, "linear|log|inverse", NULL,
     "depth in metres: what is learnt of it: the metres, their logarithm, or 1 / metres"},
    {"task.NAME", "class_weights", SM_KEY_REALS, "", 0, INFINITY, NULL, NULL,
     "cross_entropy: factor of the loss of each class's pixels or samples; binary_cross_entropy: of each label where "
     "it is "
     "there; empty = 1"},
    {"task.NAME", "cluster_distance", SM_KEY_REAL, "0", 0, 1e6, NULL, "px",
     "instance: pixels that point this near to each other form a cluster, an instance; 0 = 1.5 at a width of 256, as "
     "the width for others"},
    {"task.NAME", "cluster_min_samples", SM_KEY_INTEGER, "0", 0, 1e6, NULL, NULL,
     "instance: within that distance of where a pixel inside of a cluster points so many point, itself counted (from 2 "
     "on); 0 = 10 at 128 x 256, as the sampled pixels for other sizes"},
    {"task.NAME", "cluster_max_distance", SM_KEY_REAL, "0", 0, 1e6, NULL, "px",
     "instance: other pixels join the cluster that they point nearest to, up to here; 0 = 8 at a width of 256, as the "
     "width for others"},
    {"task.NAME", "cluster_min_pixels", SM_KEY_INTEGER, "0", 0, 1e9, NULL, NULL,
     "instance: smaller ones are dropped; 0 = 10 at 128 x 256, as the pixels for other sizes"},
    {"task.NAME", "cluster_stride", SM_KEY_INTEGER, "0", 0, 64, NULL, "px",
     "instance: only every such pixel of every such row is clustered, the others join; 0 = width / 512, at least 1"},
    {"task.NAME", "cluster_by_class", SM_KEY_BOOL, "yes", 0, 0, NULL, NULL,
     "instance: pixels of different predicted classes are clustered apart"},
    {0},
};

sm_status sm_task_kind_register(const sm_task_kind *kind)
{
    const char *name = kind->name ? kind->name : "";
    int count = 0;
    while (sm_task_kinds[count]) {
        count++;
    }
    if (!kind->losses || !kind->build_target || !kind->metric_counts || !kind->metric_sums || !kind->metric_add ||
        !kind->metric_values || !kind->metrics) {
        return sm_fail(SM_ERR_USAGE,
                       "task kind '%s': expected losses, build_target, metrics and the four functions metric_...",
                       name);
    }
    if (count == MOST_KINDS) {
        return sm_fail(SM_ERR_USAGE, "task kind '%s': the table has %d already", name, count);
    }
    sm_status status =
        sm_choices_has(kind_names, name) ? SM_OK : sm_choices_add(kind_names, sizeof kind_names, "task kind", name);
    if (status == SM_OK) {
        sm_task_kinds[count] = kind;
    }
    return status;
}

const sm_metric *sm_task_kind_metric(const sm_task_kind *kind, int index)
{
    const sm_metric *tables[] = {kind->metrics, kind->joint ? kind->joint->metrics : NULL};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        for (const sm_metric *m = tables[t]; m && m->name; m++) {
            if (index-- == 0) {
                return m;
            }
        }
    }
    return NULL;
}

const sm_task_kind *sm_task_kind_find(const char *name)
{
    for (int k = 0; sm_task_kinds[k]; k++) {
        if (strcmp(sm_task_kinds[k]->name, name) == 0) {
            return sm_task_kinds[k];
        }
    }
    return NULL;
}
