/** \file
 * One training run on one rank, and its three parts: set up from the config, started (or gone on with) in its folder, trained.
 *
 * All of them are collective; a failure is the same on every rank, with its message in sm_error_message(). */
#ifndef SIGMATIC_TRAIN_TRAINING_H
#define SIGMATIC_TRAIN_TRAINING_H

#include <sigmatic/data/augmentation.h>
#include <sigmatic/train/evaluator.h>
#include <sigmatic/train/memory_table.h>
#include <sigmatic/train/run_log.h>
#include <sigmatic/train/train.h>
#include <sigmatic/train/trainer.h>

#include "train/best.h"
#include "train/loss_spikes.h"
#include "train/progress.h"
#include "train/run_folder.h"
#include "train/saver.h"
#include "train/time_limit.h"

/** Everything of one run; what is there is freed by its maker's counterpart in train.c. */
typedef struct sm_training {
    const sm_config *config; /**< not owned, as the next two */
    sm_comm *comm;
    const sm_train_options *options;
    /* set up */
    sm_dataset *train, *validation; /**< validation NULL: none */
    sm_augmentation augmentation;
    sm_session *session;
    sm_target_builder *builders;
    sm_loader_options loader_options;
    sm_trainer *trainer;
    sm_evaluator *evaluator; /**< NULL: no validation */
    double *values;          /**< of the last evaluation */
    double *losses;          /**< of each task in it */
    sm_calibration *calibrations;
    sm_memory_table memory;
    int64_t steps; /**< of the whole run */
    /* started */
    sm_run_folder *folder; /**< rank 0 works with it */
    int folder_ready;      /**< the status file speaks for this run */
    int is_complete;       /**< no step and no evaluation is left: nothing in the folder changes */
    sm_run_log *log;       /**< rank 0 */
    sm_loader *loader;
    sm_trace *trace; /**< NULL: none wanted */
    sm_progress *progress;
    sm_loss_spikes *spikes;
    double begin_seconds, earlier_seconds; /**< clock at the first step; what earlier starts took */
    int64_t first_step;                    /**< steps made by earlier starts */
    double called_seconds;                 /**< clock when sm_train() was called */
    sm_time_limit time_limit;              /**< rank 0 */
    /* trained */
    int64_t evaluated_step;              /**< the last one; -1: none */
    int is_evaluation_due;               /**< rank 0: its row is not in the log yet */
    int64_t saved_step;                  /**< the run goes on from the folder's own checkpoint of it; -1: it does not */
    sm_saver *saver;                     /**< rank 0 */
    sm_status saved;                     /**< rank 0: what writing checkpoints has met */
    int64_t judged_step, judged_applied; /**< steps and applied steps when it was last asked whether the run learns */
    sm_best best;                        /**< what makes an evaluation the best */
    double best_metric;                  /**< the best score so far; NaN: none yet */
    sm_status logged;                    /**< rank 0: of writing the log, the first failure */
    char *log_failure;                   /**< its message; NULL: none */
    char *skipped;                       /**< why the last skipped step was; NULL: none was */
} sm_training;

/** \return 1 on rank 0, which writes. Not collective. */
static inline int sm_training_is_root(const sm_training *training)
{
    return sm_comm_rank(training->comm) == 0;
}

/** Opens the data, makes session, trainer and evaluator (train_setup.c).
 * \return SM_ERR_CONFIG, SM_ERR_INPUT, SM_ERR_IO naming key or file */
sm_status sm_training_set_up(sm_training *training);

/** Prints what would be trained to standard output: plan, memory, steps. */
sm_status sm_training_print_plan(const sm_training *training);

/** Takes the run folder, loads what the run starts from, opens log and loader (train_start.c).
 * What an earlier run left is untouched until nothing can refuse the start any more, its log until there is something new to write.
 * \return SM_ERR_USAGE, SM_ERR_INPUT, SM_ERR_IO */
sm_status sm_training_start(sm_training *training);

/** Makes the steps that are left, with evaluations and checkpoints between them (train_steps.c).
 * \return SM_PREEMPTED after a checkpoint, if a rank was asked to stop; SM_ERR_NUMERIC if the run learns nothing (any more); what loader,
 * evaluation, log or checkpoint met */
sm_status sm_training_run(sm_training *training);

#endif
