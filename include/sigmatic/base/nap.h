/** \file
 * The sleep of a thread that another one can wake. Its length is a span: no clock that jumps or stands still matters. */
#ifndef SIGMATIC_BASE_NAP_H
#define SIGMATIC_BASE_NAP_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_nap {
    int ends[2]; /**< of a pipe */
} sm_nap;

/** \return 0 if the system has no more descriptors; then there is nothing to end */
int sm_nap_begin(sm_nap *nap);

/** \return 1 if sm_nap_wake() was called, now or before */
int sm_nap_for(const sm_nap *nap, double seconds);

/** From another thread. */
void sm_nap_wake(const sm_nap *nap);

void sm_nap_end(const sm_nap *nap);

#ifdef __cplusplus
}
#endif
#endif
