/* What is there before a dataset is written: foreign files stay, unfinished ones are gone on with or begun anew. */
#include "data/dataset_format.h"
#include "data/dataset_writing.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/io/h5.h>

static char *journal_of(const char *partial)
{
    return sm_format("%s.journal", partial);
}

/* Also of one that is damaged, if its journal says what it was. */
static int is_unfinished(const char *partial)
{
    char *journal = journal_of(partial);
    int is = sm_is_dataset_file(partial) || sm_dataset_journal_exists(journal);
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
    return sm_file_check_replaceable(path, sm_is_dataset_file, "dataset file");
}

static sm_status check_names(const sm_writing *w)
{
    sm_status status = SM_OK;
    SM_TRY(check_output(w->path, w->job->overwrite));
    SM_TRY(sm_file_check_replaceable(w->partial, is_unfinished, "unfinished dataset file"));
    SM_TRY(sm_file_check_replaceable(w->journal_path, is_journal, "journal of an unfinished dataset file"));
done:
    return status;
}

int64_t sm_writing_count_records(const sm_writing *w)
{
    sm_dataset_journal *journal = NULL;
    sm_dataset_record record;
    int64_t count = 0;
    if (sm_dataset_journal_open(w->journal_path, &journal) == SM_OK) {
        for (int64_t i = 0; i < sm_dataset_spec_samples(w->spec, w->spec->split_count); i++) {
            count += sm_dataset_journal_find(journal, i, &record);
        }
    }
    sm_dataset_journal_close(journal);
    return count;
}

/* Tries to go on with an unfinished file; says why it cannot. */
static sm_status go_on(sm_writing *w)
{
    sm_status status = SM_OK;
    int64_t samples = sm_dataset_spec_samples(w->spec, w->spec->split_count);
    char *other = NULL;
    SM_TRY(sm_dataset_journal_compare(w->journal_path, w->job->origin, samples, &other));
    if (!other && sm_dataset_writer_attach(w->path, w->spec, &w->writer) != SM_OK) {
        other = sm_strdup(sm_error_message());
    }
    if (other) {
        sm_log_warning("%s: is begun anew: %s", w->partial, other);
    } else {
        sm_log_info("%s: goes on, %lld of %lld %s there", w->partial, (long long)sm_writing_count_records(w),
                    (long long)samples, sm_plural(samples, "sample is", "samples are"));
    }
done:
    sm_free(other);
    return status;
}

static sm_status lock_journal(sm_writing *w)
{
    sm_status status = sm_make_folder_of(w->path);
    if (status == SM_OK) {
        status = sm_file_lock(w->journal_path, &w->lock);
    }
    return status == SM_ERR_USAGE ? sm_fail(status, "%s: is being written by another process", w->path) : status;
}

static sm_status create(sm_writing *w)
{
    sm_status status = SM_OK;
    if (w->job->origin) {
        int64_t samples = sm_dataset_spec_samples(w->spec, w->spec->split_count);
        SM_TRY(sm_dataset_journal_begin(w->journal_path, w->job->origin, samples));
    }
    SM_TRY(sm_dataset_writer_create(w->path, w->spec, &w->writer));
done:
    return status;
}

sm_status sm_writing_begin(sm_writing *w)
{
    sm_status status = SM_OK;
    SM_TRY(check_names(w));
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
        SM_TRY(create(w));
    }
done:
    return status;
}
