/* ranks: 1 2 3 4 */
/* With arguments it is what tests/check_stall.sh runs: `sleep FOLDER SECONDS` lets the last rank come late to a vote,
 * `hold FOLDER MODE` lets it never finish its gradient. */
#define _POSIX_C_SOURCE 200809L
#include "harness.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/base/thread.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/reduction.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/train/init.h>

#include "comm/board.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void sleep_for(double seconds)
{
    struct timespec duration = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    nanosleep(&duration, NULL);
}

static void equal_data_agree_at_any_length(void)
{
    unsigned char data[1000];
    for (int i = 0; i < 1000; i++) {
        data[i] = (unsigned char)(i * i);
    }
    for (size_t bytes = 0; bytes < 1000; bytes += 1 + bytes / 3) {
        SM_TEST_OK(sm_comm_checksum_agrees(test_comm, data, bytes, "data"));
    }
}

/* Every byte counts, every rank can be the one. */
static void one_flipped_bit_names_the_rank(void)
{
    int rank = sm_comm_rank(test_comm), size = sm_comm_size(test_comm);
    unsigned char data[200];
    for (size_t at = 0; at < sizeof data && size > 2; at += 7) {
        int culprit = (int)at % size;
        memset(data, 0, sizeof data);
        data[at] ^= rank == culprit ? (unsigned char)(1u << at % 8) : 0;
        CU_ASSERT(sm_comm_checksum_agrees(test_comm, data, sizeof data, "parameters") == SM_ERR_COMM);
        char part[64];
        snprintf(part, sizeof part, "parameters differ between ranks: rank %d has", culprit);
        SM_TEST_MESSAGE(part);
    }
}

static void exchanged_words_differ(void)
{
    float data[64];
    for (int i = 0; i < 64; i++) {
        data[i] = (float)i;
    }
    if (sm_comm_rank(test_comm) == 0) {
        data[3] = 19; /* 16 words on: the same lane */
        data[19] = 3;
    }
    CU_ASSERT((sm_comm_checksum_agrees(test_comm, data, sizeof data, "data") == SM_OK) ==
              (sm_comm_size(test_comm) == 1));
}

static void time_spent_for_a_late_rank_is_counted(void)
{
    int last = sm_comm_size(test_comm) - 1, is_last = sm_comm_rank(test_comm) == last;
    sm_comm_barrier(test_comm);
    sm_comm_take_waited_seconds();
    double begin = sm_seconds();
    if (is_last && last > 0) {
        sleep_for(0.2);
    }
    sm_comm_barrier(test_comm);
    double elapsed = sm_seconds() - begin, waited = sm_comm_take_waited_seconds();
    if (!is_last) {
        CU_ASSERT(waited > 0.15); /* it may itself have entered a little late */
    }
    SM_TEST_AT_MOST(waited, elapsed);
    CU_ASSERT(sm_comm_take_waited_seconds() == 0);
}

static void a_limit_that_is_kept_does_nothing(void)
{
    sm_comm_set_stall_limit(20);
    sm_comm_set_stall_folder(sm_test_folder());
    sm_comm_set_phase("a phase with a name that is longer than its place on the board", 1, 2);
    sm_comm_barrier(test_comm);
    sm_comm_set_stall_folder(NULL);
    sm_comm_set_stall_limit(600);
}

/* The last rank works for twice the limit while the others wait for it; what it does advances. */
static void who_advances_is_waited_for(void)
{
    enum { PHASES = 20 };
    int is_last = sm_comm_rank(test_comm) == sm_comm_size(test_comm) - 1;
    sm_comm_set_stall_folder(sm_test_folder());
    sm_comm_barrier(test_comm);
    sm_comm_set_stall_limit(2);
    for (int i = 0; is_last && i < PHASES; i++) {
        sm_comm_set_phase("import", 0, i);
        sleep_for(0.2);
    }
    sm_comm_barrier(test_comm);
    sm_comm_set_stall_limit(600);
    sm_comm_set_stall_folder(NULL);
}

/* Entries of which every part says the same number. */
typedef struct busy_place {
    sm_board_place *place;
    atomic_int must_end;
} busy_place;

static void *write_again_and_again(void *user)
{
    busy_place *busy = user;
    for (int64_t i = 0; !atomic_load(&busy->must_end); i++) {
        sm_board_entry entry = {.step = i, .detail = i, .bucket = i, .buckets = i, .collectives = (uint64_t)i};
        memset(entry.phase, 'a' + (int)(i % 26), SM_BOARD_TEXT - 1);
        memset(entry.waiting, 'a' + (int)(i % 26), SM_BOARD_TEXT - 1);
        sm_board_write(busy->place, &entry);
        if (i % 4096 == 0) {
            sleep_for(1e-6); /* so that a reader on the same core meets no entry that never ends */
        }
    }
    return NULL;
}

static int is_whole(const sm_board_entry *e)
{
    int letter = 'a' + (int)(e->step % 26), wrong = 0;
    for (int i = 0; i < SM_BOARD_TEXT - 1; i++) {
        wrong += e->phase[i] != letter || e->waiting[i] != letter;
    }
    return !wrong && e->detail == e->step && e->bucket == e->step && e->buckets == e->step &&
           e->collectives == (uint64_t)e->step;
}

/* But for the reads while the system takes the writer off its core in the middle of an entry: they give up. */
static void an_entry_of_the_board_is_read_whole(void)
{
    enum { ROUNDS = 200000 };
    busy_place busy = {.place = sm_alloc_zeroed(sm_board_place_bytes())};
    pthread_t writer;
    sm_board_write(busy.place, &(sm_board_entry){.step = 0,
                                                 .phase = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                                 .waiting = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"});
    CU_ASSERT_FATAL(sm_thread_start(&writer, write_again_and_again, &busy) == 0);
    int broken = 0;
    for (int i = 0; i < ROUNDS; i++) {
        sm_board_entry entry;
        sm_board_read(busy.place, &entry);
        broken += !is_whole(&entry);
    }
    atomic_store(&busy.must_end, 1);
    pthread_join(writer, NULL);
    SM_TEST_AT_MOST(broken, ROUNDS / 100);
    sm_free(busy.place);
}

static void a_line_of_the_board_reads_back(void)
{
    const sm_board_entry entries[] = {
        {.phase = "forward", .step = 17, .detail = -1, .since_seconds = 90, .collectives = 5},
        {.phase = "two words",
         .step = 1,
         .detail = 3,
         .since_seconds = 99,
         .waiting = "a bucket",
         .bucket = 3,
         .buckets = 40,
         .waiting_since_seconds = 99.5}};
    for (int i = 0; i < 2; i++) {
        const sm_board_entry *from = &entries[i];
        char line[256] = "";
        FILE *file = fmemopen(line, sizeof line, "w");
        sm_board_print(file, 7, from, 100);
        fclose(file);
        int rank;
        sm_board_entry to;
        CU_ASSERT(sm_board_parse(line, &rank, &to, 1000, 2)); /* another clock, two seconds later */
        CU_ASSERT(rank == 7 && to.step == from->step && to.detail == from->detail && to.bucket == from->bucket);
        CU_ASSERT(to.buckets == from->buckets && to.collectives == from->collectives);
        CU_ASSERT(strcmp(to.phase, from->phase) == 0 && strcmp(to.waiting, from->waiting) == 0);
        CU_ASSERT_DOUBLE_EQUAL(1000 - to.since_seconds, 102 - from->since_seconds, 1e-2);
        CU_ASSERT_DOUBLE_EQUAL(1000 - to.waiting_since_seconds, 102 - from->waiting_since_seconds, 1e-2);
    }
    int rank;
    sm_board_entry entry;
    CU_ASSERT(!sm_board_parse("written 123.4\n", &rank, &entry, 0, 0) && !sm_board_parse("", &rank, &entry, 0, 0));
}

/* ---- what the shell check runs ---- */

static void note(void *user, const char *message)
{
    FILE *file = fopen(user, "w");
    fprintf(file, "failed: %s\n", message);
    fclose(file);
}

static void come_late(const char *folder, double seconds)
{
    int is_last = sm_comm_rank(test_comm) == sm_comm_size(test_comm) - 1;
    char *status = sm_format("%s/status", folder);
    sm_comm_barrier(test_comm);
    sm_comm_set_stall_limit(1);
    sm_comm_set_stall_folder(folder);
    sm_comm_set_stall_report(note, status);
    sm_comm_set_phase(is_last ? "forward" : "losses", 17, is_last ? 4 : -1);
    if (is_last) {
        sleep_for(seconds);
    }
    sm_comm_barrier(test_comm);
    sm_free(status);
}

/* The last rank's gradient never becomes complete. */
static void hold_back(const char *folder, const char *mode)
{
    enum { COUNT = 1 << 20 };
    sm_reduction_options options = {.bucket_bytes = COUNT};
    while (strcmp(sm_reduction_mode_names[options.mode], mode) != 0) {
        options.mode++;
    }
    int is_last = sm_comm_rank(test_comm) == sm_comm_size(test_comm) - 1;
    float *values = sm_reduction_alloc(test_comm, COUNT);
    memset(values, 0, COUNT * sizeof *values);
    sm_reduction *reduction = sm_reduction_new(test_comm, values, COUNT, &options);
    sm_comm_set_stall_limit(1);
    sm_comm_set_stall_folder(folder);
    sm_comm_set_phase("backward", 3, -1);
    sm_reduction_begin(reduction);
    sm_reduction_progress(reduction, is_last ? COUNT / 2 : COUNT);
    if (is_last) {
        sleep_for(30);
    }
    sm_reduction_finish(reduction);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    if (argc == 4) {
        if (strcmp(argv[1], "sleep") == 0) {
            come_late(argv[2], atof(argv[3]));
        } else {
            hold_back(argv[2], argv[3]);
        }
        sm_finalize();
        return 0;
    }
    SM_TEST(equal_data_agree_at_any_length);
    SM_TEST(one_flipped_bit_names_the_rank);
    SM_TEST(exchanged_words_differ);
    SM_TEST(time_spent_for_a_late_rank_is_counted);
    SM_TEST(a_limit_that_is_kept_does_nothing);
    SM_TEST(who_advances_is_waited_for);
    SM_TEST(an_entry_of_the_board_is_read_whole);
    SM_TEST(a_line_of_the_board_reads_back);
    return sm_test_end();
}
