/** \file
 * The instances that a labelled sample shows: what predicted ones are compared with. */
#ifndef SIGMATIC_TASK_TRUTH_INSTANCES_H
#define SIGMATIC_TASK_TRUTH_INSTANCES_H

#include <sigmatic/task/joint_metric.h>

/** An instance of a class that has instances. */
typedef struct sm_truth_instance {
    int class; /**< the most frequent known one of its pixels, of equals the first */
    size_t pixels;
} sm_truth_instance;

typedef struct sm_truth_instances {
    sm_truth_instance *items; /**< by id */
    int count;
    int *of_id; /**< 65536: place in `items`, -1: none of that id */
} sm_truth_instances;

/** Finds the instances of a sample's `instance_truth`. Those whose class is unknown, or of a class without instances, are none.
 * Freed with sm_truth_instances_free(). */
sm_truth_instances sm_truth_instances_find(const sm_joint_sample *sample);
void sm_truth_instances_free(sm_truth_instances *instances);

#endif
