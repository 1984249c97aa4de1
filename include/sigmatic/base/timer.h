/** \file
 * Time. */
#ifndef SIGMATIC_BASE_TIMER_H
#define SIGMATIC_BASE_TIMER_H

#ifdef __cplusplus
extern "C" {
#endif

/** \return seconds since some fixed moment, monotonic. */
double sm_seconds(void);

#ifdef __cplusplus
}
#endif
#endif
