/** \file
 * Threads beside the main one. */
#ifndef SIGMATIC_BASE_THREAD_H
#define SIGMATIC_BASE_THREAD_H

#include <pthread.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Starts a thread that gets no signal: those are for the main thread.
 * \return 0, or the error of pthread_create() */
int sm_thread_start(pthread_t *thread, void *(*work)(void *user), void *user);

#ifdef __cplusplus
}
#endif
#endif
