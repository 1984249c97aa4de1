#include "cli/run_path.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/run_checkpoint.h>

#include <string.h>

static char *path_in(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') {
        length--;
    }
    return sm_format("%.*s/%s", (int)length, folder, name);
}

/* \return the path if there is a file, freed with sm_free(); NULL: there is none */
static char *file_in(const char *folder, const char *name)
{
    char *path = path_in(folder, name);
    if (!sm_file_exists(path)) {
        sm_free(path);
        path = NULL;
    }
    return path;
}

/* In the folder of a run, or beside the folder of its checkpoints. */
static char *log_of(const char *word)
{
    static const char inside[] = "checkpoints";
    size_t length = strlen(word), name = strlen(inside);
    char *log = file_in(word, "run.h5");
    while (length > 1 && word[length - 1] == '/') {
        length--;
    }
    if (!log && length >= name && strncmp(word + length - name, inside, name) == 0 &&
        (length == name || word[length - name - 1] == '/')) {
        char *above = length == name ? sm_strdup(".") : sm_format("%.*s", (int)(length - name - 1), word);
        log = file_in(*above ? above : "/", "run.h5");
        sm_free(above);
    }
    return log;
}

int run_path_is_run(const char *path)
{
    int is_folder = sm_folder_exists(path);
    char *log = is_folder ? log_of(path) : NULL;
    int is_run = log || (is_folder && sm_run_has_checkpoint(path));
    sm_free(log);
    return is_run;
}

/* \param found  in the folder that the word names, given away; NULL: there is none \param expected  what a folder of a run has */
static sm_status resolve(const char *word, char *found, const char *expected, char **path)
{
    *path = found || sm_folder_exists(word) ? found : sm_strdup(word);
    if (!*path) {
        return sm_fail(SM_ERR_INPUT, "%s: a folder%s: expected the file itself, or a run's folder with %s", word,
                       run_path_is_run(word) ? " of a run that has no such file" : " that is not a run's", expected);
    }
    if (found) {
        sm_log_info("%s: taking %s", word, *path);
    }
    return SM_OK;
}

sm_status run_path_checkpoint(const char *word, char **path)
{
    sm_status status = SM_OK;
    char *found = NULL;
    if (sm_folder_exists(word)) {
        SM_TRY(sm_run_checkpoint(word, &found));
    }
    status = resolve(word, found, "checkpoints/best.h5 or checkpoints/step-*.h5", path);
done:
    return status;
}

sm_status run_path_log(const char *word, char **path)
{
    return resolve(word, sm_folder_exists(word) ? log_of(word) : NULL, "run.h5", path);
}

void run_path_share(sm_comm *comm, char **text)
{
    uint64_t bytes = sm_comm_rank(comm) == 0 ? strlen(*text) + 1 : 0;
    sm_comm_broadcast(comm, &bytes, sizeof bytes, 0);
    if (sm_comm_rank(comm) != 0) {
        *text = sm_alloc(bytes);
    }
    sm_comm_broadcast(comm, *text, bytes, 0);
}
