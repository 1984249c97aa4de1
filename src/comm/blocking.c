#define _POSIX_C_SOURCE 200809L
#include "comm/blocking.h"

#include <sigmatic/base/timer.h>

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

static const sm_blocking_watch *watch;

static struct {
    int depth, runs, must_end;
    double begin_seconds;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} blocked = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *look_again_and_again(void *unused)
{
    enum { PERIOD_NANOSECONDS = 250000000, SECOND_NANOSECONDS = 1000000000 };
    (void)unused;
    pthread_mutex_lock(&blocked.mutex);
    while (!blocked.must_end) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PERIOD_NANOSECONDS;
        until.tv_sec += until.tv_nsec / SECOND_NANOSECONDS;
        until.tv_nsec %= SECOND_NANOSECONDS;
        pthread_cond_timedwait(&blocked.changed, &blocked.mutex, &until);
        if (!blocked.must_end) {
            watch->check(sm_seconds() - blocked.begin_seconds);
        }
    }
    pthread_mutex_unlock(&blocked.mutex);
    return NULL;
}

void sm_blocking_set_watch(const sm_blocking_watch *new_watch)
{
    assert(blocked.depth == 0);
    watch = new_watch;
}

void sm_blocking_begin(const char *what)
{
    sigset_t all, before;
    if (blocked.depth++ > 0 || !watch) {
        return;
    }
    watch->begin(what);
    blocked.must_end = 0;
    blocked.begin_seconds = sm_seconds();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    blocked.runs = pthread_create(&blocked.thread, NULL, look_again_and_again, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void sm_blocking_end(void)
{
    assert(blocked.depth > 0);
    if (--blocked.depth > 0 || !watch) {
        return;
    }
    if (blocked.runs) {
        pthread_mutex_lock(&blocked.mutex);
        blocked.must_end = 1;
        pthread_cond_signal(&blocked.changed);
        pthread_mutex_unlock(&blocked.mutex);
        pthread_join(blocked.thread, NULL);
        blocked.runs = 0;
    }
    watch->end();
}
