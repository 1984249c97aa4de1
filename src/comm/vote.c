#include <sigmatic/base/timer.h>
#include <sigmatic/comm/vote.h>

#include <math.h>

static const double interval_seconds = 1;

void sm_vote_between(sm_comm *comm, sm_vote *v, int64_t rounds, sm_status own, int stop)
{
    double now = sm_seconds();
    if (rounds != v->due) {
        return;
    }
    double worst[3] = {own != SM_OK, stop,
                       rounds > v->last ? (now - v->last_seconds) / (double)(rounds - v->last) : interval_seconds};
    sm_comm_max_double(comm, worst, 3);
    v->failed = worst[0] > 0;
    v->stop = worst[1] > 0;
    v->last = rounds;
    v->last_seconds = now;
    v->due = rounds + (int64_t)fmax(1, interval_seconds / fmax(worst[2], 1e-6));
}
