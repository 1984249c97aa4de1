#define _POSIX_C_SOURCE 200809L
#include "comm/board_files.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/nap.h>
#include <sigmatic/base/thread.h>
#include <sigmatic/base/timer.h>

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The thread that copies the board. */
static struct {
    pthread_t thread;
    sm_nap nap;
    const sm_board *board;
    double interval_seconds;
    char *folder, *path;
    int runs;
} copier;

/* What this process has seen of each node's file, by the node's first rank. Hosts have clocks of their own: a file is as old as its number has
 * stayed the same by the clock of the one who reads it again and again. */
static struct {
    unsigned long long number;
    double since_seconds; /* 0: not seen yet */
} * seen_files;

/* ---- writing ---- */

static void write_board(const char *path, const sm_board *board, unsigned long long number)
{
    char *temporary = sm_format("%s.new", path);
    FILE *file = fopen(temporary, "w");
    if (file) {
        fprintf(file, "written %llu\n", number);
        for (int i = 0; i < board->count; i++) {
            sm_board_entry entry;
            if (board->place[i]) {
                sm_board_read(board->place[i], &entry);
                sm_board_print(file, board->ranks[i], &entry, sm_seconds());
            }
        }
        if (fclose(file) == 0) {
            rename(temporary, path);
        }
    }
    sm_free(temporary);
}

static void *copy_again_and_again(void *unused)
{
    unsigned long long number = 0;
    (void)unused;
    do {
        write_board(copier.path, copier.board, ++number);
    } while (!sm_nap_for(&copier.nap, copier.interval_seconds));
    return NULL;
}

void sm_board_files_start(const char *folder, const sm_board *board, double interval_seconds)
{
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        sm_log_warning("%s: %s; a stall will be diagnosed without the ranks of other nodes", folder, strerror(errno));
        return;
    }
    copier.folder = sm_strdup(folder);
    copier.path = sm_format("%s/node-%d", folder, board->ranks[0]);
    copier.board = board;
    copier.interval_seconds = interval_seconds;
    copier.runs = sm_nap_begin(&copier.nap);
    if (copier.runs && sm_thread_start(&copier.thread, copy_again_and_again, NULL) != 0) {
        sm_nap_end(&copier.nap);
        copier.runs = 0;
    }
}

void sm_board_files_stop(void)
{
    if (copier.runs) {
        sm_nap_wake(&copier.nap);
        pthread_join(copier.thread, NULL);
        sm_nap_end(&copier.nap);
        copier.runs = 0;
        unlink(copier.path);
        rmdir(copier.folder); /* the last one succeeds */
    }
    sm_free(seen_files);
    seen_files = NULL;
    sm_free(copier.folder);
    sm_free(copier.path);
    copier.folder = copier.path = NULL;
}

/* ---- reading ---- */

static void read_file(const char *path, int node, sm_board_sighting *seen, int ranks, double now)
{
    char line[256];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        int rank;
        unsigned long long number;
        sm_board_entry entry;
        if (sscanf(line, "written %llu", &number) == 1) {
            if (seen_files[node].since_seconds == 0 || seen_files[node].number != number) {
                seen_files[node].number = number;
                seen_files[node].since_seconds = now;
            }
            continue;
        }
        double age = now - seen_files[node].since_seconds;
        if (sm_board_parse(line, &rank, &entry, now, age) && rank >= 0 && rank < ranks &&
            seen[rank].heard_seconds == 0) {
            seen[rank] = (sm_board_sighting){entry, now - age};
        }
    }
    if (file) {
        fclose(file);
    }
}

void sm_board_files_read(const char *folder, sm_board_sighting *seen, int ranks, double now)
{
    DIR *files = opendir(folder);
    seen_files = seen_files ? seen_files : sm_alloc_zeroed((size_t)ranks * sizeof *seen_files);
    for (const struct dirent *item; files && (item = readdir(files));) {
        int node, length = 0;
        if (sscanf(item->d_name, "node-%d%n", &node, &length) == 1 && !item->d_name[length] && node >= 0 &&
            node < ranks) {
            char *path = sm_format("%s/%s", folder, item->d_name);
            read_file(path, node, seen, ranks, now);
            sm_free(path);
        }
    }
    if (files) {
        closedir(files);
    }
}
