#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/timer.h>
#include <sigmatic/train/stop_signal.h>

#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static const double same_signal_seconds = 1; /* one wish, sent to launcher and ranks, arrives within it */

static volatile sig_atomic_t seen, asked_to_end; /* by any signal; by one other than SIGUSR1 */
static volatile double first_seconds;
static double deadline_seconds = INFINITY;

static void end_at_once(int signal_number)
{
    static const char words[] = "asked to stop again: leaving without a checkpoint\n";
    ssize_t written = write(STDERR_FILENO, words, sizeof words - 1);
    (void)written;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void remember(int signal_number)
{
    int is_second = (seen && signal_number == SIGINT) || (asked_to_end && signal_number == SIGTERM);
    double now = sm_seconds();
    if (is_second && now - first_seconds >= same_signal_seconds) {
        end_at_once(signal_number);
    }
    if (!seen) {
        first_seconds = now;
    }
    asked_to_end = asked_to_end || signal_number != SIGUSR1;
    seen = 1;
}

void sm_stop_signal_install(void)
{
    static const int signals[] = {SIGTERM, SIGUSR1, SIGINT};
    struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], &action, NULL);
    }
}

void sm_stop_signal_set_deadline(double seconds)
{
    deadline_seconds = seconds;
}

int sm_stop_signal_seen(void)
{
    return seen || sm_seconds() >= deadline_seconds;
}

int sm_stop_signal_is_deadline(void)
{
    return !seen && sm_stop_signal_seen();
}
