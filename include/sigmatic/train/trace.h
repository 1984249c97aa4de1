/** \file
 * A timeline of a window of steps, per rank, in the Chrome trace format: chrome://tracing and Perfetto open it.
 *
 * Every rank collects its own events in memory; rank 0 writes them all. Times of different hosts are aligned by a barrier at the start of the window. */
#ifndef SIGMATIC_TRAIN_TRACE_H
#define SIGMATIC_TRAIN_TRACE_H

#include <sigmatic/base/status.h>
#include <sigmatic/comm/comm.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_trace sm_trace;

/** What kind of work an event is; each kind is a lane of its rank. */
typedef enum sm_trace_lane {
    SM_TRACE_STEP,
    SM_TRACE_OP,
    SM_TRACE_WAIT,
    SM_TRACE_BUCKET,
    SM_TRACE_IO,
    SM_TRACE_LANES
} sm_trace_lane;

/** \param first_step, last_step  the window, both included; steps count from 1 */
sm_trace *sm_trace_new(int64_t first_step, int64_t last_step);
void sm_trace_free(sm_trace *trace);

/** Opens or closes the window before a step. \return 1 inside it. Collective. */
int sm_trace_begin_step(sm_trace *trace, sm_comm *comm, int64_t step);

/** Adds an event; ignored outside the window. NULL trace is legal. \param begin, end  sm_seconds() */
void sm_trace_add(sm_trace *trace, sm_trace_lane lane, double begin, double end, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/** Tells before the work whether a timeline may be written to `path`: nothing is there, or an earlier timeline. Not collective.
 * \return SM_ERR_USAGE naming what is there instead */
sm_status sm_trace_check(const char *path);

/** Writes all ranks' events; refuses what sm_trace_check() does. Collective. */
sm_status sm_trace_write(sm_trace *trace, sm_comm *comm, const char *path);

#ifdef __cplusplus
}
#endif
#endif
