#define _POSIX_C_SOURCE 200809L
#include "comm/wait.h"

#include <sigmatic/base/status.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>

#include <sched.h>
#include <time.h>
#include <unistd.h>

enum { MOST_POLLERS = 4 };

static const double show_after_seconds = 1e-3;

/* A long wait leaves the core alone: the rank waited for, another job or the link's own work may want it. */
static const double nap_after_seconds = 5e-3;
static const struct timespec nap = {0, 50000};

static double yield_after_seconds, waited_seconds;

static struct {
    void (*poll)(void *user);
    void *user;
} pollers[MOST_POLLERS];
static int poller_count;

void sm_wait_begin(int ranks)
{
    yield_after_seconds = ranks > sysconf(_SC_NPROCESSORS_ONLN) ? 0 : 20e-6;
}

double sm_comm_take_waited_seconds(void)
{
    double seconds = waited_seconds;
    waited_seconds = 0;
    return seconds;
}

void sm_poller_add(void (*poll)(void *user), void *user)
{
    if (poller_count == MOST_POLLERS) {
        sm_abort("more than %d reductions at a time", MOST_POLLERS);
    }
    pollers[poller_count].poll = poll;
    pollers[poller_count++].user = user;
}

void sm_poller_remove(void (*poll)(void *user), void *user)
{
    for (int i = 0; i < poller_count; i++) {
        if (pollers[i].poll == poll && pollers[i].user == user) {
            pollers[i] = pollers[--poller_count];
            return;
        }
    }
}

/* Between two looks at what is waited for. \return how long it slept at least */
static double leave_core(double waited, unsigned polls)
{
    enum { MANY_POLLS = 1 << 22 }; /* they take longer than a clock that works would leave at nap_after_seconds */
    if (waited > yield_after_seconds) {
        sched_yield(); /* the rank waited for may want this core */
    }
    if (waited <= nap_after_seconds && polls < MANY_POLLS) {
        return 0;
    }
    nanosleep(&nap, NULL);
    return 1e-9 * (double)nap.tv_nsec;
}

void sm_wait(int (*finished)(void *user), void *user, const sm_wait_reason *reason)
{
    enum { POLLS_PER_CLOCK = 8 };
    if (finished(user)) {
        return;
    }
    double begin = sm_seconds(), slept = 0; /* where the clock stands still, the sleep counts */
    int is_shown = 0;
    for (unsigned polls = 1; !finished(user); polls++) {
        if (polls % POLLS_PER_CLOCK != 0) {
            continue;
        }
        double waited = sm_seconds() - begin;
        waited = waited > slept ? waited : slept;
        slept += leave_core(waited, polls);
        for (int i = 0; i < poller_count; i++) {
            pollers[i].poll(pollers[i].user);
        }
        if (!is_shown && waited > show_after_seconds) {
            sm_stall_show_wait(reason, begin);
            is_shown = 1;
        }
        sm_stall_check(waited, begin + waited);
        sm_stall_check_neighbour(waited, begin + waited);
    }
    waited_seconds += sm_seconds() - begin;
    if (is_shown) {
        sm_stall_show_wait(NULL, 0);
    }
}

static int request_finished(void *user)
{
    int finished = 0;
    sm_check_mpi(MPI_Test(user, &finished, MPI_STATUS_IGNORE), "MPI_Test");
    return finished;
}

void sm_wait_for_request(MPI_Request *request, const char *what)
{
    sm_wait(request_finished, request, &(sm_wait_reason){what, 0, 0});
}
