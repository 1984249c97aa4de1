#include "cli/run_path.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

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

/* step-00000500.h5: of two such names the longer one has the larger number. */
static int is_newer(const char *name, const char *than)
{
    size_t length = strlen(name), other = than ? strlen(than) : 0;
    return !than || length > other || (length == other && strcmp(name, than) > 0);
}

/* \return the best or newest of a folder's checkpoints, freed with sm_free(); NULL: there is none */
static char *checkpoint_in(const char *folder)
{
    char *best = file_in(folder, "best.h5");
    char **names = NULL;
    const char *newest = NULL;
    size_t count = 0;
    if (!best && sm_folder_exists(folder) && sm_folder_list(folder, &names, &count) == SM_OK) {
        for (size_t i = 0; i < count; i++) {
            size_t digits = strncmp(names[i], "step-", 5) == 0 ? strspn(names[i] + 5, "0123456789") : 0;
            int is_one = digits > 0 && strcmp(names[i] + 5 + digits, ".h5") == 0;
            newest = is_one && is_newer(names[i], newest) ? names[i] : newest;
        }
        best = newest ? file_in(folder, newest) : NULL;
    }
    sm_free(names);
    return best;
}

static char *checkpoint_of(const char *word)
{
    char *folder = path_in(word, "checkpoints");
    char *found = checkpoint_in(folder);
    sm_free(folder);
    return found ? found : checkpoint_in(word);
}

static char *log_of(const char *word)
{
    return file_in(word, "run.h5");
}

int run_path_is_run(const char *path)
{
    int is_folder = sm_folder_exists(path);
    char *log = is_folder ? log_of(path) : NULL, *checkpoint = is_folder ? checkpoint_of(path) : NULL;
    int is_run = log || checkpoint;
    sm_free(log);
    sm_free(checkpoint);
    return is_run;
}

/* \param expected  what a folder of a run has */
static sm_status resolve(const char *word, char *(*find)(const char *folder), const char *expected, char **path)
{
    if (!sm_folder_exists(word)) {
        *path = sm_strdup(word);
        return SM_OK;
    }
    *path = find(word);
    if (!*path) {
        return sm_fail(SM_ERR_INPUT, "%s: a folder%s: expected the file itself, or a run's folder with %s", word,
                       run_path_is_run(word) ? " of a run that has none yet" : " that is not a run's", expected);
    }
    sm_log_info("%s: taking %s", word, *path);
    return SM_OK;
}

sm_status run_path_checkpoint(const char *word, char **path)
{
    return resolve(word, checkpoint_of, "checkpoints/best.h5 or checkpoints/step-*.h5", path);
}

sm_status run_path_log(const char *word, char **path)
{
    return resolve(word, log_of, "run.h5", path);
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
