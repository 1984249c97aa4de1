/* The collective loop. Samples go to their places in the unfinished file, each noted in the journal beside it. If some turn
 * out to have bad files, the good ones are copied to a file without room for the others: only when all have been tried is
 * known how many there are. */
#include "data/dataset_format.h"
#include "data/dataset_journal.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Ranks agree after every so many samples of each, so that one rank's failure does not wait for everyone's last sample. */
enum { SAMPLES_A_ROUND = 8 };

typedef struct bad_sample {
    int split;
    int64_t index;
    char *why;
} bad_sample;

typedef struct writing {
    sm_comm *comm;
    const char *path;
    char *partial, *journal_path, *packed_path; /* packed: without bad samples */
    const sm_dataset_spec *spec;
    const sm_dataset_job *job;
    int is_root;
    sm_file *lock;
    sm_dataset_journal *journal; /* NULL without origin */
    sm_dataset_writer *writer;
    int goes_on;   /* on rank 0: the unfinished file was there */
    int64_t there; /* samples of this rank that are in the unfinished file */
    bad_sample *bad;
    size_t bad_count, bad_room;
} writing;

static int64_t count_samples(const sm_dataset_spec *spec, int splits)
{
    int64_t total = 0;
    for (int s = 0; s < splits; s++) {
        total += spec->splits[s].count;
    }
    return total;
}

/* ---- what is there already ---------------------------------------------------------------------------------------- */

static int is_dataset(const char *path)
{
    return sm_h5_has_format(path, SM_DATASET_FORMAT);
}

static char *journal_of(const char *partial)
{
    return sm_format("%s.journal", partial);
}

/* Also of one that is damaged, if its journal says what it was. */
static int is_unfinished(const char *partial)
{
    char *journal = journal_of(partial);
    int is = is_dataset(partial) || sm_dataset_journal_exists(journal);
    sm_free(journal);
    return is;
}

static int is_journal(const char *path)
{
    uint64_t bytes;
    return (sm_file_size(path, &bytes) == SM_OK && bytes == 0) || sm_dataset_journal_exists(path);
}

static sm_status check_output(const char *path, int overwrite)
{
    if (sm_folder_exists(path)) {
        return sm_fail(SM_ERR_USAGE, "%s: is a folder, a dataset file is to be written", path);
    }
    if (!overwrite && sm_file_exists(path)) {
        return sm_fail(SM_ERR_USAGE, "%s: exists; --overwrite replaces it", path);
    }
    return sm_file_check_replaceable(path, is_dataset, "dataset file");
}

static sm_status check_names(const writing *w)
{
    sm_status status = SM_OK;
    SM_TRY(check_output(w->path, w->job->overwrite));
    SM_TRY(sm_file_check_replaceable(w->partial, is_unfinished, "unfinished dataset file"));
    SM_TRY(sm_file_check_replaceable(w->journal_path, is_journal, "journal of an unfinished dataset file"));
done:
    return status;
}

/* Samples that have records. */
static int64_t count_records(const char *journal_path, int64_t samples)
{
    sm_dataset_journal *journal = NULL;
    sm_dataset_record record;
    int64_t count = 0;
    if (sm_dataset_journal_open(journal_path, &journal) == SM_OK) {
        for (int64_t i = 0; i < samples; i++) {
            count += sm_dataset_journal_find(journal, i, &record);
        }
    }
    sm_dataset_journal_close(journal);
    return count;
}

/* Tries to go on with an unfinished file; says why it cannot. */
static sm_status go_on(writing *w)
{
    sm_status status = SM_OK;
    int64_t samples = count_samples(w->spec, w->spec->split_count);
    char *other = NULL;
    SM_TRY(sm_dataset_journal_compare(w->journal_path, w->job->origin, samples, &other));
    if (!other && sm_dataset_writer_attach(w->path, w->spec, &w->writer) != SM_OK) {
        other = sm_strdup(sm_error_message());
    }
    if (other) {
        sm_log_warning("%s: is begun anew: %s", w->partial, other);
    } else {
        w->goes_on = 1;
        sm_log_info("%s: goes on, %lld of %lld samples are there", w->partial,
                    (long long)count_records(w->journal_path, samples), (long long)samples);
    }
done:
    sm_free(other);
    return status;
}

static sm_status lock_journal(writing *w)
{
    sm_status status = sm_make_folder_of(w->path);
    if (status == SM_OK) {
        status = sm_file_lock(w->journal_path, &w->lock);
    }
    return status == SM_ERR_USAGE ? sm_fail(status, "%s: is being written by another process", w->path) : status;
}

/* On rank 0: makes the unfinished file, or goes on with the one that is there. */
static sm_status begin(writing *w)
{
    sm_status status = SM_OK;
    int has_journal = sm_dataset_journal_exists(w->journal_path);
    if (w->job->origin) {
        SM_TRY(lock_journal(w));
    }
    if (w->job->origin && has_journal) {
        SM_TRY(go_on(w));
    } else if (sm_file_exists(w->partial)) {
        sm_log_warning("%s: is begun anew: left by a writing that cannot be gone on with", w->partial);
    }
    if (!w->writer) {
        if (w->job->origin) {
            int64_t samples = count_samples(w->spec, w->spec->split_count);
            SM_TRY(sm_dataset_journal_begin(w->journal_path, w->job->origin, samples));
        }
        SM_TRY(sm_dataset_writer_create(w->path, w->spec, &w->writer));
    }
done:
    return status;
}

static sm_status join(writing *w)
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

/* ---- the loop ------------------------------------------------------------------------------------------------------ */

/* A pass over samples of which each rank does its share. */
typedef struct pass {
    const char *phase;
    sm_status (*one)(void *user, int split, int64_t index);
    void *user;
    int64_t done, total;
    double begin_seconds, last_seconds;
} pass;

static void report(const writing *w, pass *p, int64_t samples)
{
    p->done += samples;
    double now = sm_seconds();
    int final = p->done == p->total;
    if (final || now - p->last_seconds > (sm_log_is_live() ? 0.2 : 30)) {
        p->last_seconds = now;
        sm_log_progress(final, "%s: %lld of %lld samples%s, %.1f samples/s", w->path, (long long)p->done,
                        (long long)p->total, p->phase, (double)p->done / (now - p->begin_seconds + 1e-9));
    }
}

static int64_t must_stop(const writing *w)
{
    return w->job->stop && w->job->stop();
}

static sm_status pass_split(const writing *w, pass *p, int split, int64_t count)
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

static sm_status pass_all(const writing *w, pass *p, const sm_dataset_spec *spec)
{
    sm_status status = SM_OK;
    p->begin_seconds = p->last_seconds = sm_seconds();
    p->total = count_samples(spec, spec->split_count);
    for (int s = 0; s < spec->split_count; s++) {
        SM_TRY(pass_split(w, p, s, spec->splits[s].count));
    }
done:
    return status;
}

/* ---- filling ------------------------------------------------------------------------------------------------------- */

static void remember_bad(writing *w, int split, int64_t index)
{
    if (w->bad_count == w->bad_room) {
        w->bad_room = w->bad_room ? 2 * w->bad_room : 16;
        w->bad = sm_realloc(w->bad, w->bad_room * sizeof *w->bad);
    }
    w->bad[w->bad_count++] = (bad_sample){split, index, sm_strdup(sm_error_message())};
    sm_log_warning("%s: this sample is left out", sm_error_message());
}

/* Whole in the file already, and made of files as they are now. */
static int is_whole(writing *w, int split, int64_t index, int64_t sample, uint64_t stamp)
{
    sm_dataset_record record;
    uint32_t digest;
    return w->journal && sm_dataset_journal_find(w->journal, sample, &record) && record.stamp == stamp &&
           sm_dataset_writer_digest(w->writer, split, index, 1, &digest) == SM_OK && digest == record.digest;
}

static sm_status make_sample(void *user, int split, int64_t index)
{
    writing *w = user;
    sm_status status = SM_OK;
    int64_t sample = count_samples(w->spec, split) + index;
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

/* ---- leaving out bad samples --------------------------------------------------------------------------------------- */

static int compare_bad(const void *a, const void *b)
{
    const bad_sample *x = a, *y = b;
    return x->split != y->split ? (x->split > y->split) - (x->split < y->split)
                                : (x->index > y->index) - (x->index < y->index);
}

/* Gives every rank the bad samples of all, in their order in the file. */
static void share_bad(writing *w)
{
    bad_sample *all = NULL;
    size_t total = 0;
    for (int r = 0; r < sm_comm_size(w->comm); r++) {
        int is_mine = r == sm_comm_rank(w->comm);
        size_t count = w->bad_count;
        sm_comm_broadcast(w->comm, &count, sizeof count, r);
        all = sm_realloc(all, (total + count + 1) * sizeof *all);
        for (size_t i = 0; i < count; i++) {
            bad_sample *to = &all[total++];
            size_t bytes = is_mine ? strlen(w->bad[i].why) + 1 : 0;
            *to = is_mine ? w->bad[i] : (bad_sample){0};
            sm_comm_broadcast(w->comm, to, sizeof *to, r);
            sm_comm_broadcast(w->comm, &bytes, sizeof bytes, r);
            to->why = is_mine ? w->bad[i].why : sm_alloc(bytes);
            sm_comm_broadcast(w->comm, to->why, bytes, r);
        }
    }
    if (total > 0) {
        qsort(all, total, sizeof *all, compare_bad);
    }
    sm_free(w->bad);
    w->bad = all;
    w->bad_count = total;
}

/* The file without the bad samples. */
typedef struct packing {
    sm_dataset_spec spec;
    sm_dataset_split_spec *splits;
    int *split_of;   /* of each split, the one in the unfinished file */
    int64_t **from;  /* of each split and sample, the index there */
    char **left_out; /* of each bad sample "split/name: why" */
    sm_dataset_writer *source, *writer;
} packing;

static void pack_split(const writing *w, int split, size_t *bad, packing *p)
{
    const sm_dataset_split_spec *whole = &w->spec->splits[split];
    const char **names = sm_alloc((size_t)whole->count * sizeof *names);
    int64_t *from = sm_alloc((size_t)whole->count * sizeof *from), kept = 0;
    for (int64_t i = 0; i < whole->count; i++) {
        if (*bad < w->bad_count && w->bad[*bad].split == split && w->bad[*bad].index == i) {
            p->left_out[*bad] = sm_format("%s/%s: %s", whole->name, whole->names[i], w->bad[*bad].why);
            ++*bad;
        } else {
            names[kept] = whole->names[i];
            from[kept++] = i;
        }
    }
    int s = p->spec.split_count;
    p->splits[s] = (sm_dataset_split_spec){whole->name, kept, names};
    p->from[s] = from;
    p->split_of[s] = split;
    if (kept > 0) {
        p->spec.split_count++;
    } else {
        sm_log_info("%s: every sample of '%s' is left out, and so is the split", w->path, whole->name);
        sm_free(names);
        sm_free(from);
    }
}

static void make_packing(const writing *w, packing *p)
{
    size_t splits = (size_t)w->spec->split_count, bad = 0;
    *p = (packing){.spec = *w->spec, .source = w->writer};
    p->splits = sm_alloc_zeroed(splits * sizeof *p->splits);
    p->split_of = sm_alloc_zeroed(splits * sizeof *p->split_of);
    p->from = sm_alloc_zeroed(splits * sizeof *p->from);
    p->left_out = sm_alloc_zeroed(w->bad_count * sizeof *p->left_out);
    p->spec.split_count = 0;
    for (int s = 0; s < w->spec->split_count; s++) {
        pack_split(w, s, &bad, p);
    }
    assert(bad == w->bad_count);
    p->spec.splits = p->splits;
    p->spec.left_out = (const char *const *)p->left_out;
    p->spec.left_out_count = w->bad_count;
}

static void clear_packing(const writing *w, packing *p)
{
    for (int s = 0; s < p->spec.split_count; s++) {
        sm_free((void *)p->splits[s].names);
        sm_free(p->from[s]);
    }
    for (size_t b = 0; b < w->bad_count; b++) {
        sm_free(p->left_out[b]);
    }
    sm_free(p->splits);
    sm_free(p->split_of);
    sm_free(p->from);
    sm_free(p->left_out);
}

static sm_status copy_sample(void *user, int split, int64_t index)
{
    packing *p = user;
    return sm_dataset_writer_copy(p->source, p->split_of[split], p->from[split][index], p->writer, split, index);
}

static sm_status write_packed(writing *w, packing *p)
{
    sm_status status = SM_OK, closed;
    pass copying = {.phase = " copied", .one = copy_sample, .user = p};
    if (p->spec.split_count == 0) {
        return sm_fail(SM_ERR_INPUT, "%s: no sample is good, the first: %s", w->path, w->bad[0].why);
    }
    SM_TRY(sm_comm_agree(w->comm, w->is_root ? sm_dataset_writer_create(w->packed_path, &p->spec, &p->writer) : SM_OK));
    SM_TRY(sm_comm_agree(w->comm, w->is_root ? SM_OK : sm_dataset_writer_attach(w->packed_path, &p->spec, &p->writer)));
    SM_TRY(pass_all(w, &copying, &p->spec));
done:
    closed = sm_dataset_writer_close(p->writer);
    return status == SM_OK ? sm_comm_agree(w->comm, closed) : status;
}

/* A packed file left by a kill is no more than a copy. */
static sm_status pack(writing *w)
{
    packing p;
    char *partial = sm_format("%s.partial", w->packed_path);
    make_packing(w, &p);
    sm_status status = sm_comm_agree(
        w->comm, w->is_root ? sm_file_check_replaceable(partial, is_dataset, "unfinished dataset file") : SM_OK);
    if (status == SM_OK) {
        status = write_packed(w, &p);
        if (status == SM_OK) {
            sm_log_info("%s: %zu of %lld samples are left out for bad files", w->path, w->bad_count,
                        (long long)count_samples(w->spec, w->spec->split_count));
        } else if (w->is_root) {
            char *message = sm_strdup(sm_error_message());
            sm_dataset_writer_discard(w->packed_path);
            status = sm_fail(status, "%s", message);
            sm_free(message);
        }
    }
    clear_packing(w, &p);
    sm_free(partial);
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

static void discard(const writing *w)
{
    sm_dataset_writer_discard(w->path);
    if (w->job->origin && sm_remove_tree(w->journal_path) != SM_OK) {
        sm_log_warning("%s", sm_error_message());
    }
}

/* After a failure: what is worth going on with stays. */
static void leave(const writing *w)
{
    int64_t there = w->there;
    sm_comm_sum_int64(w->comm, &there, 1); /* and nobody writes any more */
    if (!w->is_root) {
        return;
    }
    if (w->job->origin && (w->goes_on || there > 0)) {
        int64_t samples = count_samples(w->spec, w->spec->split_count);
        sm_log_info("%s: keeps %lld of %lld samples; the same command goes on with them", w->partial,
                    (long long)count_records(w->journal_path, samples), (long long)samples);
    } else {
        discard(w);
    }
}

static sm_status publish(const writing *w)
{
    sm_status status = SM_OK;
    if (w->bad_count > 0) {
        char *packed = sm_format("%s.partial", w->packed_path);
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

static sm_status fill(writing *w)
{
    sm_status status = SM_OK, closed;
    pass filling = {.phase = "", .one = make_sample, .user = w};
    SM_TRY(pass_all(w, &filling, w->spec));
    share_bad(w);
    if (w->bad_count > 0) {
        SM_TRY(pack(w));
    }
done:
    sm_comm_set_phase("dataset, to the disk", 0, -1);
    closed = sm_dataset_writer_close(w->writer);
    w->writer = NULL;
    return status == SM_OK ? sm_comm_agree(w->comm, closed) : status;
}

static sm_status write_all(writing *w, int *begun)
{
    sm_status status = SM_OK;
    SM_TRY(sm_comm_agree(w->comm, w->is_root ? check_names(w) : SM_OK));
    char *ranks = sm_format("%s.ranks", w->path);
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    status = sm_comm_agree(w->comm, w->is_root ? begin(w) : SM_OK);
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
    writing w = {.comm = comm, .path = path, .spec = spec, .job = job, .is_root = sm_comm_rank(comm) == 0};
    w.partial = sm_format("%s.partial", path);
    w.journal_path = journal_of(w.partial);
    w.packed_path = sm_format("%s.packed", path);
    sm_status status = write_all(&w, &begun);
    if (begun) {
        char *message = sm_strdup(sm_error_message()); /* removing may fail too and replace it */
        leave(&w);
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
