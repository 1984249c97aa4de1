/* Which checkpoints a run's folder has, which one a run goes on from, and which go. */
#include "train/run_folder_private.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/run_checkpoint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_DIGITS_MOST = 18 /* int64_t holds them */ };

/* A checkpoint in the folder. */
typedef struct step_file {
    int64_t step;
    char name[SM_CHECKPOINT_NAME_BYTES];
} step_file;

/* ---- names ---- */

static void name_step(char name[SM_CHECKPOINT_NAME_BYTES], int64_t step)
{
    snprintf(name, SM_CHECKPOINT_NAME_BYTES, "step-%08lld.h5", (long long)step);
}

char *sm_run_folder_checkpoint(const sm_run_folder *folder, int64_t step)
{
    char name[SM_CHECKPOINT_NAME_BYTES];
    name_step(name, step);
    return sm_format("%s/%s", folder->checkpoints, name);
}

/* \return the length of "step-<digits>.h5" at the start of a name, 0 if it starts otherwise */
static size_t step_prefix(const char *name)
{
    size_t before = strlen("step-"), digits, after = strlen(".h5");
    if (strncmp(name, "step-", before) != 0) {
        return 0;
    }
    digits = strspn(name + before, "0123456789");
    int is_ours = digits >= 1 && digits <= STEP_DIGITS_MOST && strncmp(name + before + digits, ".h5", after) == 0;
    return is_ours ? before + digits + after : 0;
}

static int is_step_file(const char *name)
{
    size_t length = step_prefix(name);
    return length > 0 && name[length] == 0;
}

static int is_unfinished(const char *name)
{
    size_t length = strncmp(name, "best.h5", 7) == 0 ? 7 : step_prefix(name);
    return length > 0 && sm_file_is_unfinished(name, length);
}

static int is_ours(const char *name)
{
    return is_step_file(name) || is_unfinished(name) || strcmp(name, "best.h5") == 0;
}

/* Removes the checkpoints that `is_unwanted` names. */
static sm_status remove_checkpoints(const sm_run_folder *folder, int (*is_unwanted)(const char *name))
{
    sm_status status = SM_OK;
    char *path = NULL, **names = NULL;
    size_t count = 0;
    SM_TRY(sm_folder_list(folder->checkpoints, &names, &count));
    for (size_t i = 0; i < count; i++) {
        if (is_unwanted(names[i])) {
            sm_free(path);
            path = sm_format("%s/%s", folder->checkpoints, names[i]);
            SM_TRY(sm_remove_tree(path));
        }
    }
done:
    sm_free(path);
    sm_free(names);
    return status;
}

static sm_status remove_file(const sm_run_folder *folder, const char *name)
{
    char *path = sm_run_folder_file(folder, name);
    sm_status status = sm_remove_tree(path);
    sm_free(path);
    return status;
}

sm_status sm_run_folder_claim(const sm_run_folder *folder, int keep)
{
    sm_status status = SM_OK;
    SM_TRY(sm_make_folders(folder->checkpoints));
    if (!keep) {
        SM_TRY(remove_file(folder, "run.h5"));
        SM_TRY(remove_file(folder, "status"));
        SM_TRY(remove_checkpoints(folder, is_ours));
    }
done:
    return status;
}

/* ---- what there is, and what is known of it ---- */

static int by_step(const void *a, const void *b)
{
    const step_file *x = a, *y = b;
    int order = (x->step > y->step) - (x->step < y->step);
    return order != 0 ? order : strcmp(x->name, y->name);
}

/* \param [out] files  those of a step, oldest first, freed with sm_free(); none without a folder */
static sm_status list_steps(const sm_run_folder *folder, step_file **files, size_t *count)
{
    sm_status status = SM_OK;
    char **names = NULL;
    size_t found = 0;
    *count = 0;
    if (sm_folder_exists(folder->checkpoints)) {
        SM_TRY(sm_folder_list(folder->checkpoints, &names, &found));
    }
    *files = sm_alloc((found + 1) * sizeof **files);
    for (size_t i = 0; i < found; i++) {
        if (is_step_file(names[i])) {
            step_file *file = &(*files)[(*count)++];
            file->step = strtoll(names[i] + strlen("step-"), NULL, 10);
            snprintf(file->name, sizeof file->name, "%s", names[i]);
        }
    }
    qsort(*files, *count, sizeof **files, by_step);
done:
    sm_free(names);
    return status;
}

static void forget(sm_run_folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->verdict_count; i++) {
        if (strcmp(folder->verdicts[i].name, name) == 0) {
            folder->verdicts[i] = folder->verdicts[--folder->verdict_count];
            return;
        }
    }
}

static void remember(sm_run_folder *folder, const char *name, int is_whole)
{
    forget(folder, name);
    folder->verdicts = sm_realloc(folder->verdicts, (folder->verdict_count + 1) * sizeof *folder->verdicts);
    sm_checkpoint_verdict *added = &folder->verdicts[folder->verdict_count++];
    *added = (sm_checkpoint_verdict){.is_whole = is_whole};
    snprintf(added->name, sizeof added->name, "%s", name);
}

/* Reads the file unless it is known. \return SM_OK if it is whole */
static sm_status verify(sm_run_folder *folder, const step_file *file)
{
    for (size_t i = 0; i < folder->verdict_count; i++) {
        if (strcmp(folder->verdicts[i].name, file->name) == 0) {
            return folder->verdicts[i].is_whole ? SM_OK : SM_ERR_INPUT;
        }
    }
    char *path = sm_format("%s/%s", folder->checkpoints, file->name);
    sm_status status = sm_checkpoint_verify(path, 1);
    remember(folder, file->name, status == SM_OK);
    sm_free(path);
    return status;
}

int sm_run_folder_has_checkpoint(sm_run_folder *folder, int64_t step)
{
    step_file file = {.step = step};
    name_step(file.name, step);
    char *path = sm_run_folder_checkpoint(folder, step);
    int is_whole = sm_file_exists(path) && verify(folder, &file) == SM_OK;
    sm_free(path);
    return is_whole;
}

/* \return the path of best.h5; NULL: there is none */
static char *best_of(const sm_run_folder *folder)
{
    char *best = sm_format("%s/best.h5", folder->checkpoints);
    if (!sm_file_exists(best)) {
        sm_free(best);
        best = NULL;
    }
    return best;
}

static int64_t step_in(const char *path)
{
    sm_checkpoint_info info;
    int64_t step = sm_checkpoint_read_info(path, &info) == SM_OK ? info.step : -1;
    sm_checkpoint_info_free(&info);
    return step;
}

/* Where others are damaged or gone, best.h5 may be newer than what is left. */
static void prefer_best(const sm_run_folder *folder, int64_t step, char **path)
{
    char *best = best_of(folder);
    if (best && step_in(best) > step && sm_checkpoint_verify(best, 1) == SM_OK) {
        sm_log_warning("taking the best, %s: no other checkpoint that can be read is as new", best);
        sm_free(*path);
        *path = best;
        best = NULL;
    }
    sm_free(best);
}

sm_status sm_run_folder_latest(sm_run_folder *folder, char **path)
{
    sm_status status = SM_OK;
    step_file *files = NULL;
    size_t count = 0, i;
    *path = NULL;
    SM_TRY(list_steps(folder, &files, &count));
    for (i = count; i > 0 && !*path; i--) {
        if (verify(folder, &files[i - 1]) == SM_OK) {
            *path = sm_format("%s/%s", folder->checkpoints, files[i - 1].name);
        } else {
            sm_log_warning("passing over a checkpoint: %s", sm_error_message());
        }
    }
    if (!*path || i + 1 < count) {
        prefer_best(folder, *path ? files[i].step : -1, path);
    }
    if (count > 0 && !*path) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: of %zu %s none can be read", folder->checkpoints, count,
                       sm_plural((int64_t)count, "checkpoint", "checkpoints")));
    }
done:
    sm_free(files);
    return status;
}

void sm_run_folder_note_whole(sm_run_folder *folder, int64_t step)
{
    char name[SM_CHECKPOINT_NAME_BYTES];
    name_step(name, step);
    remember(folder, name, 1);
}

sm_status sm_run_folder_remove_unfinished(const sm_run_folder *folder)
{
    return remove_checkpoints(folder, is_unfinished);
}

/* \return 1 if it is the first of its span of `every` steps, the first span aside, which begins with nothing learnt */
static int stays_for_ever(const step_file *files, size_t i, int64_t every)
{
    int64_t span = every > 0 ? files[i].step / every : 0;
    return span > 0 && (i == 0 || files[i - 1].step / every < span);
}

/* \return paths of files among the checkpoints, in one block */
static char **paths_of(const sm_run_folder *folder, const char *const *names, size_t count)
{
    size_t path_bytes = strlen(folder->checkpoints) + 1 + SM_CHECKPOINT_NAME_BYTES;
    char **paths = sm_alloc(count * (sizeof *paths + path_bytes) + 1);
    char *text = (char *)(paths + count);
    for (size_t i = 0; i < count; i++) {
        paths[i] = text + i * path_bytes;
        snprintf(paths[i], path_bytes, "%s/%s", folder->checkpoints, names[i]);
    }
    return paths;
}

/* What stays for ever is not read for that. */
static size_t find_outdated(sm_run_folder *folder, const step_file *files, size_t count, int64_t step, int keep,
                            int64_t every, const char **outdated)
{
    char own[SM_CHECKPOINT_NAME_BYTES];
    int whole = 1; /* that of `step` */
    size_t found = 0;
    name_step(own, step);
    for (size_t i = count; i-- > 0;) {
        int is_own = strcmp(files[i].name, own) == 0;
        if (files[i].step > step || (!is_own && whole >= keep && !stays_for_ever(files, i, every))) {
            outdated[found++] = files[i].name;
            forget(folder, files[i].name);
        } else if (!is_own && whole < keep) {
            whole += verify(folder, &files[i]) == SM_OK;
        }
    }
    return found;
}

sm_status sm_run_folder_outdated(sm_run_folder *folder, int64_t step, int keep, int64_t every, char ***paths,
                                 size_t *count)
{
    sm_status status = SM_OK;
    step_file *files = NULL;
    const char **names = NULL;
    size_t found = 0;
    *paths = NULL;
    *count = 0;
    SM_TRY(list_steps(folder, &files, &found));
    names = sm_alloc((found + 1) * sizeof *names);
    *count = find_outdated(folder, files, found, step, keep, every, names);
    *paths = paths_of(folder, names, *count);
done:
    sm_free(names);
    sm_free(files);
    return status;
}

sm_status sm_run_folder_prune(sm_run_folder *folder, int64_t step, int keep, int64_t every)
{
    sm_status status = SM_OK;
    char **paths = NULL;
    size_t count = 0;
    sm_run_folder_note_whole(folder, step);
    SM_TRY(sm_run_folder_remove_unfinished(folder));
    SM_TRY(sm_run_folder_outdated(folder, step, keep, every, &paths, &count));
    for (size_t i = 0; i < count; i++) {
        SM_TRY(sm_remove_tree(paths[i]));
    }
done:
    sm_free(paths);
    return status;
}

/* ---- of a folder that is named ---- */

/* \return the folder of a run without slashes at its end, or, with `is_inside`, one in which the checkpoints themselves lie */
static sm_run_folder *named_folder(char *path, int is_inside)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        path[--length] = '\0';
    }
    sm_run_folder *folder = sm_run_folder_new(path);
    if (is_inside) {
        sm_free(folder->checkpoints);
        folder->checkpoints = sm_strdup(path);
    }
    return folder;
}

/* \param is_best_first  0: best.h5 only where there is no other that is whole */
static sm_status find_checkpoint(const char *path, int is_best_first, char **checkpoint)
{
    sm_status status = SM_OK;
    char *own = sm_strdup(path);
    *checkpoint = NULL;
    for (int is_inside = 0; is_inside <= 1 && status == SM_OK && !*checkpoint; is_inside++) {
        sm_run_folder *folder = named_folder(own, is_inside);
        char *best = best_of(folder);
        status = best && is_best_first ? SM_OK : sm_run_folder_latest(folder, checkpoint);
        if (status == SM_OK && !*checkpoint) {
            *checkpoint = best;
            best = NULL;
        }
        sm_free(best);
        sm_run_folder_free(folder);
    }
    sm_free(own);
    return status;
}

sm_status sm_run_checkpoint(const char *path, char **checkpoint)
{
    return find_checkpoint(path, 1, checkpoint);
}

sm_status sm_run_newest_checkpoint(const char *path, char **checkpoint)
{
    return find_checkpoint(path, 0, checkpoint);
}

int sm_run_has_checkpoint(const char *path)
{
    char *own = sm_strdup(path);
    size_t found = 0;
    for (int is_inside = 0; is_inside <= 1 && found == 0; is_inside++) {
        sm_run_folder *folder = named_folder(own, is_inside);
        char *best = best_of(folder);
        step_file *files = NULL;
        if (best) {
            found = 1;
        } else if (list_steps(folder, &files, &found) != SM_OK) {
            found = 0;
        }
        sm_free(files);
        sm_free(best);
        sm_run_folder_free(folder);
    }
    sm_free(own);
    return found > 0;
}
