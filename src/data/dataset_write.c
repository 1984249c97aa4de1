/* Writes a dataset: samples go to their places in the unfinished file, each noted in the journal beside it. */
#include "data/dataset_writing.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/comm/stall.h>

#include <string.h>

/* ---- filling ------------------------------------------------------------------------------------------------------ */

static void remember_bad(sm_writing *w, int split, int64_t index)
{
    if (w->bad_count == w->bad_room) {
        w->bad_room = w->bad_room ? 2 * w->bad_room : 16;
        w->bad = sm_realloc(w->bad, w->bad_room * sizeof *w->bad);
    }
    w->bad[w->bad_count++] = (sm_bad_sample){split, index, sm_strdup(sm_error_message())};
    sm_log_warning("%s: this sample is left out", sm_error_message());
}

/* Whole in the file already, and made of files as they are now. */
static int is_whole(sm_writing *w, int split, int64_t index, int64_t sample, uint64_t stamp)
{
    sm_dataset_record record;
    uint32_t digest;
    return w->journal && sm_dataset_journal_find(w->journal, sample, &record) && record.stamp == stamp &&
           sm_dataset_writer_digest(w->writer, split, index, 1, &digest) == SM_OK && digest == record.digest;
}

static sm_status make_sample(void *user, int split, int64_t index)
{
    sm_writing *w = user;
    sm_status status = SM_OK;
    int64_t sample = sm_dataset_spec_samples(w->spec, split) + index;
    uint64_t stamp = w->job->stamp ? w->job->stamp(w->job->user, split, index) : 0;
    sm_sample made = {.baseline_metres = NAN, .fx_pixels = NAN};
    if (is_whole(w, split, index, sample, stamp)) {
        w->there++;
        return SM_OK;
    }
    status = w->job->produce(w->job->user, split, index, &made);
    if (w->job->skip_bad && (status == SM_ERR_INPUT || status == SM_ERR_IO)) {
        remember_bad(w, split, index);
        return SM_OK;
    }
    SM_TRY(status);
    SM_TRY(sm_dataset_writer_put(w->writer, split, index, &made));
    if (w->journal) {
        sm_dataset_record record = {.stamp = stamp};
        SM_TRY(sm_dataset_writer_digest(w->writer, split, index, 0, &record.digest));
        SM_TRY(sm_dataset_journal_note(w->journal, sample, record));
    }
    w->there++;
done:
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

static sm_status join(sm_writing *w)
{
    sm_status status = SM_OK;
    if (!w->is_root) {
        SM_TRY(sm_dataset_writer_attach(w->path, w->spec, &w->writer));
    }
    if (w->job->origin) {
        SM_TRY(sm_dataset_journal_open(w->journal_path, &w->journal));
    }
done:
    return status;
}

static void discard(const sm_writing *w)
{
    sm_dataset_writer_discard(w->path);
    if (w->job->origin && sm_remove_tree(w->journal_path) != SM_OK) {
        sm_log_warning("%s", sm_error_message());
    }
}

/* Options that mend a failure, a size or a scale, make other samples of all files. */
static int begins_anew(const sm_writing *w, sm_status why)
{
    const sm_dataset_job *job = w->job;
    return w->is_refused || (why != SM_PREEMPTED && job->begins_anew && job->begins_anew(job->user));
}

/* After a failure: what is worth going on with stays. What the same command needs to get further is said. */
static void leave(const sm_writing *w, sm_status why)
{
    int64_t there = w->there, is_vain = begins_anew(w, why);
    sm_comm_max_int64(w->comm, &is_vain, 1);
    sm_comm_sum_int64(w->comm, &there, 1); /* and nobody writes any more */
    if (!w->is_root) {
        return;
    }
    int64_t records = w->job->origin ? sm_writing_count_records(w) : 0;
    if (!w->job->origin || is_vain || (records == 0 && there == 0)) {
        discard(w);
        return;
    }
    int64_t samples = sm_dataset_spec_samples(w->spec, w->spec->split_count);
    const char *once = why == SM_PREEMPTED ? ""
                       : w->job->skip_bad  ? " once that is mended"
                                           : " once that is mended, or, without bad samples, with --skip-bad";
    sm_log_info("%s: keeps %lld of %lld %s; the same command goes on with them%s%s", w->partial, (long long)records,
                (long long)samples, sm_plural(samples, "sample", "samples"), once,
                why == SM_PREEMPTED ? "" : "; other options, another description or another list of files begin anew");
}

static sm_status publish(const sm_writing *w)
{
    sm_status status = SM_OK;
    if (w->bad_count > 0) {
        char *packed = sm_writing_packed_partial(w);
        status = sm_file_rename(packed, w->path);
        sm_free(packed);
    } else {
        status = sm_dataset_writer_publish(w->path);
    }
    if (status == SM_OK) {
        discard(w);
    }
    return status;
}

static sm_status fill(sm_writing *w)
{
    sm_status status = SM_OK, closed;
    sm_writing_pass filling = {.what = "", .one = make_sample, .user = w};
    SM_TRY(sm_writing_pass_all(w, &filling, w->spec));
    if (sm_writing_has_bad(w)) {
        SM_TRY(sm_writing_pack(w));
    }
done:
    sm_comm_set_phase("dataset, to the disk", 0, -1);
    closed = sm_dataset_writer_close(w->writer);
    w->writer = NULL;
    return status == SM_OK ? sm_comm_agree(w->comm, closed) : status;
}

static sm_status write_all(sm_writing *w, int *begun)
{
    sm_status status = SM_OK;
    char *ranks = sm_format("%s.ranks", w->path);
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    status = sm_comm_agree(w->comm, w->is_root ? sm_writing_begin(w) : SM_OK);
    *begun = status != SM_ERR_USAGE;
    SM_TRY(status);
    SM_TRY(sm_comm_agree(w->comm, join(w)));
    SM_TRY(fill(w));
    SM_TRY(sm_comm_agree(w->comm, w->is_root ? publish(w) : SM_OK));
    *begun = 0;
done:
    return status;
}

sm_status sm_dataset_write_job(sm_comm *comm, const char *path, const sm_dataset_spec *spec, const sm_dataset_job *job)
{
    int begun = 0;
    sm_writing w = {.comm = comm, .path = path, .spec = spec, .job = job, .is_root = sm_comm_rank(comm) == 0};
    w.partial = sm_format("%s.partial", path);
    w.journal_path = sm_format("%s.journal", w.partial);
    w.packed_path = sm_format("%s.packed", path);
    sm_status status = write_all(&w, &begun);
    if (begun) {
        char *message = sm_strdup(sm_error_message()); /* removing may fail too and replace it */
        leave(&w, status);
        status = sm_fail(status, "%s", message);
        sm_free(message);
    }
    sm_comm_set_stall_folder(NULL);
    sm_dataset_writer_close(w.writer);
    sm_dataset_journal_close(w.journal);
    sm_file_close(w.lock);
    for (size_t b = 0; b < w.bad_count; b++) {
        sm_free(w.bad[b].why);
    }
    sm_free(w.bad);
    sm_free(w.partial);
    sm_free(w.journal_path);
    sm_free(w.packed_path);
    return status;
}

sm_status sm_dataset_write(sm_comm *comm, const char *path, const sm_dataset_spec *spec, int overwrite,
                           sm_dataset_produce produce, void *user)
{
    sm_dataset_job job = {.overwrite = overwrite, .produce = produce, .user = user};
    return sm_dataset_write_job(comm, path, spec, &job);
}
