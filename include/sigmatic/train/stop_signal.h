/** \file
 * Being asked to stop: SIGTERM, SIGUSR1 (Slurm before the time limit) and SIGINT set a flag that the step reads. */
#ifndef SIGMATIC_TRAIN_STOP_SIGNAL_H
#define SIGMATIC_TRAIN_STOP_SIGNAL_H

#ifdef __cplusplus
extern "C" {
#endif

/** Installs the handlers. A second SIGINT ends the process at once. */
void sm_stop_signal_install(void);

/** \return 1 if this process was asked to stop. */
int sm_stop_signal_seen(void);

#ifdef __cplusplus
}
#endif
#endif
