/** \file
 * What commonly goes wrong with learned weights, looked for in the numbers of a run: a table (train/traps.c), each row a
 * condition and a sentence with numbers and what to do. Training says each once, `show` all that hold. */
#ifndef SIGMATIC_TRAIN_TRAPS_H
#define SIGMATIC_TRAIN_TRAPS_H

#include <sigmatic/weighting/likelihood.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A task so far; NaN what is not known. */
typedef struct sm_trap_task {
    const char *name;
    const sm_likelihood *likelihood; /**< that s is of; NULL: none is learned */
    const sm_likelihood *of_loss;    /**< sm_likelihood_of_loss() */
    sm_loss_shape shape;
    const char *unit;        /**< of its loss */
    double first_loss, loss; /**< of the run's first step that has one; smoothed, now */
    double first_weight, weight;
    double initial, log_variance; /**< s, at first and now; NaN: none is learned */
    double best;                  /**< s where the objective is least at the present losses; NaN: not in closed form */
    double share;                 /**< of the gradient at the shared representation, a mean of the last measurements */
    const char *group;            /**< of tasks that have one s; NULL: the task has its own */
    double group_weight;
} sm_trap_task;

/** A run so far. */
typedef struct sm_trap_run {
    int64_t step, steps; /**< made, and in all; `steps` 0: not known */
    double loss;         /**< the total, smoothed */
    double lower, upper; /**< bounds of s */
    double learning_rate_scale;
    const sm_trap_task *tasks;
    int task_count;
    const char *method; /**< weighting.method; "": not known */
} sm_trap_run;

/** How far from 0 targets lie on which an output of 0, where heads begin, has this loss: the scale at which learned weights
 * start well. \return in the targets' unit; NaN where the loss has no such scale */
double sm_trap_scale(const sm_likelihood *of_loss, double loss, sm_loss_shape shape);

/** \return 1 if targets lie so far from the scale for which weights start that it is worth a warning */
int sm_trap_is_far(double scale, double start);

/** One row of the table. Either function returns NULL where all is well, else a sentence freed with sm_free(). */
typedef struct sm_trap {
    const char *name;                                                /**< "bound", ... */
    int is_note;                                                     /**< 1: nothing is wrong, but people ask */
    char *(*find)(const sm_trap_run *run, const sm_trap_task *task); /**< of a task; NULL: it is of the run */
    char *(*find_in_run)(const sm_trap_run *run);
} sm_trap;

extern const sm_trap sm_traps[]; /**< ends with a NULL name */

/** Calls `say` for each trap that the run is in. \param task  its index; -1: of the run */
void sm_traps_find(const sm_trap_run *run, void (*say)(void *user, const sm_trap *trap, int task, const char *text),
                   void *user);

/** \return the mean that `share` is, after one measurement more (NaN: none was made). */
double sm_trap_mean_share(double mean, double measured);

#ifdef __cplusplus
}
#endif
#endif
