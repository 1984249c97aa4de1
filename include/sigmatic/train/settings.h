/** \file
 * Sections [run], [distributed] and [checkpoint] of the configuration, and the list of all tables of keys. */
#ifndef SIGMATIC_TRAIN_SETTINGS_H
#define SIGMATIC_TRAIN_SETTINGS_H

#include <sigmatic/base/status.h>
#include <sigmatic/comm/reduction.h>
#include <sigmatic/graph/plan.h>
#include <sigmatic/io/config.h>
#include <sigmatic/io/config_help.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_settings {
    const char *folder; /**< of the run */
    uint64_t seed;
    int batch;                 /**< global */
    int64_t steps, epochs;     /**< one of them is 0 until the dataset is known */
    int64_t evaluate_interval; /**< steps; 0 = at the end only */
    double time_limit_seconds; /**< of one start; 0 = none */
    int evaluate_batch;        /**< global; 0 = batch */
    int evaluate_instances;    /**< 1: evaluations of the training decode instances, too */
    double progress_seconds;   /**< between plain lines */
    int threads;               /**< a rank */
    int micro_batches;
    sm_batch_norm_mode batch_norm;
    sm_conv2d_precision precision;
    int recompute;                  /**< values inside blocks are computed again in backward */
    int reproducible;               /**< the same bits on any number of ranks and threads */
    const char *conv2d_algorithm;   /**< NULL = the cheapest */
    sm_reduction_options reduction; /**< of the gradients */
    double stall_seconds;           /**< longest wait for other ranks; 0 = no limit */
    int64_t diagnose_interval;      /**< steps between measurements of the tasks' gradients; 0 = none */
    int64_t check_interval;         /**< steps between comparisons of the parameters over ranks; 0 = never */
    int64_t checkpoint_interval;    /**< steps; 0 = by time */
    double checkpoint_minutes;      /**< where the interval is 0; 0 = at the end and when asked to stop */
    int64_t keep_every;             /**< steps; the first checkpoint at or after each multiple stays; 0 = none */
    int keep_last;
    int keep_best;
} sm_settings;

extern const sm_key sm_run_keys[];

/** What PyTorch, Lightning, timm, MMCV, LibMTL and others call these keys: rows of SM_KEY_ELSEWHERE. */
extern const sm_key sm_keys_elsewhere[];

/** \return every table of keys, those of each weighting too, NULL-terminated: what a training config may hold. Lives as
 * long as the program. */
const sm_key *const *sm_all_keys(void);

/** What each of these keys, and each section, is for; ends with a NULL section. */
extern const sm_key_text sm_key_texts[];

/** \return all keys with conditions and texts, to be explained. Lives as long as the program. */
sm_config_manual sm_settings_manual(void);

/** Warns of each key that has no effect because another has the wrong value (sm_config_warn_without_effect()). */
void sm_settings_warn_without_effect(const sm_config *config);

/** What comes between reading a config and using it: leaves out the tasks that run.tasks does not name
 * (sm_config_keep_instances()) and sees that every required key has a value (sm_config_check()).
 * \return SM_ERR_CONFIG naming the key */
sm_status sm_settings_check(sm_config *config);

/** \return SM_ERR_CONFIG naming the key. Strings are owned by the config. */
sm_status sm_settings_read(const sm_config *config, sm_settings *settings);

#ifdef __cplusplus
}
#endif
#endif
