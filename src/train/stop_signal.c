#define _POSIX_C_SOURCE 200809L
#include <sigmatic/train/stop_signal.h>

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;

static void remember(int signal_number)
{
    if (signal_number == SIGINT && seen) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
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

int sm_stop_signal_seen(void)
{
    return seen;
}
