/* The collective loop over samples. */
#include "data/dataset_writing.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/sampler.h>

/* Ranks agree after every so many samples of each, so that one rank's failure does not wait for everyone's last sample. */
enum { SAMPLES_A_ROUND = 8 };

int64_t sm_dataset_spec_samples(const sm_dataset_spec *spec, int splits)
{
    int64_t total = 0;
    for (int s = 0; s < splits; s++) {
        total += spec->splits[s].count;
    }
    return total;
}

/* ---- the loop ------------------------------------------------------------------------------------------------------ */

static void report(const sm_writing *w, sm_writing_pass *p, int64_t samples)
{
    p->done += samples;
    double now = sm_seconds();
    int final = p->done == p->total;
    if (final || now - p->last_seconds > (sm_log_is_live() ? 0.2 : 30)) {
        p->last_seconds = now;
        sm_log_progress(final, "%s: %lld of %lld %s%s, %.1f samples/s", w->path, (long long)p->done,
                        (long long)p->total, sm_plural(p->total, "sample", "samples"), p->what,
                        (double)p->done / (now - p->begin_seconds + 1e-9));
    }
}

static int64_t must_stop(const sm_writing *w)
{
    return w->job->stop && w->job->stop();
}

static sm_status pass_split(const sm_writing *w, sm_writing_pass *p, int split, int64_t count)
{
    int64_t first, share, most, ignored, reported = 0;
    int ranks = sm_comm_size(w->comm);
    sm_sampler_share(count, sm_comm_rank(w->comm), ranks, &first, &share);
    sm_sampler_share(count, 0, ranks, &ignored, &most);
    for (int64_t begin = 0; begin < most; begin += SAMPLES_A_ROUND) {
        sm_status status = SM_OK;
        for (int64_t i = begin; status == SM_OK && i < begin + SAMPLES_A_ROUND && i < share && !must_stop(w); i++) {
            sm_comm_set_phase("dataset, sample", 0, (int)(first + i));
            status = p->one(p->user, split, first + i);
        }
        status = sm_comm_agree(w->comm, status);
        int64_t stop = must_stop(w);
        sm_comm_max_int64(w->comm, &stop, 1);
        if (status != SM_OK || stop) {
            return status != SM_OK ? status : sm_fail(SM_PREEMPTED, "%s: asked to stop", w->path);
        }
        int64_t done = (begin + SAMPLES_A_ROUND) * ranks;
        done = done < count ? done : count;
        report(w, p, done - reported);
        reported = done;
    }
    return SM_OK;
}

sm_status sm_writing_pass_all(const sm_writing *w, sm_writing_pass *p, const sm_dataset_spec *spec)
{
    sm_status status = SM_OK;
    p->begin_seconds = p->last_seconds = sm_seconds();
    p->total = sm_dataset_spec_samples(spec, spec->split_count);
    for (int s = 0; s < spec->split_count; s++) {
        SM_TRY(pass_split(w, p, s, spec->splits[s].count));
    }
done:
    return status;
}
