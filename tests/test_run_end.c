/* ranks: 1 2 */
#define _GNU_SOURCE
/* How runs end: nothing that was learnt is lost, nothing that was not is praised, and a damaged log stops nobody. */
#include "whole_run.h"

#include "train/run_journal.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/checkpoint.h>

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- what the last evaluation meets ---- */

/* A copy of the dataset with a flipped bit in the last image of a split, which has a checksum. \return its path */
static char *spoilt_dataset(void)
{
    char *whole = tiny_dataset(), *path = path_in("", "spoilt.h5");
    if (is_root()) {
        const size_t shape[4] = {TINY_VALIDATION, 64, 96, 3};
        uint64_t offset;
        sm_h5 *h5 = NULL;
        sm_file *file = NULL;
        unsigned char byte;
        copy_file(whole, path);
        SM_TEST_OK(sm_h5_open(path, &h5));
        SM_TEST_OK(sm_h5_locate(h5, "/val/image", SM_H5_U8, 4, shape, &offset));
        sm_h5_close(h5);
        offset += (TINY_VALIDATION - 1) * 64 * 96 * 3;
        SM_TEST_OK(sm_file_open_write(path, &file));
        SM_TEST_OK(sm_file_pread(file, &byte, 1, offset));
        byte ^= 1;
        SM_TEST_OK(sm_file_pwrite(file, &byte, 1, offset));
        sm_file_close(file);
    }
    sm_free(whole);
    sm_comm_barrier(test_comm);
    return path;
}

static double best_metric_of(const char *folder, const char *name)
{
    double value = NAN;
    sm_h5 *file = open_in(folder, name);
    SM_TEST_OK(sm_h5_read_attribute_double(file, "/", "best_metric", &value));
    sm_h5_close(file);
    return value;
}

static void a_bad_validation_sample_loses_no_training(void)
{
    char *spoilt = spoilt_dataset(), *validation = sm_format("data.validation=%s", spoilt);
    const char *const with[] = {"run.steps=2", validation, NULL}, *const without[] = {"run.steps=2", NULL};
    const char *const within[] = {"run.steps=9", "run.evaluate_interval=3", validation, NULL};
    CU_ASSERT(train("last", NULL, with) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("spoilt.h5");
    expect_status_file("last", "failed");
    CU_ASSERT(exists_in("last", "checkpoints/step-00000002.h5"));
    CU_ASSERT(!exists_in("last", "checkpoints/best.h5"));
    CU_ASSERT(train("within", NULL, within) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("spoilt.h5");
    CU_ASSERT(exists_in("within", "checkpoints/step-00000003.h5"));
    /* made good, the evaluation is all that is left to do */
    SM_TEST_OK(train("last", "auto", without));
    expect_status_file("last", "done");
    expect_counts("last", "/steps/step", 1, 1, 2);
    expect_counts("last", "/evaluations/val/step", 2, 1, 1);
    if (is_root()) {
        double best = best_metric_of("last", "checkpoints/best.h5");
        CU_ASSERT(isfinite(best) && best_metric_of("last", "checkpoints/step-00000002.h5") == best);
    }
    sm_comm_barrier(test_comm);
    sm_free(validation);
    sm_free(spoilt);
}

/* ---- stopping in an evaluation ---- */

static int questions, stop_at;

/* The last rank is asked to stop at some question; the others never are. */
static int last_rank_stops(void)
{
    return ++questions == stop_at && sm_comm_rank(test_comm) == sm_comm_size(test_comm) - 1;
}

static void one_rank_ends_an_evaluation_on_all(void)
{
    static const char *const sets[] = {"run.evaluate_batch=1", NULL};
    const sm_evaluation evaluation = {.stop = last_rank_stops};
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    size_t bytes = (size_t)sm_evaluator_value_count(run.evaluator) * sizeof(double);
    double *values = sm_alloc(bytes), *undisturbed = sm_alloc(bytes);
    SM_TEST_OK(sm_evaluator_run(run.evaluator, &(sm_evaluation){0}, undisturbed));
    for (stop_at = 0; stop_at < 3; stop_at++) {
        questions = 0;
        sm_status status = sm_evaluator_run(run.evaluator, &evaluation, values);
        if (stop_at == 0) { /* nobody: asking changes no bit */
            SM_TEST_OK(status);
            CU_ASSERT(questions >= 2 && memcmp(values, undisturbed, bytes) == 0);
        } else {
            CU_ASSERT(status == SM_PREEMPTED && questions == stop_at);
            SM_TEST_MESSAGE("batches of the evaluation");
        }
    }
    sm_free(values);
    sm_free(undisturbed);
    tiny_close(&run);
}

/* It cannot leave while the others may ask it. */
static void a_rank_that_fails_ends_an_evaluation_on_all(void)
{
    char *spoilt = spoilt_dataset(), *validation = sm_format("data.validation=%s", spoilt);
    const char *const sets[] = {"run.evaluate_batch=1", validation, NULL};
    tiny_run run;
    stop_at = 0;
    tiny_open(&run, test_comm, tiny_config(sets));
    double *values = sm_alloc((size_t)sm_evaluator_value_count(run.evaluator) * sizeof *values);
    CU_ASSERT(sm_evaluator_run(run.evaluator, &(sm_evaluation){.stop = last_rank_stops}, values) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("spoilt.h5");
    sm_free(values);
    tiny_close(&run);
    sm_free(validation);
    sm_free(spoilt);
}

/* ---- runs that learn nothing ---- */

/* A checkpoint of the tiny network with weights of the depth decoder, all finite, whose sums are inf - inf. \return its path */
static char *broken_weights(void)
{
    static const char *const sets[] = {"run.steps=1", "data.validation_split=", NULL};
    static const char weight[] = "/model/decoders.depth.3.weight";
    enum { CHANNELS = 16 };
    char *path = path_in("weights", "checkpoints/step-00000001.h5");
    SM_TEST_OK(train("weights", NULL, sets));
    if (is_root()) {
        float values[CHANNELS];
        for (int i = 0; i < CHANNELS; i++) {
            values[i] = i % 2 ? FLT_MAX : -FLT_MAX;
        }
        const int64_t checksum = sm_crc32c(0, values, sizeof values);
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), object = H5Dopen2(file, weight, H5P_DEFAULT);
        hid_t attribute = H5Aopen(object, "crc32c", H5P_DEFAULT), space = H5Dget_space(object);
        CU_ASSERT_FATAL(H5Sget_simple_extent_npoints(space) == CHANNELS);
        H5Sclose(space);
        CU_ASSERT(H5Dwrite(object, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
        CU_ASSERT(H5Awrite(attribute, H5T_NATIVE_INT64, &checksum) >= 0);
        H5Aclose(attribute);
        H5Dclose(object);
        H5Fclose(file);
    }
    sm_comm_barrier(test_comm);
    return path;
}

static void a_run_that_learns_nothing_fails(void)
{
    char *weights = broken_weights(), *pretrained = sm_format("model.pretrained=%s", weights);
    const char *const sets[] = {"run.steps=3", pretrained, NULL};
    const char *const alone[] = {"run.steps=2", "data.validation_split=", pretrained, NULL};
    const char *const said[] = {"skipped step 1", "'depth'", NULL};
    CU_ASSERT(train_saying("nothing", NULL, sets, said) == SM_ERR_NUMERIC);
    SM_TEST_MESSAGE("nothing is learnt");
    SM_TEST_MESSAGE("loss of task 'depth' is nan");
    SM_TEST_MESSAGE("step 3");
    for (int i = 10; i < TINY_TRAIN; i++) { /* the third step of five samples has the last three of the epoch */
        char *name = NULL;
        sm_config *config = tiny_config(NULL);
        sm_dataset *dataset = NULL;
        SM_TEST_OK(sm_data_open_train(config, &dataset));
        name = sm_format(" %s", sm_dataset_name(dataset, sm_sampler_index(3, 0, TINY_TRAIN, i)));
        SM_TEST_MESSAGE(name);
        sm_dataset_close(dataset);
        sm_config_free(config);
        sm_free(name);
    }
    expect_status_file("nothing", "failed: nothing is learnt");
    CU_ASSERT(!exists_in("nothing", "checkpoints/best.h5"));
    expect_counts("nothing", "/steps/step", 1, 1, 3);
    /* nor is it a success to start it again, or not to evaluate */
    CU_ASSERT(train("nothing", "auto", sets) == SM_ERR_NUMERIC);
    CU_ASSERT(!exists_in("nothing", "checkpoints/best.h5"));
    CU_ASSERT(train("blind", NULL, alone) == SM_ERR_NUMERIC);
    SM_TEST_MESSAGE("'depth'");
    sm_free(pretrained);
    sm_free(weights);
}

/* The first step is applied, and throws the parameters so far that no other one is. */
#define THROWN "optimizer.learning_rate=1e30", "optimizer.clip_norm=0"

static void a_run_that_learns_no_more_fails(void)
{
    static const char *const sets[] = {"run.steps=8", "run.evaluate_interval=2", THROWN, NULL};
    CU_ASSERT(train("stuck", NULL, sets) == SM_ERR_NUMERIC);
    SM_TEST_MESSAGE("the last 2 steps were skipped");
    expect_status_file("stuck", "failed");
    expect_counts("stuck", "/evaluations/val/step", 2, 2, 1);
    CU_ASSERT(exists_in("stuck", "checkpoints/step-00000001.h5")); /* that of the last step that was not skipped */
    CU_ASSERT(!exists_in("stuck", "checkpoints/step-00000004.h5"));
}

/* What was learnt before a run goes wrong stays, whatever is saved later, and at most the last step that was applied takes
 * a place beside it. */
static void too_many_skipped_steps_push_out_no_checkpoint(void)
{
    static const char *const good[] = {"run.steps=4", "data.validation_split=", "checkpoint.interval=1", NULL};
    static const char *const thrown[] = {"run.steps=300", "data.validation_split=", "checkpoint.interval=2", THROWN,
                                         NULL};
    SM_TEST_OK(train("many", NULL, good));
    CU_ASSERT(train("many", "auto", thrown) == SM_ERR_NUMERIC);
    SM_TEST_MESSAGE("100 steps in a row");
    SM_TEST_MESSAGE("its samples");
    CU_ASSERT(exists_in("many", "checkpoints/step-00000003.h5"));
    CU_ASSERT(exists_in("many", "checkpoints/step-00000004.h5"));
    CU_ASSERT(!exists_in("many", "checkpoints/step-00000006.h5"));
    CU_ASSERT(!exists_in("many", "checkpoints/step-00000105.h5"));
    expect_counts("many", "/steps/step", 1, 1, 105);
}

/* ---- the log ---- */

static void cut_to(const char *folder, const char *name, size_t bytes)
{
    char *path = path_in(folder, name);
    void *data = NULL;
    size_t whole;
    if (is_root()) {
        SM_TEST_OK(sm_file_read(path, &data, &whole));
        SM_TEST_OK(sm_file_write_atomic(path, data, bytes < whole ? bytes : whole));
        sm_free(data);
    }
    sm_free(path);
    sm_comm_barrier(test_comm);
}

static void a_damaged_log_is_set_aside(void)
{
    static const char *const three[] = {"run.steps=3", NULL}, *const six[] = {"run.steps=6", NULL};
    static const char *const said[] = {"run.h5.damaged-1", "resuming from", NULL};
    static const char *const again[] = {"run.h5.damaged-2", NULL};
    SM_TEST_OK(train("cut", NULL, three));
    cut_to("cut", "run.h5", 3000);
    SM_TEST_OK(train_saying("cut", "auto", six, said));
    expect_counts("cut", "/steps/step", 4, 1, 3);
    expect_status_file("cut", "done");
    cut_to("cut", "run.h5", 0);
    SM_TEST_OK(train_saying("cut", "auto", six, again));
    expect_counts("cut", "/steps/step", 4, 1, 0);
    CU_ASSERT(exists_in("cut", "run.h5.damaged-1"));
}

/* Whatever byte is wrong, the run goes on. */
static void no_damage_of_the_log_stops_a_run(void)
{
    static const char *const sets[] = {"run.steps=1", "data.validation_split=", NULL};
    void *data = NULL;
    size_t bytes = 0;
    char *path = path_in("bytes", "run.h5");
    SM_TEST_OK(train("bytes", NULL, sets));
    if (is_root()) {
        SM_TEST_OK(sm_file_read(path, &data, &bytes));
    }
    sm_comm_broadcast(test_comm, &bytes, sizeof bytes, 0);
    srand(5);
    for (int i = 0; i < sm_test_rounds(40); i++) {
        if (is_root()) {
            size_t at = i < 20 ? (size_t)i * 7 : (size_t)rand() % bytes, end = at + 64 < bytes ? at + 64 : bytes;
            unsigned char *wrong = memcpy(sm_alloc(bytes), data, bytes);
            memset(wrong + at, i % 2 ? 0xff : 0x5a, end - at);
            SM_TEST_OK(sm_file_write_atomic(path, wrong, bytes));
            sm_free(wrong);
        }
        sm_comm_barrier(test_comm);
        SM_TEST_OK(train("bytes", "auto", sets));
    }
    sm_free(data);
    sm_free(path);
}

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), bytes = strlen(end);
    return length >= bytes && strcmp(text + length - bytes, end) == 0;
}

static int syncs_of_the_log;

/* What the disk is told: stands in for the C library's. */
int fsync(int descriptor)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    syncs_of_the_log += ends_with(path, "/run.h5.partial") || ends_with(path, "/run.journal");
    return (int)syscall(SYS_fsync, descriptor);
}

static int is_disk_full, checkpoints_ahead, checkpoints_seen, seen_before_best, rows_before_best;
static const char *watched;

/* \return the last step of which a row of a table has been written; 0: none */
static int64_t last_logged_step(const char *folder, int table)
{
    static const char *const columns[] = {
        [SM_RUN_STEPS] = "/steps/step", [SM_RUN_EVALUATIONS] = "/evaluations/val/step"};
    char *journal = path_in(folder, "run.journal");
    sm_run_table tables[SM_RUN_TABLES] = {0};
    int64_t start, last = 0;
    sm_h5_info info = {0};
    sm_h5 *file = open_in(folder, "run.h5");
    if (sm_h5_has_dataset(file, columns[table])) {
        SM_TEST_OK(sm_h5_query(file, columns[table], &info));
    }
    if (info.count > 0) {
        SM_TEST_OK(sm_h5_read_rows(file, columns[table], SM_H5_INT64, info.count - 1, 1, 1, &last));
    }
    sm_h5_close(file);
    if (sm_file_exists(journal)) {
        SM_TEST_OK(sm_run_journal_read(journal, &start, tables));
        const sm_run_table *rows = &tables[table];
        last = rows->waiting > 0 ? sm_run_table_step(rows, rows->waiting - 1) : last;
    }
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        sm_run_table_clear(&tables[t]);
    }
    sm_free(journal);
    return last;
}

/* A checkpoint comes into being. */
static void look_at_log(const char *to)
{
    const char *name = strstr(to, "/step-");
    if (name) {
        checkpoints_seen++;
        checkpoints_ahead += strtoll(name + strlen("/step-"), NULL, 10) > last_logged_step(watched, SM_RUN_STEPS);
    } else if (ends_with(to, "/best.h5")) {
        usleep(200000); /* whoever does not wait goes on */
        seen_before_best = checkpoints_seen;
        rows_before_best += last_logged_step(watched, SM_RUN_EVALUATIONS) > 0;
    }
}

/* A disk without room for a log: stands in for the C library's. */
int rename(const char *from, const char *to)
{
    if (is_disk_full && ends_with(to, "/run.h5")) {
        errno = ENOSPC;
        return -1;
    }
    if (watched) {
        look_at_log(to);
    }
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static void a_log_that_cannot_begin_leaves_no_running_status(void)
{
    static const char *const sets[] = {"run.steps=1", NULL}, *const longer[] = {"run.steps=2", NULL};
    is_disk_full = 1;
    CU_ASSERT(train("no-room", NULL, sets) != SM_OK);
    is_disk_full = 0;
    expect_status_file("no-room", "failed: ");
    SM_TEST_OK(train("no-room", NULL, sets));
    remove_in("no-room", "run.h5");
    is_disk_full = 1;
    CU_ASSERT(train("no-room", "auto", longer) != SM_OK);
    is_disk_full = 0;
    expect_status_file("no-room", "done");
}

static int64_t step_of_failure; /* 0: none */
static int is_log_given_up;     /* by then; else its file gets no room any more */
sm_status real_log_step(sm_run_log *log, const sm_step_record *record) __asm__("__real_sm_run_log_step");
sm_status log_step(sm_run_log *log, const sm_step_record *record) __asm__("__wrap_sm_run_log_step");

/* Stands in for sm_run_log_step(). */
sm_status log_step(sm_run_log *log, const sm_step_record *record)
{
    sm_status status = real_log_step(log, record);
    if (record->step != step_of_failure) {
        return status;
    }
    is_disk_full = !is_log_given_up;
    return is_log_given_up ? sm_fail(SM_ERR_WRITE, "too many rows wait") : status;
}

/* Whoever is told 75 starts it again, for ever. */
static void a_log_that_is_given_up_is_no_wish_to_stop(void)
{
    static const char *const sets[] = {"run.steps=6", "data.validation_split=", NULL};
    step_of_failure = 3;
    is_log_given_up = 1;
    CU_ASSERT(train("given-up", NULL, sets) == SM_ERR_WRITE);
    SM_TEST_MESSAGE("too many rows wait");
    step_of_failure = is_log_given_up = 0;
    expect_status_file("given-up", "failed: ");
    CU_ASSERT(exists_in("given-up", "checkpoints/step-00000004.h5"));
    SM_TEST_OK(train("given-up", "auto", sets));
    expect_counts("given-up", "/steps/step", 1, 1, 6);
}

/* Its rows are in the journal, from which the next start takes them: it must not be taken for done. */
static void a_run_whose_log_is_not_whole_is_not_done(void)
{
    static const char *const sets[] = {"run.steps=4", "data.validation_split=", NULL};
    step_of_failure = 2;
    CU_ASSERT(train("not-whole", NULL, sets) == SM_ERR_IO);
    step_of_failure = is_disk_full = 0;
    expect_status_file("not-whole", "failed: ");
    CU_ASSERT(exists_in("not-whole", "run.journal"));
    SM_TEST_OK(train("not-whole", "auto", sets));
    expect_status_file("not-whole", "done");
    expect_counts("not-whole", "/steps/step", 1, 1, 4);
}

static void a_checkpoint_takes_the_log_to_the_disk(void)
{
    static const char *const sets[] = {"run.steps=4", "checkpoint.interval=1", "data.validation_split=", NULL};
    syncs_of_the_log = checkpoints_seen = checkpoints_ahead = 0;
    watched = "synced";
    SM_TEST_OK(train("synced", NULL, sets));
    watched = NULL;
    CU_ASSERT(checkpoints_seen == (is_root() ? 4 : 0) && checkpoints_ahead == 0);
    CU_ASSERT(!is_root() || syncs_of_the_log >= 4);
}

/* ---- the best checkpoint ---- */

/* Nor does the log: a row of its evaluation would keep the next start from making it again. */
static void a_checkpoint_knows_of_no_best_that_is_not_there(void)
{
    static const char *const sets[] = {"run.steps=1", NULL};
    checkpoints_seen = seen_before_best = rows_before_best = 0;
    watched = "best-first";
    SM_TEST_OK(train("best-first", NULL, sets)); /* saved, evaluated, and saved again as the best */
    watched = NULL;
    CU_ASSERT(!is_root() || (checkpoints_seen == 2 && seen_before_best == 1 && rows_before_best == 0));
}

static void a_best_that_is_lost_is_found_again(void)
{
    static const char *const three[] = {"run.steps=3", NULL}, *const four[] = {"run.steps=4", NULL};
    static const char *const five[] = {"run.steps=5", NULL};
    static const char *const said[] = {"the best checkpoint is lost", NULL};
    SM_TEST_OK(train("best", NULL, three));
    remove_in("best", "checkpoints/best.h5");
    SM_TEST_OK(train("best", "auto", four));
    CU_ASSERT(exists_in("best", "checkpoints/best.h5"));
    cut_to("best", "checkpoints/best.h5", 2000);
    SM_TEST_OK(train_saying("best", "auto", five, said));
    if (is_root()) {
        CU_ASSERT(best_metric_of("best", "checkpoints/best.h5") ==
                  best_metric_of("best", "checkpoints/step-00000005.h5"));
    }
}

/* ---- a dataset that rank 0 reads to know it again ---- */

enum { BYTES_OF_AN_IMAGE = 64 * 96 * 3 };
static int images_read, images_read_before_the_folder;
static const char *folder_to_look_at;

/* What is read of a dataset: stands in for the C library's. */
ssize_t pread64(int descriptor, void *data, size_t bytes, off64_t offset)
{
    if (folder_to_look_at && bytes == BYTES_OF_AN_IMAGE) {
        images_read++;
        images_read_before_the_folder += !exists_in(folder_to_look_at, ".lock");
    }
    return syscall(SYS_pread64, descriptor, data, bytes, offset);
}

/* \return the path of a copy of the dataset without checksums */
static char *plain_dataset(void)
{
    char *whole = tiny_dataset(), *path = path_in("", "plain.h5");
    if (is_root()) {
        copy_file(whole, path);
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        CU_ASSERT(H5Ldelete(file, "/train/image_crc32c", H5P_DEFAULT) >= 0);
        H5Fclose(file);
    }
    sm_free(whole);
    sm_comm_barrier(test_comm);
    return path;
}

/* Ranks of other nodes see how far it is through files in the run's folder. */
static void the_folder_is_there_before_the_fingerprint_is_found(void)
{
    char *plain = plain_dataset(), *data = sm_format("data.train=%s", plain);
    const char *const sets[] = {"run.steps=1", "data.validation_split=", data, NULL};
    images_read = images_read_before_the_folder = 0;
    folder_to_look_at = "unknown";
    SM_TEST_OK(train("unknown", NULL, sets));
    folder_to_look_at = NULL;
    CU_ASSERT(!is_root() || images_read >= TINY_TRAIN);
    CU_ASSERT(images_read_before_the_folder == 0);
    if (is_root()) {
        sm_checkpoint_info info;
        char *path = path_in("unknown", "checkpoints/step-00000001.h5");
        SM_TEST_OK(sm_checkpoint_read_info(path, &info));
        CU_ASSERT(strchr(info.fingerprint, '+') != NULL);
        sm_checkpoint_info_free(&info);
        sm_free(path);
    }
    sm_comm_barrier(test_comm);
    sm_free(data);
    sm_free(plain);
}

static void what_one_rank_cannot_open_nobody_reads(void)
{
    int is_last = sm_comm_rank(test_comm) == sm_comm_size(test_comm) - 1;
    char *plain = plain_dataset(), *data = sm_format("data.train=%s%s", plain, is_last ? ".lost" : "");
    const char *const sets[] = {"run.steps=1", "data.validation_split=", data, NULL};
    images_read = 0;
    folder_to_look_at = "lost";
    CU_ASSERT(train("lost", NULL, sets) == SM_ERR_IO);
    folder_to_look_at = NULL;
    SM_TEST_MESSAGE("plain.h5.lost");
    CU_ASSERT(images_read == 0 && !exists_in("lost", "run.h5"));
    expect_status_file("lost", "failed: ");
    sm_free(data);
    sm_free(plain);
}

/* ---- what is said of the arithmetic ---- */

static void running_statistics_are_news_where_they_are_not_asked_for(void)
{
    static const char *const sync[] = {"run.steps=1", "run.batch=1", "data.validation_split=", NULL};
    static const char *const frozen[] = {"run.steps=1", "run.batch=1",
                                         "data.validation_split=", "distributed.batch_norm=frozen", NULL};
    static const char *const said[] = {"a global batch of 1", NULL}, *const not_said[] = {"!a global batch of 1", NULL};
    SM_TEST_OK(train_saying("single", NULL, sync, said));
    SM_TEST_OK(train_saying("single-frozen", NULL, frozen, not_said));
}

/* ---- going on otherwise ---- */

/* One log cannot say of its rows that they were made by the one and by the other. */
static void a_log_is_not_continued_by_another_weighting(void)
{
    static const char *const equal[] = {"run.steps=2", "weighting.method=equal", NULL};
    static const struct {
        const char *set, *key, *was;
    } cases[] = {{"weighting.method=uncertainty", "weighting.method", "equal"},
                 {"task.depth.loss=l2", "task.depth.loss", "l1"}};
    SM_TEST_OK(train("method", NULL, equal));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const other[] = {"run.steps=4", "weighting.method=equal", cases[i].set, NULL};
        CU_ASSERT(train("method", "auto", other) == SM_ERR_INPUT);
        SM_TEST_MESSAGE("run.h5");
        SM_TEST_MESSAGE(cases[i].key);
        SM_TEST_MESSAGE(cases[i].was);
        expect_status_file("method", "done");
        expect_counts("method", "/steps/step", 1, 1, 2);
    }
    if (is_root()) {
        sm_h5 *file = open_in("method", "run.h5");
        char *text = NULL;
        SM_TEST_OK(sm_h5_read_attribute_text(file, "/", "weighting", &text));
        CU_ASSERT_STRING_EQUAL(text, "equal");
        sm_free(text);
        sm_h5_close(file);
    }
    sm_comm_barrier(test_comm);
    SM_TEST_OK(train("method", "auto", equal));
}

static void a_complete_run_names_the_key_that_it_counts_by(void)
{
    static const char *const epochs[] = {"run.steps=0", "run.epochs=1", NULL}, *const steps[] = {"run.steps=3", NULL};
    static const char *const said_epochs[] = {"--set run.epochs=", NULL}, *const said_steps[] = {"--set run.steps=",
                                                                                                 NULL};
    SM_TEST_OK(train("counted", NULL, epochs));
    SM_TEST_OK(train_saying("counted", "auto", epochs, said_epochs));
    SM_TEST_OK(train_saying("counted", "auto", steps, said_steps));
}

/* ---- nothing made, nothing changed ---- */

static void expect_unchanged(const char *folder, char *before)
{
    if (is_root()) {
        char *after = contents_of(folder);
        CU_ASSERT_STRING_EQUAL(after, before);
        sm_free(after);
    }
    sm_free(before);
    sm_comm_barrier(test_comm);
}

static char *contents_at_root(const char *folder)
{
    sm_comm_barrier(test_comm);
    char *contents = is_root() ? contents_of(folder) : NULL;
    sm_comm_barrier(test_comm);
    return contents;
}

#define THREE "run.steps=3", "run.evaluate_interval=2", "checkpoint.interval=1", "checkpoint.keep_last=3"

/* Whatever is set otherwise: a config that no step was made with describes no row of the log. */
static void a_complete_run_stays_as_it_is(void)
{
    static const struct {
        const char *sets[4], *resume; /* NULL: auto */
        const char *said;
    } cases[] = {{{"optimizer.learning_rate=0.5", "checkpoint.keep_last=1"}, NULL, "complete (3 of 3 steps)"},
                 {{"data.validation_split=", "run.evaluate_interval=1"}, NULL, "complete (3 of 3 steps)"},
                 {{"checkpoint.keep_last=1"}, "checkpoints/step-00000003.h5", "complete (3 of 3 steps)"},
                 {{"checkpoint.keep_last=1"}, "", "complete/checkpoints/step-00000003.h5 at step 3"},
                 {{"run.steps=0", "run.epochs=1"}, NULL, "complete (3 of 3 steps)"},
                 {{"run.steps=2"}, NULL, "run.steps = 2 is less than the run has made (3 steps)"}};
    static const char *const sets[] = {THREE, NULL};
    static const char *const longer[] = {THREE, "run.steps=4", NULL}, *const epoch[] = {THREE, "run.steps=0",
                                                                                        "run.epochs=1", NULL};
    static const char *const said_less[] = {"run.epochs = 1 is less than the run has made (1.385 epochs)",
                                            "--set run.epochs=", NULL};
    SM_TEST_OK(train("complete", NULL, sets));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *all[8] = {THREE}, *const said[] = {cases[i].said, "--set run.", "!holds from the next step on",
                                                       NULL};
        for (int k = 0; k < 4; k++) {
            all[4 + k] = cases[i].sets[k];
        }
        char *path = cases[i].resume ? path_in("complete", cases[i].resume) : sm_strdup("auto");
        char *before = contents_at_root("complete");
        SM_TEST_OK(train_saying("complete", path, all, said));
        expect_unchanged("complete", before);
        sm_free(path);
    }
    SM_TEST_OK(train("complete", "auto", longer));
    char *before = contents_at_root("complete");
    SM_TEST_OK(train_saying("complete", "auto", epoch, said_less));
    expect_unchanged("complete", before);
}

/* Rows of evaluations on a split stay though the run goes on with another one, or with none. */
static void evaluations_on_another_split_stay(void)
{
    static const char *const val[] = {"run.steps=2", "run.evaluate_interval=1", NULL};
    static const char *const none[] = {"run.steps=3", "data.validation_split=", NULL};
    static const char *const train_split[] = {"run.steps=4", "data.validation_split=train", NULL};
    SM_TEST_OK(train("splits", NULL, val));
    SM_TEST_OK(train("splits", "auto", none));
    expect_counts("splits", "/evaluations/val/step", 1, 1, 2);
    SM_TEST_OK(train("splits", "auto", train_split));
    expect_counts("splits", "/evaluations/val/step", 1, 1, 2);
    expect_counts("splits", "/evaluations/train/step", 4, 1, 1);
    if (is_root()) {
        sm_h5 *file = open_in("splits", "run.h5");
        size_t bytes;
        double *errors = read_numbers(file, "/evaluations/val/depth/error_pixels", &bytes);
        double *scales = read_numbers(file, "/calibration/val/depth/residual_scale", &bytes);
        CU_ASSERT(bytes == 2 * sizeof *errors && errors[0] > 0 && errors[1] > 0);
        for (int i = 0; i < 2; i++) { /* a Laplace scale is the mean absolute error */
            SM_TEST_AT_MOST(fabs(scales[i] - errors[i]), 1e-6 * errors[i]);
        }
        sm_free(errors);
        sm_free(scales);
        sm_h5_close(file);
    }
    sm_comm_barrier(test_comm);
}

static void write_in(const char *folder, const char *name, const char *text)
{
    char *path = path_in(folder, name);
    if (is_root()) {
        SM_TEST_OK(sm_file_write_atomic(path, text, strlen(text)));
    }
    sm_free(path);
    sm_comm_barrier(test_comm);
}

/* A process that was killed behind its last evaluation said so to nobody: then the next start does. */
static void a_complete_run_is_done(void)
{
    static const char *const sets[] = {THREE, NULL}, *const less[] = {THREE, "run.steps=1", NULL};
    write_in("complete", "status", "running\n");
    SM_TEST_OK(train("complete", "auto", less));
    expect_status_file("complete", "running");
    remove_in("complete", "checkpoints/step-00000004.h5");
    SM_TEST_OK(train("complete", "auto", sets));
    expect_status_file("complete", "done");
}

/* A copy of the dataset in which no training image can be read, and which is known for the same by its checksums. \return its path */
static char *unreadable_dataset(void)
{
    char *whole = tiny_dataset(), *path = path_in("", "unreadable.h5");
    if (is_root()) {
        const size_t shape[4] = {TINY_TRAIN, 64, 96, 3};
        uint64_t offset;
        sm_h5 *h5 = NULL;
        sm_file *file = NULL;
        copy_file(whole, path);
        SM_TEST_OK(sm_h5_open(path, &h5));
        SM_TEST_OK(sm_h5_locate(h5, "/train/image", SM_H5_U8, 4, shape, &offset));
        sm_h5_close(h5);
        SM_TEST_OK(sm_file_open_write(path, &file));
        for (int i = 0; i < TINY_TRAIN; i++) {
            SM_TEST_OK(sm_file_pwrite(file, "spoilt", 6, offset + (uint64_t)i * BYTES_OF_AN_IMAGE));
        }
        sm_file_close(file);
    }
    sm_free(whole);
    sm_comm_barrier(test_comm);
    return path;
}

static void a_run_that_makes_no_step_leaves_its_log(void)
{
    char *path = unreadable_dataset(), *data = sm_format("data.train=%s", path), *log = path_in("first", "run.h5");
    const char *const sets[] = {"run.steps=1", NULL}, *const longer[] = {"run.steps=2", data, NULL};
    void *before = NULL, *after = NULL;
    size_t bytes = 0, bytes_after = 0;
    SM_TEST_OK(train("first", NULL, sets));
    SM_TEST_OK(sm_file_read(log, &before, &bytes));
    CU_ASSERT(train("first", "auto", longer) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("unreadable.h5");
    expect_status_file("first", "failed: ");
    SM_TEST_OK(sm_file_read(log, &after, &bytes_after));
    CU_ASSERT(bytes == bytes_after && memcmp(before, after, bytes) == 0);
    CU_ASSERT(!exists_in("first", "run.h5.partial"));
    /* a new one that came no further has nothing that a start could lose */
    CU_ASSERT(train("first-step", NULL, longer) == SM_ERR_INPUT);
    expect_status_file("first-step", "failed: ");
    SM_TEST_OK(train("first-step", NULL, sets));
    sm_free(before);
    sm_free(after);
    sm_free(log);
    sm_free(data);
    sm_free(path);
}

/* ---- starts that fail ---- */

static void a_start_that_fails_is_seen(void)
{
    static const char *const sets[] = {"run.steps=1", NULL};
    static const char *const wrong[][2] = {{"data.train=absent.h5"}, {"model.pretrained=absent.h5"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *const start[] = {"run.steps=1", wrong[i][0], NULL};
        CU_ASSERT(train("unstarted", NULL, start) != SM_OK);
        char *text = sm_format("failed: %s", sm_error_message());
        expect_status_file("unstarted", text);
        CU_ASSERT(!exists_in("unstarted", "run.h5") && !exists_in("unstarted", "checkpoints"));
        sm_free(text);
    }
    SM_TEST_OK(train("unstarted", NULL, sets));
    expect_status_file("unstarted", "done");
    char *before = contents_at_root("unstarted");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *const start[] = {"run.steps=1", wrong[i][0], NULL};
        const sm_train_options anew = {.overwrite = 1};
        CU_ASSERT(train("unstarted", NULL, start) != SM_OK);
        CU_ASSERT(train_with("unstarted", &anew, start) != SM_OK);
        CU_ASSERT(i == 1 || train("unstarted", "auto", start) != SM_OK);
    }
    CU_ASSERT(train("unstarted", "auot", sets) == SM_ERR_USAGE);
    SM_TEST_MESSAGE("did you mean auto?");
    expect_unchanged("unstarted", before);
    CU_ASSERT(train_with("dry", &(sm_train_options){.dry_run = 1}, wrong[0]) != SM_OK);
    CU_ASSERT(!exists_in("dry", ""));
}

static void a_failed_start_keeps_to_its_own(void)
{
    static const char *const sets[] = {"run.steps=1", NULL}, *const absent[] = {"data.train=absent.h5", NULL};
    char *folder = path_in("notes", "");
    SM_TEST_OK(sm_make_folders(folder));
    sm_comm_barrier(test_comm);
    write_in("notes", "status", "done with chapter two\n");
    CU_ASSERT(train("notes", NULL, absent) != SM_OK);
    expect_status_file("notes", "done with chapter two\n");
    CU_ASSERT(!exists_in("notes", ".lock"));
    CU_ASSERT(train("mistyped", "autp", sets) == SM_ERR_USAGE);
    CU_ASSERT(!exists_in("mistyped", ""));
    static const char *const refused[] = {"run.steps=0", "task.depth.target=disparty", "model.freeze=layr1",
                                          "distributed.conv2d_algorithm=fft", "checkpoint.best=depth.loss"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *const start[] = {"run.steps=1", refused[i], NULL};
        CU_ASSERT(train("mistyped", NULL, start) == SM_ERR_CONFIG);
        CU_ASSERT(!exists_in("mistyped", ""));
        CU_ASSERT(train("mistyped", "auto", start) == SM_ERR_CONFIG);
        CU_ASSERT(!exists_in("mistyped", ""));
    }
    sm_free(folder);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_bad_validation_sample_loses_no_training);
    SM_TEST(one_rank_ends_an_evaluation_on_all);
    SM_TEST(a_rank_that_fails_ends_an_evaluation_on_all);
    SM_TEST(a_run_that_learns_nothing_fails);
    SM_TEST(a_run_that_learns_no_more_fails);
    SM_TEST(too_many_skipped_steps_push_out_no_checkpoint);
    SM_TEST(a_damaged_log_is_set_aside);
    SM_TEST(no_damage_of_the_log_stops_a_run);
    SM_TEST(a_log_that_cannot_begin_leaves_no_running_status);
    SM_TEST(a_log_that_is_given_up_is_no_wish_to_stop);
    SM_TEST(a_run_whose_log_is_not_whole_is_not_done);
    SM_TEST(a_checkpoint_takes_the_log_to_the_disk);
    SM_TEST(a_checkpoint_knows_of_no_best_that_is_not_there);
    SM_TEST(a_best_that_is_lost_is_found_again);
    SM_TEST(the_folder_is_there_before_the_fingerprint_is_found);
    SM_TEST(what_one_rank_cannot_open_nobody_reads);
    SM_TEST(running_statistics_are_news_where_they_are_not_asked_for);
    SM_TEST(a_log_is_not_continued_by_another_weighting);
    SM_TEST(a_complete_run_names_the_key_that_it_counts_by);
    SM_TEST(a_complete_run_stays_as_it_is);
    SM_TEST(evaluations_on_another_split_stay);
    SM_TEST(a_complete_run_is_done);
    SM_TEST(a_run_that_makes_no_step_leaves_its_log);
    SM_TEST(a_start_that_fails_is_seen);
    SM_TEST(a_failed_start_keeps_to_its_own);
    return sm_test_end();
}
