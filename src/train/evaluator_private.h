/** \file
 * The evaluator's own struct, shared with the trivial predictor (trivial.c). */
#ifndef SIGMATIC_TRAIN_EVALUATOR_PRIVATE_H
#define SIGMATIC_TRAIN_EVALUATOR_PRIVATE_H

#include <sigmatic/base/sum_tree.h>
#include <sigmatic/comm/tree_sum.h>
#include <sigmatic/train/evaluator.h>

struct sm_evaluator {
    sm_session *session;
    sm_dataset *dataset;
    sm_engine *engine;
    sm_loader_options loader;
    sm_target_builder *builders;
    size_t *first_count, *first_sum; /* one a task, and the end */
    int64_t *counts;
    double *sums; /* rows: the places of the stack of `tree`, the order in which samples are added */
    sm_sum_tree tree;
    int64_t *blocks; /* where each rank's samples begin; and the end */
    int64_t position;
    int64_t batches; /* that every rank gets, the last ones maybe empty */
    sm_tree_sum *ranks;
    void *workspace;      /* of `ranks` */
    const float **logits; /* one a task, of the batch at hand */
    int value_count;
};

#endif
