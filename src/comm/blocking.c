#define _POSIX_C_SOURCE 200809L
#include "comm/blocking.h"

#include <sigmatic/base/nap.h>
#include <sigmatic/base/thread.h>
#include <sigmatic/base/timer.h>

#include <assert.h>

static const sm_blocking_watch *watch;

static struct {
    int depth, runs;
    double begin_seconds;
    pthread_t thread;
    sm_nap nap;
} blocked;

/* Where the clock stands still, the naps count. */
static void *look_again_and_again(void *unused)
{
    const double period_seconds = 0.25;
    (void)unused;
    for (double slept = period_seconds; !sm_nap_for(&blocked.nap, period_seconds); slept += period_seconds) {
        double waited = sm_seconds() - blocked.begin_seconds;
        watch->check(waited > slept ? waited : slept);
    }
    return NULL;
}

void sm_blocking_set_watch(const sm_blocking_watch *new_watch)
{
    assert(blocked.depth == 0);
    watch = new_watch;
}

void sm_blocking_begin(const char *what)
{
    if (blocked.depth++ > 0 || !watch) {
        return;
    }
    watch->begin(what);
    blocked.begin_seconds = sm_seconds();
    blocked.runs = sm_nap_begin(&blocked.nap);
    if (blocked.runs && sm_thread_start(&blocked.thread, look_again_and_again, NULL) != 0) {
        sm_nap_end(&blocked.nap);
        blocked.runs = 0;
    }
}

void sm_blocking_end(void)
{
    assert(blocked.depth > 0);
    if (--blocked.depth > 0 || !watch) {
        return;
    }
    if (blocked.runs) {
        sm_nap_wake(&blocked.nap);
        pthread_join(blocked.thread, NULL);
        sm_nap_end(&blocked.nap);
        blocked.runs = 0;
    }
    watch->end();
}
