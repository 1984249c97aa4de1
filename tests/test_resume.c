/* ranks: 1 2 */
#define _POSIX_C_SOURCE 200809L
/* Runs that go on: checkpoints, run logs, and files that must be refused. */
#include "whole_run.h"

#include "train/run_folder.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/arithmetic.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/pretrained.h>

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#ifdef __SANITIZE_ADDRESS__
/* Thousands of damaged files are opened: walking HDF5's stacks would take minutes (harness.c). */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

/* ---- comparing files (rank 0) ---- */

/* Wall-clock time differs between runs. */
static int is_time(const char *object)
{
    return strncmp(object, "/timing/", 8) == 0 || strcmp(object, "/steps/seconds") == 0 ||
           strcmp(object, "/steps/images_per_second") == 0;
}

/* Compares all datasets below a group by bits. \return how many */
static int compare_group(const sm_h5 *a, const sm_h5 *b, const char *group)
{
    char **names = NULL, **others = NULL;
    size_t count = 0, other_count = 0;
    int compared = 0;
    SM_TEST_OK(sm_h5_list(a, group, &names, &count));
    SM_TEST_OK(sm_h5_list(b, group, &others, &other_count));
    CU_ASSERT(count == other_count);
    for (size_t i = 0; i < count; i++) {
        char *object = sm_format("%s/%s", strcmp(group, "/") ? group : "", names[i]);
        if (sm_h5_has_group(a, object)) {
            compared += compare_group(a, b, object);
        } else if (!is_time(object)) {
            size_t bytes, other_bytes;
            void *x = read_numbers(a, object, &bytes), *y = read_numbers(b, object, &other_bytes);
            int same = bytes == other_bytes && memcmp(x, y, bytes) == 0;
            if (!same) {
                fprintf(stderr, "%s and %s: %s differs\n", sm_h5_path(a), sm_h5_path(b), object);
            }
            CU_ASSERT(same);
            sm_free(x);
            sm_free(y);
            compared++;
        }
        sm_free(object);
    }
    sm_free(names);
    sm_free(others);
    return compared;
}

static void expect_same_file(const char *a_folder, const char *b_folder, const char *name, int least_datasets)
{
    if (is_root()) {
        sm_h5 *a = open_in(a_folder, name), *b = open_in(b_folder, name);
        CU_ASSERT(compare_group(a, b, "/") >= least_datasets);
        sm_h5_close(a);
        sm_h5_close(b);
    }
    sm_comm_barrier(test_comm);
}

static void expect_attribute(const char *folder, const char *name, const char *attribute, int64_t expected)
{
    if (is_root()) {
        sm_h5 *file = open_in(folder, name);
        int64_t value = -1;
        SM_TEST_OK(sm_h5_read_attribute_int64(file, "/", attribute, &value));
        CU_ASSERT(value == expected);
        sm_h5_close(file);
    }
}

/* ---- a resumed run is the run ---- */

#define SIX "run.steps=6", "run.evaluate_interval=2", "checkpoint.interval=3", "checkpoint.keep_last=10"

/* A run of six steps; a copy of it that lost what came after the checkpoint of step 3, but not the rows of its log; and
 * that copy gone on. The 13 samples make three steps an epoch, so the resumed part starts in a new one; with a batch of
 * 4 it starts inside one. */
static void a_resumed_run_has_the_bits_of_the_whole(void)
{
    static const char *const plain[] = {SIX, NULL};
    static const char *const other[] = {SIX,
                                        "run.batch=4",
                                        "optimizer.kind=adamw",
                                        "optimizer.ema_decay=0.9",
                                        "model.dropout=0.2",
                                        "schedule.warmup_steps=4",
                                        "distributed.batch_norm=local",
                                        "task.semantic.likelihood=categorical_scaled",
                                        NULL};
    const char *const *const cases[] = {plain, other};
    static const char *const whole[] = {"plain", "other"}, *const resumed[] = {"plain-resumed", "other-resumed"};
    for (int i = 0; i < 2; i++) {
        SM_TEST_OK(train(whole[i], NULL, cases[i]));
        copy_in(whole[i], resumed[i], "checkpoints/step-00000003.h5");
        copy_in(whole[i], resumed[i], "run.h5");
        SM_TEST_OK(train(resumed[i], "auto", cases[i]));
        expect_same_file(whole[i], resumed[i], "checkpoints/step-00000006.h5", 93 + 56 + 93 + 1);
        expect_same_file(whole[i], resumed[i], "run.h5", 6 + 12 + 1);
        expect_counts(resumed[i], "/steps/step", 1, 1, 6);
        expect_counts(resumed[i], "/evaluations/val/step", 2, 2, 3);
        expect_status_file(resumed[i], "done");
    }
    expect_attribute("plain-resumed", "checkpoints/step-00000006.h5", "step", 6);
    expect_attribute("plain-resumed", "checkpoints/step-00000006.h5", "samples_seen", 26);
    expect_attribute("other-resumed", "checkpoints/step-00000006.h5", "samples_seen", 21);
}

/* The percentages of all algorithms, each rounded. */
static double percents_of(const char *arithmetic, int *count)
{
    double sum = 0;
    const char *colon = strchr(arithmetic, ':');
    *count = 0;
    for (const char *part = colon; part; part = strchr(part + 1, ',')) {
        char name[32];
        double percent = NAN;
        CU_ASSERT(sscanf(part + 1, " %31s %lf %%", name, &percent) == 2 && sm_conv2d_find(name) != NULL);
        sum += percent;
        ++*count;
    }
    return sum;
}

/* "plain" has been trained with the settings that tiny_config() makes. */
static void the_log_says_how_convolutions_were_computed(void)
{
    tiny_run run;
    int count;
    tiny_open(&run, test_comm, tiny_config(NULL));
    char *expected = sm_arithmetic_text(run.trainer->engine->plan, SM_CONV2D_HIGHEST);
    CU_ASSERT(strncmp(expected, "convolutions (highest, ", 23) == 0);
    CU_ASSERT(fabs(percents_of(expected, &count) - 100) <= 0.5 * count && count > 1);
    if (is_root()) {
        sm_h5 *file = NULL;
        char *path = path_in("plain", "run.h5"), *logged = NULL;
        SM_TEST_OK(sm_h5_open(path, &file));
        SM_TEST_OK(sm_h5_read_attribute_text(file, "/", "arithmetic", &logged));
        CU_ASSERT_STRING_EQUAL(logged, expected);
        sm_h5_close(file);
        sm_free(logged);
        sm_free(path);
    }
    sm_free(expected);
    tiny_close(&run);
    static const char *const named[] = {"distributed.conv2d_algorithm=reference", NULL};
    tiny_open(&run, test_comm, tiny_config(named));
    char *all = sm_arithmetic_text(run.trainer->engine->plan, SM_CONV2D_HIGH);
    CU_ASSERT_STRING_EQUAL(all, "convolutions (high, plain): reference 100 %");
    sm_free(all);
    tiny_close(&run);
}

static void precisions_are_the_choices_of_their_key(void)
{
    for (const sm_key *key = sm_run_keys; key->section; key++) {
        if (strcmp(key->name, "precision") == 0 && key->type == SM_KEY_CHOICE) {
            char *names =
                sm_format("%s|%s|%s", sm_conv2d_precision_names[SM_CONV2D_HIGHEST],
                          sm_conv2d_precision_names[SM_CONV2D_HIGH], sm_conv2d_precision_names[SM_CONV2D_BF16]);
            CU_ASSERT_STRING_EQUAL(key->choices, names);
            CU_ASSERT_STRING_EQUAL(key->fallback, "highest");
            sm_free(names);
        }
    }
}

static void resuming_a_finished_run_adds_nothing(void)
{
    static const char *const sets[] = {SIX, NULL};
    SM_TEST_OK(train("plain-resumed", "auto", sets));
    expect_counts("plain-resumed", "/steps/step", 1, 1, 6);
    expect_counts("plain-resumed", "/evaluations/val/step", 2, 2, 3);
    expect_same_file("plain", "plain-resumed", "checkpoints/step-00000006.h5", 93);
    expect_status_file("plain-resumed", "done");
}

static ino_t inode_of(const char *folder, const char *name)
{
    struct stat found = {0};
    char *path = path_in(folder, name);
    CU_ASSERT(stat(path, &found) == 0);
    sm_free(path);
    return found.st_ino;
}

static void expect_same_info(const char *path, const char *expected_path)
{
    sm_checkpoint_info found, expected;
    SM_TEST_OK(sm_checkpoint_read_info(path, &found));
    SM_TEST_OK(sm_checkpoint_read_info(expected_path, &expected));
    CU_ASSERT(found.step == expected.step && found.samples_seen == expected.samples_seen);
    CU_ASSERT(found.skipped == expected.skipped && found.seed == expected.seed);
    CU_ASSERT(found.epoch == expected.epoch && expected.epoch == 1);
    CU_ASSERT(found.world_size == expected.world_size);
    CU_ASSERT_STRING_EQUAL(found.fingerprint, expected.fingerprint);
    sm_checkpoint_info_free(&found);
    sm_checkpoint_info_free(&expected);
}

/* What has been trained before is written of no step, and so with all that was known of the last one. */
static void a_checkpoint_written_without_a_step_says_the_same(void)
{
    static const char six[] = "checkpoints/step-00000006.h5";
    static const char *const sets[] = {SIX, NULL};
    char *path = path_in("plain", six), *elsewhere = path_in("elsewhere", six);
    SM_TEST_OK(train("elsewhere", path, sets));
    if (is_root()) {
        expect_same_info(elsewhere, path);
    }
    CU_ASSERT(exists_in("elsewhere", "checkpoints/best.h5")); /* the other folder's best is none of this one */
    sm_comm_barrier(test_comm);
    sm_free(path);
    sm_free(elsewhere);
}

/* Nor is a file written again that stands there, be it that others go. */
static void a_complete_run_keeps_its_checkpoint(void)
{
    static const char six[] = "checkpoints/step-00000006.h5", three[] = "checkpoints/step-00000003.h5";
    static const char *const sets[] = {SIX, NULL}, *const half[] = {SIX, "run.steps=3", "checkpoint.keep_best=false",
                                                                    NULL};
    copy_in("plain", "kept", six);
    copy_in("plain", "kept", three);
    copy_in("plain", "kept", "run.h5");
    char *path = path_in("kept", three);
    ino_t of_six = is_root() ? inode_of("kept", six) : 0, of_three = is_root() ? inode_of("kept", three) : 0;
    SM_TEST_OK(train("kept", "auto", sets));
    if (is_root()) {
        CU_ASSERT(inode_of("kept", six) == of_six);
    }
    sm_comm_barrier(test_comm);
    SM_TEST_OK(train("kept", path, half));
    if (is_root()) {
        CU_ASSERT(!exists_in("kept", six) && inode_of("kept", three) == of_three);
    }
    sm_comm_barrier(test_comm);
    sm_free(path);
}

static void a_finished_run_can_be_made_longer(void)
{
    static const char *const sets[] = {SIX, "run.steps=8", NULL};
    SM_TEST_OK(train("plain-resumed", "auto", sets));
    expect_counts("plain-resumed", "/steps/step", 1, 1, 8);
    expect_counts("plain-resumed", "/evaluations/val/step", 2, 2, 4);
}

/* Rates of the logged steps `first` to `last` are those of a run that is `steps` long (poly with power 0.9). */
static void expect_rates(const char *folder, int first, int last, int steps)
{
    if (is_root()) {
        sm_h5 *file = open_in(folder, "run.h5");
        size_t bytes;
        double *rates = read_numbers(file, "/steps/learning_rate", &bytes);
        CU_ASSERT_FATAL(bytes >= (size_t)last * sizeof *rates);
        for (int step = first; step <= last; step++) {
            SM_TEST_AT_MOST(fabs(rates[step - 1] - 0.02 * pow(1 - (step - 1) / (double)steps, 0.9)), 1e-9);
        }
        sm_free(rates);
        sm_h5_close(file);
    }
}

/* Of a longer run the schedule is that of its whole new length, from the first step that is added on. */
static void a_longer_run_has_the_schedule_of_its_length(void)
{
    static const char *const longer[] = {"run.steps=5", "data.validation_split=", NULL};
    static const char *const said[] = {
        "run.steps = 5, was 3",
        "learning rate of step 4: 0.008768 (poly over all 5 steps of the run), would have "
        "been 0 (poly over 3)",
        NULL};
    static const char *const same[] = {"!was", "!learning rate of", NULL};
    SM_TEST_OK(train("longer", NULL, (const char *const[]){"run.steps=3", "data.validation_split=", NULL}));
    SM_TEST_OK(train_saying("longer", "auto", longer, said));
    expect_rates("longer", 1, 3, 3);
    expect_rates("longer", 4, 5, 5);
    SM_TEST_OK(train_saying("longer", "auto", longer, same));
}

/* 13 samples in batches of 5 are three steps an epoch; of the second epoch's 13 one step of 5 is made, and 8 are one batch of 8. */
static void another_global_batch_goes_on_with_the_next_samples(void)
{
    static const char *const begun[] = {
        "run.steps=0", "run.epochs=2", "data.validation_split=", "checkpoint.interval=1", "checkpoint.keep_last=10",
        NULL};
    static const char *const larger[] = {"run.steps=0", "run.epochs=2", "data.validation_split=", "run.batch=8", NULL};
    static const char *const said[] = {"run.batch = 8, was 5: samples go on where they stopped", "steps 5 to 5",
                                       "poly over all 5 steps of the run", NULL};
    SM_TEST_OK(train("batches", NULL, begun));
    expect_counts("batches", "/steps/step", 1, 1, 6);
    remove_in("batches", "checkpoints/step-00000006.h5");
    remove_in("batches", "checkpoints/step-00000005.h5");
    SM_TEST_OK(train_saying("batches", "auto", larger, said));
    expect_counts("batches", "/steps/step", 1, 1, 5);
    expect_attribute("batches", "checkpoints/step-00000005.h5", "samples_seen", 2 * TINY_TRAIN);
}

static void another_weighting_is_refused_in_any_folder(void)
{
    char *path = path_in("plain", "checkpoints/step-00000006.h5");
    static const char *const equal[] = {"run.steps=8", "weighting.method=equal", NULL};
    CU_ASSERT(train("other-weighting", path, equal) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("weighting.method = uncertainty, the config says equal");
    SM_TEST_MESSAGE("model.pretrained");
    CU_ASSERT(!exists_in("other-weighting", "run.h5"));
    sm_free(path);
}

/* By the key, before a tensor is missed. */
static void another_network_is_refused_by_its_key(void)
{
    char *path = path_in("plain", "checkpoints/step-00000006.h5");
    static const char *const sets[][2] = {{"model.width=0.125", "with model.width = "},
                                          {"model.backbone=resnet34", "the config says resnet34"},
                                          {"model.project=true", "with model.project = false"},
                                          {"task.more.kind=depth", "without [task.more]"},
                                          {"task.depth.kind=semantic", "with task.depth.kind = depth"}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        const char *const changed[] = {"run.steps=8", sets[i][0], i == 4 ? "task.depth.target=semantic" : NULL, NULL};
        CU_ASSERT(train("other-network", path, changed) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(sets[i][1]);
        SM_TEST_MESSAGE("cannot change within a run");
    }
    sm_free(path);
}

static void files_that_are_no_checkpoint_are_told_what_they_are(void)
{
    static const char *const sets[] = {SIX, NULL};
    char *log = path_in("plain", "run.h5"), *weights = path_in("", "net.safetensors");
    CU_ASSERT(train("misnamed", log, sets) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("a run's log: give the folder ");
    if (is_root()) {
        SM_TEST_OK(sm_file_write_atomic(weights, "\2\0\0\0\0\0\0\0{}", 10));
    }
    sm_comm_barrier(test_comm);
    CU_ASSERT(train("misnamed", weights, sets) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("give it as model.pretrained");
    sm_free(weights);
    sm_free(log);
}

static void an_existing_run_is_not_touched(void)
{
    static const char *const sets[] = {SIX, NULL};
    CU_ASSERT(train("plain", NULL, sets) == SM_ERR_USAGE);
    SM_TEST_MESSAGE("/plain");
    SM_TEST_MESSAGE("--resume auto");
    expect_counts("plain", "/steps/step", 1, 1, 6);
    expect_status_file("plain", "done");
}

static void nothing_to_resume_is_a_new_run(void)
{
    static const char *const sets[] = {"run.steps=1", NULL};
    SM_TEST_OK(train("new", "auto", sets));
    expect_counts("new", "/steps/step", 1, 1, 1);
    expect_counts("new", "/evaluations/val/step", 1, 1, 1);
}

static void overwriting_replaces_a_run(void)
{
    static const char *const sets[] = {"run.steps=1", "run.seed=9", NULL};
    SM_TEST_OK(train("replaced", NULL, (const char *const[]){"run.steps=3", NULL}));
    SM_TEST_OK(train_with("replaced", &(sm_train_options){.overwrite = 1}, sets));
    expect_counts("replaced", "/steps/step", 1, 1, 1);
    expect_attribute("replaced", "checkpoints/step-00000001.h5", "seed", 9);
    if (is_root()) {
        char *old = path_in("replaced", "checkpoints/step-00000003.h5");
        CU_ASSERT(!sm_file_exists(old));
        sm_free(old);
    }
    sm_comm_barrier(test_comm);
}

static void only_the_latest_checkpoints_are_kept(void)
{
    static const char *const sets[] = {"run.steps=5", "checkpoint.interval=1", "checkpoint.keep_last=2",
                                       "checkpoint.keep_best=false", NULL};
    SM_TEST_OK(train("pruned", NULL, sets));
    if (is_root()) {
        char *folder = path_in("pruned", "checkpoints"), **names = NULL;
        size_t count = 0;
        SM_TEST_OK(sm_folder_list(folder, &names, &count));
        CU_ASSERT(count == 2 && strcmp(names[0], "step-00000004.h5") == 0 && strcmp(names[1], "step-00000005.h5") == 0);
        sm_free(names);
        sm_free(folder);
    }
    sm_comm_barrier(test_comm);
}

/* Steps 1 to 4 with 3 damaged: 4 and 2 are the two newest whole ones; 3 goes once two newer ones are whole. */
static void damaged_checkpoints_push_out_no_good_ones(void)
{
    static const char *const sets[] = {"run.steps=4", "checkpoint.interval=1", "checkpoint.keep_last=9",
                                       "checkpoint.keep_best=false", NULL};
    SM_TEST_OK(train("counted", NULL, sets));
    if (is_root()) {
        char *run = path_in("counted", ""), *folder = path_in("counted", "checkpoints"),
             *damaged = path_in("counted", "checkpoints/step-00000003.h5");
        sm_run_folder *counted = sm_run_folder_new(run);
        char *second = path_in("counted", "checkpoints/step-00000002.h5"), **names = NULL;
        size_t count = 0;
        SM_TEST_OK(sm_file_write_atomic(damaged, "ruin", 4));
        SM_TEST_OK(sm_run_folder_prune(counted, 4, 2, 0));
        SM_TEST_OK(sm_folder_list(folder, &names, &count));
        CU_ASSERT(count == 3 && strcmp(names[0], "step-00000002.h5") == 0);
        sm_free(names);
        SM_TEST_OK(sm_run_folder_prune(counted, 4, 1, 0));
        CU_ASSERT(!sm_file_exists(damaged) && !sm_file_exists(second));
        sm_run_folder_free(counted);
        sm_free(second);
        sm_free(damaged);
        sm_free(folder);
        sm_free(run);
    }
    sm_comm_barrier(test_comm);
}

/* Copies that a user put aside under names of his own are neither resumed from nor counted nor removed. */
static void a_users_copies_are_not_touched(void)
{
    static const char *const sets[] = {SIX, "checkpoint.keep_last=1", "checkpoint.keep_best=false", NULL};
    static const char *const words[] = {"resuming from", "step-00000003.h5 at step 3", NULL};
    static const char *const copies[] = {"checkpoints/step-good.h5", "checkpoints/step-9x.h5", "checkpoints/step-.h5",
                                         "checkpoints/step-99999999999999999999.h5", "checkpoints/mine.h5.1.tmp"};
    copy_in("plain", "named", "checkpoints/step-00000003.h5");
    copy_in("plain", "named", "run.h5");
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
        copy_to("plain", "checkpoints/step-00000006.h5", "named", copies[i]);
    }
    SM_TEST_OK(train_saying("named", "auto", sets, words));
    expect_same_file("plain", "named", "checkpoints/step-00000006.h5", 93);
    SM_TEST_OK(train_with("named", &(sm_train_options){.overwrite = 1}, sets));
    if (is_root()) {
        for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
            CU_ASSERT(exists_in("named", copies[i]));
        }
        CU_ASSERT(exists_in("named", "checkpoints/step-00000006.h5"));
        CU_ASSERT(!exists_in("named", "checkpoints/step-00000003.h5"));
    }
    sm_comm_barrier(test_comm);
}

/* As text, ten digits of 6 come before eight digits of 3. */
static void the_newest_checkpoint_is_that_of_the_highest_number(void)
{
    static const char *const sets[] = {SIX, NULL}, *const words[] = {"step-0000000006.h5 at step 6", NULL};
    copy_in("plain", "numbered", "checkpoints/step-00000003.h5");
    copy_in("plain", "numbered", "run.h5");
    copy_to("plain", "checkpoints/step-00000006.h5", "numbered", "checkpoints/step-0000000006.h5");
    SM_TEST_OK(train_saying("numbered", "auto", sets, words));
}

/* Bytes that this process has read from files. */
static double bytes_read(void)
{
    double bytes = -1;
    FILE *counters = fopen("/proc/self/io", "r");
    CU_ASSERT_FATAL(counters && fscanf(counters, "rchar: %lf", &bytes) == 1);
    fclose(counters);
    return bytes;
}

/* Twelve steps with a checkpoint each: read again at each save they would be 66 files. */
static void a_save_does_not_read_what_the_run_wrote(void)
{
    static const char *const sets[] = {"run.steps=12", "checkpoint.interval=1", "checkpoint.keep_last=20",
                                       "data.validation_split=", NULL};
    double begin = bytes_read();
    SM_TEST_OK(train("written", NULL, sets));
    double read = bytes_read() - begin;
    if (is_root()) {
        uint64_t bytes = 0;
        char *path = path_in("written", "checkpoints/step-00000012.h5");
        SM_TEST_OK(sm_file_size(path, &bytes));
        SM_TEST_AT_MOST(read / (double)bytes, 15); /* the samples of twelve steps are some of it */
        sm_free(path);
    }
    sm_comm_barrier(test_comm);
}

/* What came after the checkpoint that a run is taken back to would be resumed instead of the run. */
static void a_run_taken_back_forgets_what_came_later(void)
{
    static const char *const six[] = {"run.steps=6", "checkpoint.interval=1", "checkpoint.keep_last=9",
                                      "checkpoint.keep_best=false", NULL};
    static const char *const four[] = {"run.steps=4", "checkpoint.interval=1", "checkpoint.keep_last=9",
                                       "checkpoint.keep_best=false", NULL};
    char *folder = path_in("back", "checkpoints"), *second = path_in("back", "checkpoints/step-00000002.h5");
    SM_TEST_OK(train("back", NULL, six));
    SM_TEST_OK(train("back", second, four));
    if (is_root()) {
        char **names = NULL;
        size_t count = 0;
        SM_TEST_OK(sm_folder_list(folder, &names, &count));
        CU_ASSERT(count == 4 && strcmp(names[3], "step-00000004.h5") == 0);
        sm_free(names);
    }
    sm_comm_barrier(test_comm);
    expect_counts("back", "/steps/step", 1, 1, 4);
    sm_free(folder);
    sm_free(second);
}

/* ---- another number of ranks ---- */

/* Rank 0 makes two steps alone and saves. All ranks go on: with the next samples of the same order, and the losses that
 * rank 0 alone goes on with. */
static void another_number_of_ranks_goes_on_with_the_next_samples(void)
{
    static const char *const sets[] = {"optimizer.learning_rate=0.0005", NULL};
    char *path = path_in("", "alone.h5");
    tiny_run run;
    double expected[2][TINY_TASKS] = {{0}};
    sm_config *config = tiny_config(sets);
    if (is_root()) {
        tiny_open(&run, sm_comm_self(), config);
        tiny_steps(&run, 2);
        SM_TEST_OK(sm_checkpoint_save(run.trainer, path, NULL, sm_dataset_fingerprint(run.train), NAN));
        for (int i = 0; i < 2; i++) {
            tiny_steps(&run, 1);
            memcpy(expected[i], run.trainer->record.task_loss, sizeof expected[i]);
        }
        tiny_close(&run);
    } else {
        sm_config_free(config);
    }
    sm_comm_broadcast(test_comm, expected, sizeof expected, 0);

    tiny_open(&run, test_comm, tiny_config(sets));
    SM_TEST_OK(sm_checkpoint_load(run.session, run.trainer, path, 0));
    CU_ASSERT(run.trainer->step == 2 && run.trainer->position == 10);
    tiny_start_loader(&run);
    const sm_batch *batch;
    SM_TEST_OK(sm_loader_next(run.loader, &batch));
    CU_ASSERT(batch->position == 10 && batch->count_global == 3 && batch->epoch == 0);
    for (int i = 0; i < batch->count_local; i++) {
        CU_ASSERT(batch->sample_index[i] == sm_sampler_index(3, 0, TINY_TRAIN, 10 + batch->first_local + i));
    }
    tiny_start_loader(&run);
    for (int i = 0; i < 2; i++) {
        tiny_steps(&run, 1);
        for (int task = 0; task < TINY_TASKS; task++) {
            SM_TEST_AT_MOST(fabs(run.trainer->record.task_loss[task] / expected[i][task] - 1),
                            1e-5); /* rounding of float sums in another order */
        }
    }
    CU_ASSERT(run.trainer->position == 18);
    tiny_same_on_all_ranks(run.session->values, tiny_parameter_floats(&run));
    tiny_close(&run);
    sm_free(path);
}

/* ---- refusals ---- */

/* Loading "plain"'s last checkpoint into another network must fail on all ranks, naming the file and what differs. */
static void expect_refused(const char *const *sets, const char *culprit)
{
    char *path = path_in("plain", "checkpoints/step-00000006.h5");
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    CU_ASSERT(sm_checkpoint_load(run.session, run.trainer, path, 0) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("step-00000006.h5");
    SM_TEST_MESSAGE(culprit);
    SM_TEST_MESSAGE("another model");
    tiny_close(&run);
    sm_free(path);
}

static void checkpoints_of_another_model_are_refused(void)
{
    static const char *const width[] = {"model.width=0.125", NULL}, *const depth[] = {"model.backbone=resnet34", NULL},
                             *const shallow[] = {"model.project=true", NULL},
                             *const task[] = {"task.more.kind=depth", NULL};
    expect_refused(width, "/model/");
    expect_refused(depth, "backbone.layer1.2.conv1.weight");
    expect_refused(shallow, "aspp.project.0.weight");
    expect_refused(task, "decoders.more.0.weight");
}

/* A log-variance exists where one is learned. Files of older runs have them whatever the weighting. */
static void log_variances_are_those_of_the_weighting(void)
{
    static const char *const equal[] = {"weighting.method=equal", NULL};
    char *with = path_in("plain", "checkpoints/step-00000006.h5"), *without = path_in("", "equal.h5");
    tiny_run learning, averaging;
    tiny_open(&learning, test_comm, tiny_config(NULL));
    tiny_open(&averaging, test_comm, tiny_config(equal));
    SM_TEST_OK(sm_checkpoint_load(learning.session, learning.trainer, with, 0));
    SM_TEST_OK(sm_checkpoint_load(averaging.session, averaging.trainer, with, 0));
    size_t floats = tiny_parameter_floats(&averaging), slices = (size_t)averaging.session->parameters->parameters.count;
    size_t more = tiny_parameter_floats(&learning) - floats;
    CU_ASSERT(more > 0 && slices == 90 && learning.trainer->update->updates[92] == 6);
    CU_ASSERT(tiny_same_bits(averaging.session->values, learning.session->values + more, floats));
    CU_ASSERT(tiny_same_bits(averaging.trainer->update->state[0], learning.trainer->update->state[0] + more, floats));
    CU_ASSERT(memcmp(averaging.trainer->update->updates, learning.trainer->update->updates, slices * sizeof(int64_t)) ==
              0);

    tiny_start_loader(&averaging);
    tiny_steps(&averaging, 1);
    CU_ASSERT(isnan(averaging.trainer->record.log_variance[0]) && isnan(averaging.trainer->record.sigma[0]));
    SM_TEST_OK(sm_checkpoint_save(averaging.trainer, without, NULL, "", NAN));
    if (is_root()) {
        sm_h5 *file = open_in("", "equal.h5");
        CU_ASSERT(!sm_h5_has_group(file, "/log_variance"));
        CU_ASSERT(!sm_h5_has_dataset(file, "/optimizer/momentum/log_variance.semantic"));
        sm_h5_close(file);
    }
    float *values = tiny_copy(averaging.session->values, floats);
    tiny_steps(&averaging, 1);
    CU_ASSERT(!tiny_same_bits(averaging.session->values, values, floats));
    SM_TEST_OK(sm_checkpoint_load(averaging.session, averaging.trainer, without, 0));
    CU_ASSERT(tiny_same_bits(averaging.session->values, values, floats) && averaging.trainer->update->updates[89] == 7);
    CU_ASSERT(sm_checkpoint_load(learning.session, learning.trainer, without, 0) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("/log_variance/semantic");
    SM_TEST_MESSAGE("weighting.method");
    tiny_close(&learning);
    tiny_close(&averaging);
    sm_free(values);
    sm_free(with);
    sm_free(without);
}

/* The file has a decoder more than the network. */
static void a_checkpoint_with_more_tensors_is_refused(void)
{
    static const char *const more[] = {"task.more.kind=depth", "run.steps=1", "data.validation_split=", NULL};
    SM_TEST_OK(train("more", NULL, more));
    char *path = path_in("more", "checkpoints/step-00000001.h5");
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(NULL));
    CU_ASSERT(sm_checkpoint_load(run.session, run.trainer, path, 0) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("/model/decoders.more.");
    SM_TEST_MESSAGE("another model");
    tiny_close(&run);
    sm_free(path);
}

static void another_dataset_is_refused(void)
{
    static const char *const sets[] = {SIX, "data.train_split=val", NULL};
    CU_ASSERT(train("plain-resumed", "auto", sets) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("step-00000008.h5");
    SM_TEST_MESSAGE("order of samples");
    SM_TEST_MESSAGE("7x64x96");
}

static void files_of_another_kind_are_refused(void)
{
    char *dataset = tiny_dataset();
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(NULL));
    CU_ASSERT(sm_checkpoint_load(run.session, run.trainer, dataset, 0) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("tiny.h5");
    SM_TEST_MESSAGE("sigmatic-dataset");
    CU_ASSERT(sm_checkpoint_load(run.session, run.trainer, "no-such-file.h5", 0) == SM_ERR_IO);
    SM_TEST_MESSAGE("no-such-file.h5");
    char *nowhere = path_in("", "no-such-folder/x.h5");
    CU_ASSERT(sm_checkpoint_save(run.trainer, nowhere, NULL, "", NAN) == SM_ERR_IO);
    SM_TEST_MESSAGE("no-such-folder");
    sm_free(nowhere);
    sm_free(dataset);
    tiny_close(&run);
}

/* ---- damage ---- */

typedef struct damaged {
    char *path; /* of the copy */
    unsigned char *data;
    size_t bytes;
    tiny_run run;
    float *values, *buffers, *state;
    int64_t step, position;
} damaged;

static void flip(damaged *d, size_t at)
{
    sm_file *file = NULL;
    d->data[at] ^= 0x10;
    if (is_root()) {
        SM_TEST_OK(sm_file_open_write(d->path, &file));
        SM_TEST_OK(sm_file_pwrite(file, d->data + at, 1, at));
        sm_file_close(file);
    }
    sm_comm_barrier(test_comm);
}

static void damaged_open(damaged *d)
{
    char *whole = path_in("plain", "checkpoints/step-00000006.h5");
    *d = (damaged){.path = path_in("", "damaged.h5")};
    void *data = NULL;
    SM_TEST_OK(sm_file_read(whole, &data, &d->bytes));
    d->data = data;
    if (is_root()) {
        copy_file(whole, d->path);
    }
    sm_comm_barrier(test_comm);
    tiny_open(&d->run, test_comm, tiny_config(NULL));
    SM_TEST_OK(sm_checkpoint_load(d->run.session, d->run.trainer, d->path, 0));
    d->values = tiny_copy(d->run.session->values, tiny_parameter_floats(&d->run));
    d->buffers = tiny_copy(d->run.session->buffers, tiny_buffer_floats(&d->run));
    d->state = tiny_copy(d->run.trainer->update->state[0], tiny_parameter_floats(&d->run));
    d->step = d->run.trainer->step;
    d->position = d->run.trainer->position;
    sm_free(whole);
}

static void damaged_close(damaged *d)
{
    tiny_close(&d->run);
    sm_free(d->path);
    sm_free(d->data);
    sm_free(d->values);
    sm_free(d->buffers);
    sm_free(d->state);
}

static int loads_the_same(const damaged *d)
{
    const tiny_run *run = &d->run;
    return run->trainer->step == d->step && run->trainer->position == d->position &&
           run->trainer->update->updates[0] == 6 && run->trainer->update->updates[92] == 6 &&
           tiny_same_bits(run->session->values, d->values, tiny_parameter_floats(run)) &&
           tiny_same_bits(run->session->buffers, d->buffers, tiny_buffer_floats(run)) &&
           tiny_same_bits(run->trainer->update->state[0], d->state, tiny_parameter_floats(run));
}

static void damage_inside_a_tensor_is_named(void)
{
    static const char *const tensors[] = {"/model/backbone.conv1.weight", "/model/backbone.layer4.1.bn2.running_var",
                                          "/log_variance/depth", "/optimizer/momentum/decoders.semantic.3.bias",
                                          "/optimizer/updates"};
    damaged d;
    damaged_open(&d);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        uint64_t offset = 0;
        if (is_root()) {
            sm_h5 *file = NULL;
            sm_h5_info info;
            SM_TEST_OK(sm_h5_open(d.path, &file));
            SM_TEST_OK(sm_h5_query(file, tensors[i], &info));
            SM_TEST_OK(sm_h5_locate(file, tensors[i], info.type, info.rank, info.shape, &offset));
            sm_h5_close(file);
        }
        sm_comm_broadcast(test_comm, &offset, sizeof offset, 0);
        flip(&d, offset + 2);
        CU_ASSERT(sm_checkpoint_load(d.run.session, d.run.trainer, d.path, 0) == SM_ERR_INPUT);
        SM_TEST_MESSAGE("damaged.h5");
        SM_TEST_MESSAGE(tensors[i]);
        SM_TEST_MESSAGE("checksum");
        flip(&d, offset + 2);
    }
    SM_TEST_OK(sm_checkpoint_load(d.run.session, d.run.trainer, d.path, 0));
    CU_ASSERT(loads_the_same(&d));
    damaged_close(&d);
}

/* A flipped bit anywhere is found, or was in a place that nobody reads. */
static void damage_anywhere_changes_nothing_silently(void)
{
    damaged d;
    int found = 0, flips = 0;
    damaged_open(&d);
    for (size_t at = 1; at < d.bytes; at += d.bytes / 97, flips++) {
        flip(&d, at);
        sm_status status = sm_checkpoint_load(d.run.session, d.run.trainer, d.path, 0);
        if (status == SM_OK) {
            int same = loads_the_same(&d);
            if (!same) {
                fprintf(stderr, "a flipped bit in byte %zu of %zu is not found\n", at, d.bytes);
            }
            CU_ASSERT(same);
        } else {
            CU_ASSERT(status == SM_ERR_INPUT || status == SM_ERR_IO);
            SM_TEST_MESSAGE("damaged.h5");
            found++;
        }
        flip(&d, at);
    }
    CU_ASSERT(found * 3 > flips); /* most of the file is tensors and their descriptions */
    damaged_close(&d);
}

static void truncated_checkpoints_are_refused(void)
{
    damaged d;
    damaged_open(&d);
    const size_t lengths[] = {0, 1, 100, d.bytes / 3, d.bytes / 2, d.bytes - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        if (is_root()) {
            SM_TEST_OK(sm_file_write_atomic(d.path, d.data, lengths[i]));
        }
        sm_comm_barrier(test_comm);
        CU_ASSERT(sm_checkpoint_load(d.run.session, d.run.trainer, d.path, 0) == SM_ERR_INPUT);
        SM_TEST_MESSAGE("damaged.h5");
    }
    damaged_close(&d);
}

/* The newest file is cut off, the one before has a flipped bit in a tensor: the one before that is taken, and the end
 * is that of the whole run. */
static void an_unreadable_checkpoint_is_passed_over(void)
{
    static const char *const sets[] = {SIX, "checkpoint.interval=1", NULL};
    static const char *const warnings[] = {"passing over",     "step-00000005.h5", "truncated",
                                           "step-00000004.h5", "checksum",         NULL};
    SM_TEST_OK(train("every", NULL, sets));
    expect_same_file("plain", "every", "checkpoints/step-00000006.h5", 93);
    remove_in("every", "checkpoints/step-00000006.h5");
    char *cut = path_in("every", "checkpoints/step-00000005.h5"),
         *flipped = path_in("every", "checkpoints/step-00000004.h5");
    if (is_root()) {
        void *data = NULL;
        size_t bytes;
        SM_TEST_OK(sm_file_read(cut, &data, &bytes));
        SM_TEST_OK(sm_file_write_atomic(cut, data, bytes / 2));
        sm_free(data);
        uint64_t offset;
        sm_h5 *file = NULL;
        sm_h5_info info;
        SM_TEST_OK(sm_h5_open(flipped, &file));
        SM_TEST_OK(sm_h5_query(file, "/model/backbone.conv1.weight", &info));
        SM_TEST_OK(sm_h5_locate(file, "/model/backbone.conv1.weight", info.type, info.rank, info.shape, &offset));
        sm_h5_close(file);
        SM_TEST_OK(sm_file_read(flipped, &data, &bytes));
        ((char *)data)[offset] ^= 1;
        SM_TEST_OK(sm_file_write_atomic(flipped, data, bytes));
        sm_free(data);
    }
    sm_comm_barrier(test_comm);
    sm_free(cut);
    sm_free(flipped);
    SM_TEST_OK(train_saying("every", "auto", sets, warnings));
    expect_same_file("plain", "every", "checkpoints/step-00000006.h5", 93);
    expect_counts("every", "/steps/step", 1, 1, 6);
}

static void nothing_readable_is_no_new_run(void)
{
    static const char *const sets[] = {SIX, NULL};
    copy_in("plain", "ruined", "run.h5");
    char *path = path_in("ruined", "checkpoints/step-00000003.h5");
    if (is_root()) {
        SM_TEST_OK(sm_file_write_atomic(path, "ruin", 4));
    }
    sm_comm_barrier(test_comm);
    static const char *const warnings[] = {"passing over", "step-00000003.h5", "HDF5", NULL};
    CU_ASSERT(train_saying("ruined", "auto", sets, warnings) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("ruined/checkpoints");
    expect_counts("ruined", "/steps/step", 1, 1, 6);
    sm_free(path);
}

static void the_best_stands_in_where_no_step_is_whole(void)
{
    static const char *const sets[] = {SIX, NULL}, *const said[] = {"passing over", "taking the best, ", NULL};
    char *folder = path_in("ruined", "");
    copy_in("plain", "ruined", "checkpoints/best.h5");
    SM_TEST_OK(train_saying("from-best", folder, sets, said));
    char *best = path_in("ruined", "checkpoints/best.h5");
    if (is_root()) {
        SM_TEST_OK(sm_file_write_atomic(best, "ruin", 4));
    }
    sm_comm_barrier(test_comm);
    CU_ASSERT(train("from-none", folder, sets) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("none can be read");
    sm_free(best);
    sm_free(folder);
}

/* ---- what others put into a checkpoint ---- */

static void put_dataset(hid_t file, const char *object, hid_t type, hsize_t count, const void *values)
{
    hid_t space = H5Screate_simple(1, &count, NULL), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t id = H5Dcreate2(file, object, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(id);
    H5Pclose(links);
    H5Sclose(space);
}

static void put_foreign_objects(const char *path)
{
    static const char *const texts[] = {"tried", "again"};
    const double empty = 0;
    hid_t id = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, H5T_VARIABLE);
    put_dataset(id, "/notes", text, 2, texts);
    put_dataset(id, "/optimizer/notes", text, 2, texts);
    put_dataset(id, "/mine/optimizer/notes", text, 2, texts);
    put_dataset(id, "/mine/empty", H5T_NATIVE_DOUBLE, 0, &empty);
    H5Tclose(text);
    CU_ASSERT(H5Lcreate_soft("/", id, "/mine/again", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    CU_ASSERT(H5Lcreate_soft("/optimizer", id, "/optimizer/again", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    CU_ASSERT(H5Lcreate_soft("/nowhere", id, "/mine/lost", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(id);
}

static void what_others_put_into_a_checkpoint_is_not_ours(void)
{
    static const char *const sets[] = {SIX, NULL};
    copy_in("plain", "foreign", "checkpoints/step-00000003.h5");
    copy_in("plain", "foreign", "run.h5");
    char *path = path_in("foreign", "checkpoints/step-00000003.h5");
    if (is_root()) {
        put_foreign_objects(path);
    }
    sm_free(path);
    sm_comm_barrier(test_comm);
    SM_TEST_OK(train("foreign", "auto", sets));
    expect_same_file("plain", "foreign", "checkpoints/step-00000006.h5", 93);
}

/* What no run can have written is refused by name, whichever way the file is opened. */
static void numbers_that_no_run_writes_are_refused(void)
{
    static const struct {
        const char *attribute;
        int64_t value;
    } cases[] = {{"step", -3}, {"samples_seen", -1}, {"skipped", 7}, {"skipped_in_a_row", -1}, {"epoch", -1}};
    static const char *const sets[] = {SIX, NULL};
    copy_in("plain", "edited", "checkpoints/step-00000003.h5");
    char *path = path_in("edited", "checkpoints/step-00000003.h5");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        copy_in("plain", "edited", "checkpoints/step-00000003.h5");
        if (is_root()) {
            hid_t id = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
            hid_t attribute = H5Aopen(id, cases[i].attribute, H5P_DEFAULT);
            CU_ASSERT(H5Awrite(attribute, H5T_NATIVE_INT64, &cases[i].value) >= 0);
            H5Aclose(attribute);
            CU_ASSERT(H5Fclose(id) >= 0);
        }
        sm_comm_barrier(test_comm);
        CU_ASSERT(train("edited", path, sets) == SM_ERR_INPUT);
        SM_TEST_MESSAGE("step-00000003.h5");
        SM_TEST_MESSAGE(cases[i].attribute);
    }
    sm_free(path);
}

/* ---- starting from another run's weights ---- */

static void weights_of_the_same_name_and_shape_start_a_run(void)
{
    static const char *const sets[] = {"task.more.kind=depth", NULL}, *const wide[] = {"model.width=0.25", NULL};
    char *path = path_in("plain", "checkpoints/step-00000006.h5");
    tiny_run run, same;
    tiny_open(&same, test_comm, tiny_config(NULL));
    SM_TEST_OK(sm_checkpoint_load(same.session, same.trainer, path, 0));
    tiny_open(&run, test_comm, tiny_config(sets));
    float *before = tiny_copy(run.session->values, tiny_parameter_floats(&run));
    SM_TEST_OK(sm_pretrained_load(run.session, path));
    const sm_slices *slices = &run.session->parameters->parameters;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i],
                       *from = sm_slices_find(&same.session->parameters->parameters, slice->name);
        const float *now = run.session->values + slice->offset;
        if (from && !slice->log_variance) {
            CU_ASSERT(tiny_same_bits(now, same.session->values + from->offset, slice->count));
        } else {
            CU_ASSERT(tiny_same_bits(now, before + slice->offset, slice->count));
        }
    }
    CU_ASSERT(run.trainer->step == 0);
    tiny_same_on_all_ranks(run.session->values, tiny_parameter_floats(&run));
    sm_free(before);
    tiny_close(&run);
    tiny_close(&same);
    tiny_open(&run, test_comm, tiny_config(wide));
    sm_status status = sm_pretrained_load(run.session, path);
    CU_ASSERT(status == SM_OK || status == SM_ERR_INPUT); /* the last layers' biases have the same shape */
    tiny_close(&run);
    sm_free(path);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_resumed_run_has_the_bits_of_the_whole);
    SM_TEST(the_log_says_how_convolutions_were_computed);
    SM_TEST(precisions_are_the_choices_of_their_key);
    SM_TEST(resuming_a_finished_run_adds_nothing);
    SM_TEST(a_checkpoint_written_without_a_step_says_the_same);
    SM_TEST(a_complete_run_keeps_its_checkpoint);
    SM_TEST(a_finished_run_can_be_made_longer);
    SM_TEST(a_longer_run_has_the_schedule_of_its_length);
    SM_TEST(another_global_batch_goes_on_with_the_next_samples);
    SM_TEST(another_weighting_is_refused_in_any_folder);
    SM_TEST(another_network_is_refused_by_its_key);
    SM_TEST(files_that_are_no_checkpoint_are_told_what_they_are);
    SM_TEST(an_existing_run_is_not_touched);
    SM_TEST(nothing_to_resume_is_a_new_run);
    SM_TEST(overwriting_replaces_a_run);
    SM_TEST(only_the_latest_checkpoints_are_kept);
    SM_TEST(damaged_checkpoints_push_out_no_good_ones);
    SM_TEST(a_users_copies_are_not_touched);
    SM_TEST(the_newest_checkpoint_is_that_of_the_highest_number);
    SM_TEST(a_save_does_not_read_what_the_run_wrote);
    SM_TEST(a_run_taken_back_forgets_what_came_later);
    SM_TEST(another_number_of_ranks_goes_on_with_the_next_samples);
    SM_TEST(checkpoints_of_another_model_are_refused);
    SM_TEST(log_variances_are_those_of_the_weighting);
    SM_TEST(a_checkpoint_with_more_tensors_is_refused);
    SM_TEST(another_dataset_is_refused);
    SM_TEST(files_of_another_kind_are_refused);
    SM_TEST(damage_inside_a_tensor_is_named);
    SM_TEST(damage_anywhere_changes_nothing_silently);
    SM_TEST(truncated_checkpoints_are_refused);
    SM_TEST(an_unreadable_checkpoint_is_passed_over);
    SM_TEST(nothing_readable_is_no_new_run);
    SM_TEST(the_best_stands_in_where_no_step_is_whole);
    SM_TEST(what_others_put_into_a_checkpoint_is_not_ours);
    SM_TEST(numbers_that_no_run_writes_are_refused);
    SM_TEST(weights_of_the_same_name_and_shape_start_a_run);
    return sm_test_end();
}
