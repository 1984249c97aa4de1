#define _XOPEN_SOURCE 700
#include "whole_run.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int is_root(void)
{
    return sm_comm_rank(test_comm) == 0;
}

/* Runs sm_train() with `folder` (below the scratch folder) and more settings. */
sm_status train_with(const char *folder, const sm_train_options *options, const char *const *sets)
{
    sm_config *config = tiny_config(sets);
    char *set = sm_format("run.folder=%s/%s", sm_test_folder(), folder);
    SM_TEST_OK(sm_config_set(config, set));
    int started;
    sm_status status = sm_train(config, test_comm, options, &started);
    sm_config_free(config);
    sm_free(set);
    return status;
}

sm_status train(const char *folder, const char *resume, const char *const *sets)
{
    return train_with(folder, &(sm_train_options){.resume = resume}, sets);
}

char *path_in(const char *folder, const char *name)
{
    return sm_format("%s/%s/%s", sm_test_folder(), folder, name);
}

char *contents_of(const char *folder)
{
    char *contents = sm_strdup("");
    static const char *const below[] = {"", "/checkpoints"};
    for (int i = 0; i < 2; i++) {
        char *inside = path_in(folder, below[i]), **names = NULL;
        size_t count = 0;
        SM_TEST_OK(sm_folder_list(inside, &names, &count));
        for (size_t n = 0; n < count; n++) {
            char *path = sm_format("%s/%s", inside, names[n]), *before = contents;
            struct stat found;
            void *data = NULL;
            size_t bytes = 0;
            if (strcmp(names[n], ".lock") != 0 && !sm_folder_exists(path) && stat(path, &found) == 0) {
                SM_TEST_OK(sm_file_read(path, &data, &bytes));
                contents = sm_format("%s%s %lld %lld.%09ld %08x\n", before, names[n], (long long)found.st_ino,
                                     (long long)found.st_mtim.tv_sec, found.st_mtim.tv_nsec, sm_crc32c(0, data, bytes));
                sm_free(before);
            }
            sm_free(data);
            sm_free(path);
        }
        sm_free(names);
        sm_free(inside);
    }
    return contents;
}

void remove_in(const char *folder, const char *name)
{
    char *path = path_in(folder, name);
    if (is_root()) {
        SM_TEST_OK(sm_remove_tree(path));
    }
    sm_free(path);
    sm_comm_barrier(test_comm);
}

void copy_file(const char *from, const char *to)
{
    void *data = NULL;
    size_t bytes;
    SM_TEST_OK(sm_file_read(from, &data, &bytes));
    SM_TEST_OK(sm_file_write_atomic(to, data, bytes));
    sm_free(data);
}

void copy_in(const char *from_folder, const char *to_folder, const char *name)
{
    char *from = path_in(from_folder, name), *to = path_in(to_folder, name),
         *checkpoints = path_in(to_folder, "checkpoints");
    if (is_root()) {
        SM_TEST_OK(sm_make_folders(checkpoints));
        copy_file(from, to);
    }
    sm_free(from);
    sm_free(to);
    sm_free(checkpoints);
    sm_comm_barrier(test_comm);
}

/* The same, with what it says kept: all `parts` must be in it, those after a '!' not. */
sm_status train_saying(const char *folder, const char *resume, const char *const *sets, const char *const *parts)
{
    char *path = sm_format("%s/said.%d", sm_test_folder(), sm_comm_rank(test_comm)), *text = NULL;
    fflush(NULL);
    int errors = dup(STDERR_FILENO), output = dup(STDOUT_FILENO);
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
    dup2(file, STDERR_FILENO);
    dup2(file, STDOUT_FILENO);
    sm_log_set_quiet(0);
    sm_status status = train(folder, resume, sets);
    sm_log_set_quiet(1);
    fflush(NULL);
    dup2(errors, STDERR_FILENO);
    dup2(output, STDOUT_FILENO);
    close(errors);
    close(output);
    close(file);
    char *message = sm_strdup(sm_error_message());
    if (is_root()) {
        SM_TEST_OK(sm_file_read_text(path, &text));
        for (int i = 0; parts[i]; i++) {
            int is_unwanted = *parts[i] == '!', is_said = strstr(text, parts[i] + is_unwanted) != NULL;
            if (is_said == is_unwanted) {
                fprintf(stderr, "'%s' is %sin what %s said: %s\n", parts[i] + is_unwanted, is_said ? "" : "not ",
                        folder, text);
            }
            CU_ASSERT(is_said != is_unwanted);
        }
    }
    sm_fail(status, "%s", message);
    sm_free(message);
    sm_free(text);
    sm_free(path);
    return status;
}

sm_h5 *open_in(const char *folder, const char *name)
{
    char *path = path_in(folder, name);
    sm_h5 *file = NULL;
    if (sm_h5_open(path, &file) != SM_OK) {
        sm_abort("%s", sm_error_message());
    }
    sm_free(path);
    return file;
}

/* Numbers of a dataset as they lie in memory; `count` of 8 or 4 bytes. */
void *read_numbers(const sm_h5 *file, const char *object, size_t *bytes)
{
    sm_h5_info info;
    SM_TEST_OK(sm_h5_query(file, object, &info));
    *bytes = info.count * sm_h5_type_bytes(info.type);
    void *data = sm_alloc(*bytes);
    SM_TEST_OK(sm_h5_read(file, object, info.type, info.rank, info.shape, data));
    return data;
}

void expect_counts(const char *folder, const char *object, int64_t first, int64_t step, size_t expected)
{
    if (is_root()) {
        sm_h5 *file = open_in(folder, "run.h5");
        size_t bytes;
        int64_t *rows = read_numbers(file, object, &bytes);
        CU_ASSERT(bytes / sizeof *rows == expected);
        for (size_t i = 0; i < bytes / sizeof *rows; i++) {
            CU_ASSERT(rows[i] == first + (int64_t)i * step);
        }
        sm_free(rows);
        sm_h5_close(file);
    }
    sm_comm_barrier(test_comm);
}

void expect_status_file(const char *folder, const char *word)
{
    if (is_root()) {
        char *path = path_in(folder, "status"), *text = NULL;
        SM_TEST_OK(sm_file_read_text(path, &text));
        CU_ASSERT(text && strncmp(text, word, strlen(word)) == 0);
        sm_free(text);
        sm_free(path);
    }
    sm_comm_barrier(test_comm);
}

int exists_in(const char *folder, const char *name)
{
    char *path = path_in(folder, name);
    int exists = sm_file_exists(path);
    sm_free(path);
    return exists;
}

void copy_to(const char *from_folder, const char *from_name, const char *to_folder, const char *to_name)
{
    char *from = path_in(from_folder, from_name), *to = path_in(to_folder, to_name);
    if (is_root()) {
        copy_file(from, to);
    }
    sm_free(from);
    sm_free(to);
    sm_comm_barrier(test_comm);
}
