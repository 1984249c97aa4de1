/** \file
 * The evaluator's own struct, shared with the trivial predictor (trivial.c) and the tables (evaluator_report.c). */
#ifndef SIGMATIC_TRAIN_EVALUATOR_PRIVATE_H
#define SIGMATIC_TRAIN_EVALUATOR_PRIVATE_H

#include <sigmatic/train/evaluator.h>

#include "train/evaluator_metrics.h"
#include "train/evaluator_views.h"

struct sm_evaluator {
    sm_session *session;
    sm_dataset *dataset;
    sm_evaluator_metrics metrics;
    sm_evaluator_views views;
    sm_loader_options loader;            /* of the size measured at */
    int64_t batches;                     /* that every rank gets, the last ones maybe empty */
    const float **predictions_of_sample; /* one a task */
};

#endif
