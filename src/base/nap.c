#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/nap.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

int sm_nap_begin(sm_nap *nap)
{
    if (pipe(nap->ends) != 0) {
        return 0;
    }
    fcntl(nap->ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(nap->ends[1], F_SETFD, FD_CLOEXEC);
    return 1;
}

int sm_nap_for(const sm_nap *nap, double seconds)
{
    struct pollfd end = {.fd = nap->ends[0], .events = POLLIN};
    return poll(&end, 1, (int)(seconds * 1000) + 1) > 0;
}

void sm_nap_wake(const sm_nap *nap)
{
    ssize_t written = write(nap->ends[1], "", 1);
    (void)written; /* the pipe has room for one byte */
}

void sm_nap_end(const sm_nap *nap)
{
    close(nap->ends[0]);
    close(nap->ends[1]);
}
