/** \file
 * A whole training run: data, session, steps, evaluation, run log, checkpoints, and the run folder. */
#ifndef SIGMATIC_TRAIN_TRAIN_H
#define SIGMATIC_TRAIN_TRAIN_H

#include <sigmatic/comm/comm.h>
#include <sigmatic/io/config.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_train_options {
    const char *resume; /**< NULL; "auto" = the newest checkpoint of the run folder, a new run if there is none; or a
                             checkpoint; or a run's folder: its newest one */
    int overwrite;      /**< start anew in an existing run folder: its run.h5, checkpoints and status are removed */
    int dry_run;        /**< print the plan and stop */
    int json;           /**< of a dry run: as one JSON object */
    const char *trace;  /**< file for a timeline (Chrome trace format), or NULL */
    int64_t trace_first, trace_last; /**< its steps */
} sm_train_options;

/** Trains as the config says. Collective.
 *
 * The run folder holds run.h5, checkpoints/step-<digits>.h5, checkpoints/best.h5 and `status` (running, done, pre-empted, failed: why).
 * The end of the training is saved before it is evaluated; whatever all ranks can agree on as the end of the run leaves a checkpoint.
 * A resumed run that has no step and no evaluation left changes nothing in its folder: it writes only the status `done`, and not even
 * that if the config asks for fewer steps than the run has made. A start that fails leaves a status where no run stands, and nothing where
 * one does, nor of SM_ERR_USAGE.
 *
 * \param config   not changed; must outlive the call, as `options`
 * \param [out] started  1 once the first step was reached (decides the exit code)
 * \return the same status on every rank, its message in sm_error_message(): SM_PREEMPTED if a rank was asked to stop, in a step or an
 * evaluation: a checkpoint is written. SM_ERR_NUMERIC if no step since the last evaluation or the start was applied: names tasks and
 * samples. SM_ERR_USAGE, SM_ERR_CONFIG, SM_ERR_INPUT, SM_ERR_IO, SM_ERR_WRITE naming key, file or object */
sm_status sm_train(const sm_config *config, sm_comm *comm, const sm_train_options *options, int *started);

/** Refuses a config that sm_train() would refuse whatever its files hold. They need not be there.
 * \return SM_ERR_CONFIG naming the key */
sm_status sm_train_check_config(const sm_config *config);

#ifdef __cplusplus
}
#endif
#endif
