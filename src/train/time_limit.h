/** \file
 * The time that a start may take: run.time_limit, and what Slurm leaves to the job. It ends early enough for a checkpoint: what a step and a
 * checkpoint took so far decides when the process counts as asked to stop (sm_stop_signal_set_deadline).
 *
 * Used by rank 0, whose wish to stop is everyone's. Clocks are monotonic: Slurm's end, a date, is looked at once. */
#ifndef SIGMATIC_TRAIN_TIME_LIMIT_H
#define SIGMATIC_TRAIN_TIME_LIMIT_H

#include <stddef.h>

typedef struct sm_time_limit {
    double end_seconds; /**< sm_seconds() at which nothing runs any more; INFINITY: no limit */
    double step_seconds,
        save_seconds; /**< the longest step, and the longest checkpoint or, before one is written, a guess */
    int is_saved;     /**< a checkpoint was timed */
} sm_time_limit;

/** Reads a span of time as Slurm's --time does: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes,
 * days-hours:minutes:seconds.
 * \param [out] seconds  above 0
 * \return 0 if `text` is none */
int sm_time_limit_parse(const char *text, double *seconds);

/** Sets the deadline, and says so in the log.
 * \param began_seconds     from which the limit counts, in sm_seconds()
 * \param limit_seconds     run.time_limit; 0: none
 * \param checkpoint_bytes  for the first guess */
void sm_time_limit_start(sm_time_limit *limit, double began_seconds, double limit_seconds, size_t checkpoint_bytes);

/** What a step, or a checkpoint, has taken. */
void sm_time_limit_note_step(sm_time_limit *limit, double seconds);
void sm_time_limit_note_save(sm_time_limit *limit, double seconds);

#endif
