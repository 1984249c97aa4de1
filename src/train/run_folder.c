#include "train/run_folder_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/run_log.h>

#include <string.h>

sm_run_folder *sm_run_folder_new(const char *path)
{
    sm_run_folder *folder = sm_alloc_zeroed(sizeof *folder);
    folder->path = path;
    folder->checkpoints = sm_format("%s/checkpoints", path);
    return folder;
}

void sm_run_folder_free(sm_run_folder *folder)
{
    if (folder) {
        sm_folder_lock_free(folder->lock);
        sm_free(folder->verdicts);
        sm_free(folder->checkpoints);
        sm_free(folder);
    }
}

char *sm_run_folder_file(const sm_run_folder *folder, const char *name)
{
    return sm_format("%s/%s", folder->path, name);
}

int sm_run_folder_holds_run(const sm_run_folder *folder)
{
    char *log = sm_run_folder_file(folder, "run.h5");
    char **names = NULL;
    size_t count = 0;
    int holds = sm_file_exists(log) && !sm_run_log_is_empty(log);
    if (!holds && sm_folder_exists(folder->checkpoints)) {
        holds = sm_folder_list(folder->checkpoints, &names, &count) != SM_OK || count > 0;
    }
    sm_free(names);
    sm_free(log);
    return holds;
}

static int is_temporary(const char *name)
{
    static const char *const files[] = {"status", ".lock"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (strncmp(name, files[i], strlen(files[i])) == 0 && sm_file_is_unfinished(name, strlen(files[i]))) {
            return 1;
        }
    }
    return 0;
}

/* By the one who has the lock, for whom it does no harm if they stay. */
static void remove_temporary(const sm_run_folder *folder)
{
    char **names = NULL;
    size_t count = 0;
    if (sm_folder_list(folder->path, &names, &count) == SM_OK) {
        for (size_t i = 0; i < count; i++) {
            char *path = is_temporary(names[i]) ? sm_run_folder_file(folder, names[i]) : NULL;
            if (path) {
                sm_remove_tree(path);
            }
            sm_free(path);
        }
        sm_free(names);
    }
}

sm_status sm_run_folder_lock(sm_run_folder *folder, double patience_seconds)
{
    const double beat_seconds = 10;
    sm_status status = SM_OK;
    char *path = sm_run_folder_file(folder, ".lock"), *why = NULL;
    if (folder->lock) {
        goto done;
    }
    SM_TRY(sm_make_folders(folder->path));
    status = sm_folder_lock_take(path, beat_seconds, patience_seconds, &folder->lock);
    if (status == SM_ERR_USAGE) {
        why = sm_strdup(sm_error_message());
        sm_fail(status, "run folder %s is in use: another run is going on in it (%s)", folder->path, why);
    }
    SM_TRY(status);
    remove_temporary(folder);
done:
    sm_free(why);
    sm_free(path);
    return status;
}

sm_status sm_run_folder_write_status(const sm_run_folder *folder, const char *word, const char *why)
{
    char *path = sm_run_folder_file(folder, "status"), *text = sm_format("%s%s%s\n", word, *why ? ": " : "", why);
    char *old = NULL;
    int is_said = sm_file_exists(path) && sm_file_read_text(path, &old) == SM_OK && strcmp(old, text) == 0;
    sm_status status = is_said ? SM_OK : sm_file_write_atomic(path, text, strlen(text));
    sm_free(old);
    sm_free(path);
    sm_free(text);
    return status;
}

/* \return 1 if there is no status, or one of a run: another file of that name is the user's */
static int may_write_status(const sm_run_folder *folder)
{
    static const char *const words[] = {"running", "done", "pre-empted", "failed"};
    char *path = sm_run_folder_file(folder, "status"), *text = NULL;
    int is_free = !sm_file_exists(path), may = is_free;
    if (!is_free && sm_file_read_text(path, &text) == SM_OK) {
        text[strcspn(text, ":\n")] = '\0';
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            may = may || strcmp(text, words[i]) == 0;
        }
    }
    sm_free(text);
    sm_free(path);
    return may;
}

void sm_run_folder_tell_failed_start(sm_run_folder *folder, const char *why)
{
    if (!sm_run_folder_holds_run(folder) && may_write_status(folder) && sm_run_folder_lock(folder, 0) == SM_OK) {
        sm_run_folder_write_status(folder, "failed", why);
    }
}
