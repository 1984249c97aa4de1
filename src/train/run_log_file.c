#include "train/run_log_file.h"

#include "train/run_journal.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5_checksums.h>

#include <string.h>

static const char START[] = "start";

struct sm_run_log_file {
    char *path, *partial, *journal;
    sm_run_table *tables;
    sm_run_log_attributes attributes;
    const void *user;
    int64_t resume_step, start;
    sm_run_table left[SM_RUN_TABLES]; /* rows of an earlier start's journal */
    sm_run_log_kept kept;
    int is_built;     /* the new file is whole beside the old one */
    int is_ours;      /* it stands in its place */
    int is_aside_due; /* what stands there cannot be read */
};

/* ---- what an earlier start has left ---- */

char *sm_run_log_file_journal(const char *path)
{
    static const char end[] = ".h5";
    size_t length = strlen(path), stem = length - strlen(end);
    int has_end = length > strlen(end) && strcmp(path + stem, end) == 0;
    return sm_format("%.*s.journal", (int)(has_end ? stem : length), path);
}

int64_t sm_run_log_file_read_start(const sm_h5 *file)
{
    int64_t start = 0;
    int is_read =
        sm_h5_has_attribute(file, "/", START) && sm_h5_read_attribute_int64(file, "/", START, &start) == SM_OK;
    return is_read ? start : 0;
}

/* Of none, or one that cannot be read: 0. */
static int64_t read_start(const char *path)
{
    sm_h5 *file = NULL;
    int is_open = sm_file_exists(path) && sm_h5_open(path, &file) == SM_OK;
    int64_t start = is_open ? sm_run_log_file_read_start(file) : 0;
    sm_h5_close(file);
    return start;
}

static void forget_left(sm_run_log_file *f)
{
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        sm_run_table_clear(&f->left[t]);
    }
}

/* Gives what cannot be used another name, beside those that earlier starts put aside. */
static sm_status set_aside(const char *path)
{
    char *aside = NULL;
    int number = 0;
    do {
        sm_free(aside);
        aside = sm_format("%s.damaged-%d", path, ++number);
    } while (sm_file_exists(aside));
    sm_status status = sm_file_rename(path, aside);
    if (status == SM_OK) {
        sm_log_warning("%s is now %s, a new one begins", path, aside);
    }
    sm_free(aside);
    return status;
}

/* Rows of a journal belong to a log of the same start, or to one that is lost. */
static void read_journal(sm_run_log_file *f)
{
    int64_t log_start = read_start(f->path), start = 0;
    if (sm_file_exists(f->journal) && sm_run_journal_read(f->journal, &start, f->left) != SM_OK) {
        if (f->resume_step > 0) {
            sm_log_warning("the latest rows of the log are lost: %s", sm_error_message());
        }
        forget_left(f);
    }
    if (log_start > 0 && start != log_start) {
        forget_left(f);
    }
    f->start = 1 + (start > log_start ? start : log_start);
}

static sm_status sync_file(const char *path)
{
    sm_file *file = NULL;
    sm_status status = sm_file_open_write(path, &file);
    status = status == SM_OK ? sm_file_sync(file) : status;
    sm_file_close(file);
    return status;
}

/* Appends the waiting rows of `tables` to the file beside the log. \param [out] added  rows of all tables */
static sm_status extend(const sm_run_log_file *f, const sm_run_table *tables, int *added)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    *added = 0;
    SM_TRY(sm_h5_open_append(f->partial, &file));
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        int rows = 0;
        SM_TRY(tables[t].waiting > 0 ? sm_run_table_append(file, &tables[t], &rows) : SM_OK);
        *added += rows;
    }
done:;
    sm_status closed = sm_h5_close(file);
    return status != SM_OK ? status : closed;
}

/* The last replacement that an earlier start owes. */
static sm_status complete_old(const sm_run_log_file *f)
{
    sm_status status = SM_OK;
    int added = 0;
    SM_TRY(sm_file_copy(f->path, f->partial));
    SM_TRY(extend(f, f->left, &added));
    if (added > 0) {
        SM_TRY(sync_file(f->partial));
        SM_TRY(sm_file_rename(f->partial, f->path));
    }
    SM_TRY(sm_remove_tree(f->journal));
done:
    sm_remove_tree(f->partial);
    return status;
}

/* ---- the new file ---- */

/* Of the root: HDF5 keeps a long text, the config, where it has no checksum. */
static sm_status create(const sm_run_log_file *f, sm_h5 **file)
{
    sm_status status = SM_OK;
    static const char *const checked[] = {"/"};
    SM_TRY(sm_h5_create(f->partial, SM_H5_LATEST, file));
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        SM_TRY(sm_run_table_create(*file, &f->tables[t]));
    }
    SM_TRY(f->attributes(*file, f->user));
    SM_TRY(sm_h5_write_attribute_int64(*file, "/", START, f->start));
    SM_TRY(sm_h5_write_checksums(*file, checked, 1));
done:
    return status;
}

static sm_status copy_old(sm_run_log_file *f, sm_h5 *file)
{
    sm_status status = SM_OK;
    sm_h5 *old = NULL;
    SM_TRY(sm_h5_open(f->path, &old));
    SM_TRY(sm_run_log_copy(old, file, f->tables, f->resume_step, &f->kept));
done:
    sm_h5_close(old);
    return status;
}

/* A log that is damaged stops nobody: the checkpoint knows all that is needed to go on. */
static sm_status keep_old(sm_run_log_file *f, sm_h5 **file)
{
    sm_status status = SM_OK;
    if (sm_file_exists(f->path)) {
        status = copy_old(f, *file);
    }
    if (status != SM_OK && status != SM_ERR_WRITE) {
        sm_log_warning("the log of earlier steps cannot be read: %s", sm_error_message());
        f->kept = (sm_run_log_kept){0};
        f->is_aside_due = 1;
        status = sm_h5_close(*file);
        *file = NULL;
        SM_TRY(status);
        SM_TRY(create(f, file));
    }
    SM_TRY(status);
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        SM_TRY(sm_run_table_take(*file, &f->tables[t], &f->left[t], f->resume_step, &f->kept));
    }
done:
    return status;
}

/* A log without new rows, beside the old one. */
static sm_status build(sm_run_log_file *f)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    f->kept = (sm_run_log_kept){0};
    SM_TRY(create(f, &file));
    if (f->resume_step > 0) {
        SM_TRY(keep_old(f, &file));
    }
done:;
    sm_status closed = sm_h5_close(file);
    status = status != SM_OK ? status : closed;
    f->is_built = status == SM_OK;
    return status;
}

/* \return what extending a copy, or the file that was built, met */
static sm_status make_replacement(sm_run_log_file *f)
{
    sm_status status = SM_OK;
    int added;
    if (f->is_ours) {
        SM_TRY(sm_file_copy(f->path, f->partial));
    } else if (!f->is_built) {
        SM_TRY(build(f));
    }
    SM_TRY(extend(f, f->tables, &added));
    SM_TRY(sync_file(f->partial));
done:
    return status;
}

static int is_in_a_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? sm_format("%.*s", (int)(slash - path) + (slash == path), path) : sm_strdup(".");
    int is = sm_folder_exists(folder);
    sm_free(folder);
    return is;
}

/* \return 1 if the file has the columns that it was made with, all equally long */
static int is_readable(const sm_run_log_file *f)
{
    sm_h5 *file = NULL;
    int is = sm_h5_open(f->path, &file) == SM_OK;
    for (int t = 0; t < SM_RUN_TABLES && is; t++) {
        size_t rows;
        is = sm_run_table_count(file, &f->tables[t], &rows) == SM_OK;
    }
    sm_h5_close(file);
    return is;
}

/* Somebody has removed or changed the file: what it should have is lost, the rows that wait begin a new one. Not where the whole folder is
 * away: it may come back. \return 1 if there is something new to try */
static int give_up_file(sm_run_log_file *f)
{
    int is_there = sm_file_exists(f->path);
    if (!f->is_ours || (is_there ? is_readable(f) : !is_in_a_folder(f->path))) {
        return 0;
    }
    sm_log_warning("%s is %s, and a new log begins", f->path,
                   is_there ? "not what it was when it was written" : "removed");
    f->is_aside_due = is_there;
    f->is_ours = 0;
    f->resume_step = 0;
    return 1;
}

sm_status sm_run_log_file_replace(sm_run_log_file *f)
{
    sm_status status = make_replacement(f);
    if (status != SM_OK && give_up_file(f)) {
        status = make_replacement(f);
    }
    SM_TRY(status);
    SM_TRY(f->is_aside_due && sm_file_exists(f->path) ? set_aside(f->path) : SM_OK);
    f->is_aside_due = 0;
    SM_TRY(sm_file_rename(f->partial, f->path));
    f->is_ours = 1;
    forget_left(f);
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        f->tables[t].waiting = 0;
    }
done:
    if (status != SM_OK) {
        sm_remove_tree(f->partial);
    }
    f->is_built = 0;
    return status == SM_ERR_INPUT ? SM_ERR_WRITE : status; /* what was written could not be read again */
}

int sm_run_log_file_is_ours(const sm_run_log_file *f)
{
    return f->is_ours;
}

int64_t sm_run_log_file_start(const sm_run_log_file *f)
{
    return f->start;
}

void sm_run_log_file_free(sm_run_log_file *f)
{
    if (!f) {
        return;
    }
    sm_remove_tree(f->partial);
    forget_left(f);
    sm_free(f->path);
    sm_free(f->partial);
    sm_free(f->journal);
    sm_free(f);
}

static int has_left(const sm_run_log_file *f)
{
    return f->left[SM_RUN_STEPS].waiting > 0 || f->left[SM_RUN_EVALUATIONS].waiting > 0;
}

/* The old log may end before the checkpoint where it was cut off from the disk, or was damaged. */
static void tell_gap(const sm_run_log_file *f, int had_log)
{
    if (had_log && f->kept.step < f->resume_step) {
        sm_log_warning("%s: rows are missing, those of steps after %lld up to %lld", f->path, (long long)f->kept.step,
                       (long long)f->resume_step);
    }
}

sm_status sm_run_log_file_open(const char *path, const char *journal, sm_run_table *tables, int64_t resume_step,
                               sm_run_log_attributes attributes, const void *user, sm_run_log_kept *kept,
                               sm_run_log_file **out)
{
    sm_status status = SM_OK;
    sm_run_log_file *f = sm_alloc_zeroed(sizeof *f);
    *f = (sm_run_log_file){.path = sm_strdup(path),
                           .partial = sm_format("%s.partial", path),
                           .journal = sm_strdup(journal),
                           .tables = tables,
                           .attributes = attributes,
                           .user = user,
                           .resume_step = resume_step};
    int had_log = sm_file_exists(path) || sm_file_exists(journal);
    read_journal(f);
    if (resume_step > 0 && has_left(f) && sm_file_exists(path) && complete_old(f) != SM_OK) {
        sm_log_warning("%s cannot get the rows of %s: %s", path, journal, sm_error_message());
    }
    if (resume_step > 0 && !has_left(f)) { /* of a start that died when its rows were all in the file */
        SM_TRY(sm_remove_tree(journal));
    }
    SM_TRY(build(f));
    tell_gap(f, had_log);
    *kept = f->kept;
    *out = f;
    f = NULL;
done:
    sm_run_log_file_free(f);
    return status;
}
