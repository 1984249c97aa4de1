/** \file
 * Status codes, the one exit of a function, and the message of the last failure.
 *
 * Three tiers of error: `assert` for our own bugs; a status with a message for everything that a user, a file or a disk can cause; sm_abort() for what no rank can survive (MPI failure, out of memory). */
#ifndef SIGMATIC_BASE_STATUS_H
#define SIGMATIC_BASE_STATUS_H

#include <math.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sm_status {
    SM_OK = 0,
    SM_ERR_USAGE,   /**< command line */
    SM_ERR_CONFIG,  /**< configuration: unknown key, wrong type, out of range */
    SM_ERR_INPUT,   /**< a file exists but is not what it should be */
    SM_ERR_IO,      /**< missing file, permission */
    SM_ERR_WRITE,   /**< a file that was being written could not take more: disk full, quota */
    SM_ERR_NUMERIC, /**< non-finite numbers that training cannot recover from */
    SM_ERR_COMM,    /**< a message between ranks failed */
    SM_PREEMPTED    /**< asked to stop; a checkpoint is written */
} sm_status;

/** Runs a call that returns sm_status; on failure keeps the status and jumps to the function's one exit.
 * Needs a local `sm_status status` and a label `done`. */
#define SM_TRY(call)                                                                                                   \
    do {                                                                                                               \
        status = (call);                                                                                               \
        if (status != SM_OK) {                                                                                         \
            goto done;                                                                                                 \
        }                                                                                                              \
    } while (0)

/** Records the message of a failure (thread-local, replacing the last one) and returns `status`, so that one can write
 * `return sm_fail(SM_ERR_INPUT, "%s: attribute 'format' is '%s', expected 'sigmatic-dataset'", path, found);`
 * Name the file, key or object, what was expected and what was found; no full stop, no rank (the caller adds it). */
sm_status sm_fail(sm_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
#ifdef __clang_analyzer__ /* make lint follows no call into another file: what it returns is said here */
#define sm_fail(status, ...) (sm_fail((status), __VA_ARGS__), (status))
#endif

/** \return the number as a message shows it: of a NaN with a sign printf() makes "-nan". */
static inline double sm_shown(double value)
{
    return isnan(value) ? NAN : value;
}

/** \return the calling thread's last message; "" if none. Valid until the next sm_fail() of this thread. */
const char *sm_error_message(void);

/** \return the process exit code: 0 done, 1 failed while running, 2 wrong before the first step (usage, config, input, io),
 * 75 pre-empted; a stall, which no rank survives, ends all with 3. `started` says whether the first step was reached. */
int sm_status_exit_code(sm_status status, int started);

/** Ends every rank at once: prints the message, then calls the abort handler (MPI_Abort once comm is up), else abort(). */
void sm_abort(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/** Installs what sm_abort() calls last; comm installs MPI_Abort. NULL restores abort(). */
void sm_abort_set_handler(void (*handler)(void));

#ifdef __cplusplus
}
#endif
#endif
