/** \file
 * Groups of tasks: from the config, and in a step. The equations are in sigmatic/weighting/weighting.h. */
#ifndef SIGMATIC_WEIGHTING_GROUPS_H
#define SIGMATIC_WEIGHTING_GROUPS_H

#include <sigmatic/weighting/weighting.h>

/** A step as its groups see it: arrays of one entry a group. */
typedef struct sm_group_sums {
    int *active;
    double *loss, *loss_slope, *log_variance, *gram, *weight, *dimensions;
    sm_weighting_step step; /**< what a row of the table is told */
    sm_weights out;         /**< what it answers */
    double *coefficient;
} sm_group_sums;

/** Reads `group` and `group_weight` of each task: fills in members, tasks and count, and makes room for sums where they are
 * needed.
 * \return SM_ERR_CONFIG naming the key and what is allowed */
sm_status sm_groups_read(sm_weighting *weighting, const sm_config *config, int count, const char *const *names,
                         const char *const *loss_names, const sm_loss_shape *shapes);
/** Frees what sm_groups_read() made. */
void sm_groups_free(sm_weighting *weighting);

/** \param keys  of which those of [task.NAME] that are numbers have to be the same for all tasks of a group; NULL: none
 * \return SM_ERR_CONFIG naming the key and both tasks */
sm_status sm_groups_check_keys(const sm_weighting *weighting, const sm_config *config, const sm_key *keys);

/** After `make`: a group has the likelihood of its tasks, a task that has none that of its group.
 * \return SM_ERR_CONFIG naming the tasks of a group that cannot share a log-variance, and their likelihoods */
sm_status sm_groups_settle(sm_weighting *weighting, const sm_config *config);

/** \return the section of the first task of a group, "task.depth", freed with sm_free() */
char *sm_group_section(const sm_weighting *weighting, int group);

/** Sums a step of the tasks: what it says of the groups, until the next call. */
const sm_weighting_step *sm_groups_sum(sm_weighting *weighting, const sm_weighting_step *step);

/** Gives numbers of groups to their active tasks: those times w_i, 0 of the others. */
void sm_groups_hand_out(const sm_weighting *weighting, const sm_weighting_step *step, const double *of_group,
                        double *of_task);

#endif
