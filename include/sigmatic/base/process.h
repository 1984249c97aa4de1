/** \file
 * Whether a process of this machine still lives. */
#ifndef SIGMATIC_BASE_PROCESS_H
#define SIGMATIC_BASE_PROCESS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A process, told apart from a later one of the same number by its start. */
typedef struct sm_process {
    int64_t id;
    uint64_t start; /**< in ticks since the machine's start; 0: not known */
} sm_process;

/** Of the caller. */
sm_process sm_process_own(void);

/** \return 1 if this process sees it alive; a stopped one is. 0 if it has ended, is of a container whose processes are not seen from here, or
 * the system tells nothing (no Linux): whoever was never seen alive is not known to have ended */
int sm_process_is_alive(const sm_process *process);

#ifdef __cplusplus
}
#endif
#endif
