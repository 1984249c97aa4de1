/* Leaves out bad samples: the good ones are copied to a file without room for the others, since only when all have been
 * tried is known how many there are. */
#include "data/dataset_format.h"
#include "data/dataset_writing.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/io/h5.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int compare_bad(const void *a, const void *b)
{
    const sm_bad_sample *x = a, *y = b;
    return x->split != y->split ? (x->split > y->split) - (x->split < y->split)
                                : (x->index > y->index) - (x->index < y->index);
}

int sm_writing_has_bad(const sm_writing *w)
{
    int64_t count = (int64_t)w->bad_count;
    sm_comm_max_int64(w->comm, &count, 1);
    return count > 0;
}

/* Gives every rank the bad samples of all, in their order in the file. */
static void share_bad(sm_writing *w)
{
    sm_bad_sample *all = NULL;
    size_t total = 0;
    for (int r = 0; r < sm_comm_size(w->comm); r++) {
        int is_mine = r == sm_comm_rank(w->comm);
        size_t count = w->bad_count;
        sm_comm_broadcast(w->comm, &count, sizeof count, r);
        all = sm_realloc(all, (total + count + 1) * sizeof *all);
        for (size_t i = 0; i < count; i++) {
            sm_bad_sample *to = &all[total++];
            size_t bytes = is_mine ? strlen(w->bad[i].why) + 1 : 0;
            *to = is_mine ? w->bad[i] : (sm_bad_sample){0};
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

/* Single bad files are left out. Where most samples are bad, or all of a split, it is the first file, by which others are
 * judged, an option or the description that does not fit. Of the bad samples in their order in the file. */
static sm_status check_share(sm_writing *w)
{
    static const char advice[] = "--skip-bad leaves out half of the samples at most, and of no split all";
    int64_t samples = sm_dataset_spec_samples(w->spec, w->spec->split_count), of_split = 0;
    if (w->bad_count == 0) {
        return SM_OK;
    }
    w->is_refused = 1;
    if (2 * (int64_t)w->bad_count > samples) {
        return sm_fail(SM_ERR_INPUT, "%s: %zu of %lld samples have bad files, the first: %s; %s", w->path, w->bad_count,
                       (long long)samples, w->bad[0].why, advice);
    }
    for (size_t b = 0; b < w->bad_count; b++) {
        const sm_dataset_split_spec *split = &w->spec->splits[w->bad[b].split];
        of_split = b > 0 && w->bad[b].split == w->bad[b - 1].split ? of_split + 1 : 1;
        if (of_split == split->count) {
            return sm_fail(SM_ERR_INPUT, "%s: every sample of '%s' has bad files, the first: %s; %s", w->path,
                           split->name, w->bad[b + 1 - (size_t)of_split].why, advice);
        }
    }
    w->is_refused = 0;
    return SM_OK;
}

/* The file without the bad samples. */
typedef struct packing {
    sm_dataset_spec spec;
    sm_dataset_split_spec *splits;
    int64_t **from;  /* of each split and sample, the index there */
    char **left_out; /* of each bad sample "split/name: why" */
    sm_dataset_writer *source, *writer;
} packing;

static void pack_split(const sm_writing *w, int s, size_t *bad, packing *p)
{
    const sm_dataset_split_spec *whole = &w->spec->splits[s];
    const char **names = sm_alloc((size_t)whole->count * sizeof *names);
    int64_t *from = sm_alloc((size_t)whole->count * sizeof *from), kept = 0;
    for (int64_t i = 0; i < whole->count; i++) {
        if (*bad < w->bad_count && w->bad[*bad].split == s && w->bad[*bad].index == i) {
            p->left_out[*bad] = sm_format("%s/%s: %s", whole->name, whole->names[i], w->bad[*bad].why);
            ++*bad;
        } else {
            names[kept] = whole->names[i];
            from[kept++] = i;
        }
    }
    p->splits[s] = (sm_dataset_split_spec){whole->name, kept, names};
    p->from[s] = from;
}

static void make_packing(const sm_writing *w, packing *p)
{
    size_t splits = (size_t)w->spec->split_count, bad = 0;
    *p = (packing){.spec = *w->spec, .source = w->writer};
    p->splits = sm_alloc_zeroed(splits * sizeof *p->splits);
    p->from = sm_alloc_zeroed(splits * sizeof *p->from);
    p->left_out = sm_alloc_zeroed(w->bad_count * sizeof *p->left_out);
    for (int s = 0; s < w->spec->split_count; s++) {
        pack_split(w, s, &bad, p);
    }
    assert(bad == w->bad_count);
    p->spec.splits = p->splits;
    p->spec.left_out = (const char *const *)p->left_out;
    p->spec.left_out_count = w->bad_count;
}

static void clear_packing(const sm_writing *w, packing *p)
{
    for (int s = 0; s < p->spec.split_count; s++) {
        sm_free((void *)p->splits[s].names);
        sm_free(p->from[s]);
    }
    for (size_t b = 0; b < w->bad_count; b++) {
        sm_free(p->left_out[b]);
    }
    sm_free(p->splits);
    sm_free(p->from);
    sm_free(p->left_out);
}

static sm_status copy_sample(void *user, int split, int64_t index)
{
    packing *p = user;
    return sm_dataset_writer_copy(p->source, split, p->from[split][index], p->writer, split, index);
}

static sm_status write_packed(sm_writing *w, packing *p)
{
    sm_status status = SM_OK, closed;
    sm_writing_pass copying = {.what = " copied", .one = copy_sample, .user = p};
    SM_TRY(sm_comm_agree(w->comm, w->is_root ? sm_dataset_writer_create(w->packed_path, &p->spec, &p->writer) : SM_OK));
    SM_TRY(sm_comm_agree(w->comm, w->is_root ? SM_OK : sm_dataset_writer_attach(w->packed_path, &p->spec, &p->writer)));
    SM_TRY(sm_writing_pass_all(w, &copying, &p->spec));
done:
    closed = sm_dataset_writer_close(p->writer);
    return status == SM_OK ? sm_comm_agree(w->comm, closed) : status;
}

char *sm_writing_packed_partial(const sm_writing *w)
{
    return sm_format("%s.partial", w->packed_path);
}

static sm_status pack(sm_writing *w)
{
    packing p;
    char *partial = sm_writing_packed_partial(w);
    make_packing(w, &p);
    sm_status status = sm_comm_agree(
        w->comm,
        w->is_root ? sm_file_check_replaceable(partial, sm_is_dataset_file, "unfinished dataset file") : SM_OK);
    if (status == SM_OK) {
        status = write_packed(w, &p);
        if (status == SM_OK) {
            sm_log_info("%s: %zu of %lld %s left out for bad files", w->path, w->bad_count,
                        (long long)sm_dataset_spec_samples(w->spec, w->spec->split_count),
                        w->bad_count == 1 ? "samples is" : "samples are");
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

/* A packed file left by a kill is no more than a copy. */
sm_status sm_writing_pack(sm_writing *w)
{
    share_bad(w);
    sm_status status = check_share(w);
    return status == SM_OK ? pack(w) : status;
}
