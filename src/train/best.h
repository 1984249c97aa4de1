/** \file
 * Which of two evaluations is the better one: by the metrics that the key checkpoint.best names.
 *
 * One metric is compared as it is. Several are compared by the geometric mean of those that should rise and the reciprocals of those
 * that should fall: no unit and no scale of a metric matters, and a tenth more of one is worth a tenth less of another. */
#ifndef SIGMATIC_TRAIN_BEST_H
#define SIGMATIC_TRAIN_BEST_H

#include <sigmatic/train/session.h>

typedef struct sm_best_term {
    int value; /**< its place among the values of an evaluation (sm_evaluator_run()) */
    int higher_is_better;
} sm_best_term;

typedef struct sm_best {
    sm_best_term *terms;
    int count; /**< at least 1 */
} sm_best;

/** Reads the key; where it is empty, the first metric of the first task.
 * \param [out] best  cleared with sm_best_clear(), also after a failure
 * \return SM_ERR_CONFIG naming the entry that is no TASK.METRIC of this config. Not collective */
sm_status sm_best_read(const sm_session *session, sm_best *best);
/** Of zeros is legal. */
void sm_best_clear(sm_best *best);

/** \param values  of an evaluation
 * \return the metric, or of several their mean; NaN if one was not measured */
double sm_best_score(const sm_best *best, const double *values);

/** \param before  the best score so far; NaN: none yet
 * \return 1 if `score` is better; 0 if it is NaN */
int sm_best_is_better(const sm_best *best, double score, double before);

#endif
