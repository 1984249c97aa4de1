/** \file
 * Learning-rate schedules: a table of decays, with a linear warm-up in front of any of them. */
#ifndef SIGMATIC_OPTIM_SCHEDULE_H
#define SIGMATIC_OPTIM_SCHEDULE_H

#include <sigmatic/base/status.h>
#include <sigmatic/io/config.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_schedule sm_schedule;

/** One row of the table of schedules. */
typedef struct sm_schedule_kind {
    const char *name; /**< "poly", "cosine", "step", "constant" */
    const char *help;
    /** \return what is left of the learning rate, 1 at step 0. \param step  0-based, at most schedule->steps */
    double (*factor)(const sm_schedule *schedule, double step);
} sm_schedule_kind;

/** All schedules; ends with a NULL name. */
extern const sm_schedule_kind sm_schedule_kinds[];

/** As configured in section [schedule]. */
struct sm_schedule {
    const sm_schedule_kind *kind;
    double learning_rate; /**< lr0 */
    int64_t steps;        /**< of the whole run: the decays end there */
    double power;         /**< poly */
    int milestone_count;  /**< step */
    int64_t *milestones;  /**< step: ascending; the rate is multiplied by gamma at each */
    double gamma;         /**< step */
    double minimum;       /**< the learning rate that the decay tends to */
    int64_t warmup_steps; /**< 0 = none */
    double warmup_factor; /**< of the rate at step 0, rising linearly to 1 at warmup_steps */
};

/** Keys of section [schedule]; ends with a NULL name. */
extern const sm_key sm_schedule_keys[];

/** \param learning_rate  lr0, at step 0 without warm-up
 * \param steps  steps of the whole run, at least 1
 * \param [out] out  freed with sm_schedule_free(). \return SM_ERR_CONFIG naming the key and what is allowed */
sm_status sm_schedule_new(const sm_config *config, double learning_rate, int64_t steps, sm_schedule **out);
void sm_schedule_free(sm_schedule *schedule);

/** \return the learning rate of attempted step i, 0-based (a skipped step counts); beyond the end that of the end:
 *
 *  lr(i) = warm(i) * (minimum + (lr0 - minimum) * factor(i)),
 *  warm(i) = w + (1 - w) min(1, i / warmup_steps), w = warmup_factor
 *  poly: (1 - i/steps)^power;  cosine: (1 + cos(pi i/steps)) / 2;  step: gamma^(milestones <= i);  constant: 1 */
double sm_schedule_at(const sm_schedule *schedule, int64_t step);

#ifdef __cplusplus
}
#endif
#endif
