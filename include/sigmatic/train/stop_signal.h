/** \file
 * Being asked to stop: SIGTERM, SIGUSR1 (Slurm before the time limit) and SIGINT set a flag that steps and evaluations read. */
#ifndef SIGMATIC_TRAIN_STOP_SIGNAL_H
#define SIGMATIC_TRAIN_STOP_SIGNAL_H

#ifdef __cplusplus
extern "C" {
#endif

/** Installs the handlers. A second SIGINT ends the process at once. Not collective: each rank has its own flag. */
void sm_stop_signal_install(void);

/** \return 1 if this process was asked to stop; 0 without handlers. Not collective. */
int sm_stop_signal_seen(void);

#ifdef __cplusplus
}
#endif
#endif
