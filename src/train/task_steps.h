/** \file
 * The steps in which each task trains: keys `first_step` and `last_step` of its section.
 *
 * Outside of them a task is inactive, as one without a valid pixel is: it adds nothing to the objective, and neither its head nor
 * its log-variance is updated. It is still evaluated. */
#ifndef SIGMATIC_TRAIN_TASK_STEPS_H
#define SIGMATIC_TRAIN_TASK_STEPS_H

#include <sigmatic/train/session.h>

/** From `first` to `last`, both included; counted from 1, skipped ones too, over all starts of a run. */
typedef struct sm_task_steps {
    int64_t first, last;
} sm_task_steps;

/** \return one a task, freed with sm_free(); a task without last_step ends with INT64_MAX. Not collective */
sm_task_steps *sm_task_steps_read(const sm_session *session);

/** Refuses a run in which a task ends before it begins, or in which at some step no task trains.
 * \param steps  of the whole run; 0: not known, only the former is refused
 * \return SM_ERR_CONFIG naming the keys and the steps. Not collective */
sm_status sm_task_steps_check(const sm_session *session, int64_t steps);

/** Warns of tasks that begin after the end of a run of so many steps. Not collective */
void sm_task_steps_warn(const sm_session *session, int64_t steps);

static inline int sm_task_trains(const sm_task_steps *steps, int64_t step)
{
    return steps->first <= step && step <= steps->last;
}

#endif
