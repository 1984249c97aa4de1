/** \file
 * Being asked to stop: SIGTERM, SIGUSR1 (Slurm before the time limit) and SIGINT set a flag that steps and evaluations read, and so does
 * time that is over. */
#ifndef SIGMATIC_TRAIN_STOP_SIGNAL_H
#define SIGMATIC_TRAIN_STOP_SIGNAL_H

#ifdef __cplusplus
extern "C" {
#endif

/** Installs the handlers; further calls change nothing. Until then these signals end the process without a word: call it first of all.
 *
 * A second signal, a second or more after the first one, ends the process at once: SIGINT always, SIGTERM behind another SIGTERM or SIGINT.
 * SIGUSR1 only reminds, as often as it comes; nor does what reaches a rank on two ways (launcher and group) count twice.
 * Not collective: each rank has its own flag. */
void sm_stop_signal_install(void);

/** From this moment on (sm_seconds()) the process counts as asked to stop. INFINITY: never, as at first. Not collective. */
void sm_stop_signal_set_deadline(double seconds);

/** \return 1 if this process was asked to stop, or its deadline is over; 0 without handlers and deadline. Not collective. */
int sm_stop_signal_seen(void);

/** \return 1 if the deadline is over, and no signal came. Not collective. */
int sm_stop_signal_is_deadline(void);

#ifdef __cplusplus
}
#endif
#endif
