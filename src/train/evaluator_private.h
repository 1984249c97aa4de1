/** \file
 * The evaluator's own struct, shared with the trivial predictor (trivial.c). */
#ifndef SIGMATIC_TRAIN_EVALUATOR_PRIVATE_H
#define SIGMATIC_TRAIN_EVALUATOR_PRIVATE_H

#include <sigmatic/train/evaluator.h>

struct sm_evaluator {
    sm_session *session;
    sm_dataset *dataset;
    sm_engine *engine;
    sm_loader_options loader;
    sm_target_builder *builders;
    size_t *first_count, *first_sum; /* one a task, and the end */
    int64_t *counts;
    double *sums;
    const float **logits; /* one a task, of the batch at hand */
    int value_count;
};

#endif
