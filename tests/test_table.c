/* ranks: 1 2 4 */
/* A table in place of images: reading it, and a perceptron on it against PyTorch (tests/golden/make_mlp.py), whose file is a dataset
 * as h5py writes one. */
#include "golden.h"
#include "tiny_run.h"

#include <sigmatic/data/data_description.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/train/settings.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TASKS = 3, TRAIN = 11, FEATURES = 4, STEPS = 10 };
static const char *const tasks[TASKS] = {"y", "z", "c"};

static const char *const names[FEATURES] = {"length", "width, outer", "mass", "age"};

static sm_config *config_of(const char *train, int batch, const char *more)
{
    sm_config *config = sm_config_new(sm_all_keys());
    char *text = sm_format(
        "[run]\nbatch = %d\nsteps = %d\n[model]\nbackbone = mlp\n[data]\ntrain = %s\n"
        "[task.y]\nkind = regression\ntarget = y\nloss = l2\nlog_variance = 0.3\n"
        "[task.z]\nkind = regression\ntarget = z\nloss = l1\nlog_variance = -0.2\n"
        "[task.c]\nkind = classification\ntarget = c\nlog_variance = 0.5\n"
        "[weighting]\nlearning_rate_scale = 1\ngradient_limit = 0\n[schedule]\nkind = constant\n[optimizer]\n%s",
        batch, STEPS, train, more);
    SM_TEST_OK(sm_config_read_text(config, "table", text));
    SM_TEST_OK(sm_config_check(config));
    sm_free(text);
    return config;
}

/* ---- against PyTorch ----------------------------------------------------------------------------------------------- */

static char *golden_object(const char *group, const char *part)
{
    return sm_format("/%s/%s", group, part);
}

static void load_parameters(const sm_h5 *file, const char *group, tiny_run *run)
{
    const sm_slices *slices = &run->session->parameters->parameters;
    char *object = golden_object(group, "parameters");
    for (int i = 0; sm_session_writes(run->session) && i < slices->count; i++) {
        float *values = golden_read(file, object, slices->items[i].name, SM_H5_FLOAT, NULL);
        sm_slice_import(&slices->items[i], values, run->session->values);
        sm_free(values);
    }
    sm_session_wait_for_node(run->session);
    sm_free(object);
}

static void open_golden(const sm_h5 *file, const char *group, const char *model, const char *optimizer, tiny_run *run)
{
    char *path = golden_path("mlp.h5"), *more = sm_format("%s%s", optimizer, model);
    tiny_open(run, test_comm, config_of(path, TRAIN, more));
    load_parameters(file, group, run);
    sm_free(path);
    sm_free(more);
}

/* Compares what `count` steps change with the file's numbers, times `sign`. */
static void compare_changes(const sm_h5 *file, const char *group, const char *part, float sign, int count,
                            tiny_run *run)
{
    const sm_slices *slices = &run->session->parameters->parameters;
    char *object = golden_object(group, part);
    float *before = tiny_copy(run->session->values, slices->floats);
    tiny_steps(run, count);
    sm_session_wait_for_node(run->session);
    for (size_t i = 0; i < slices->floats; i++) {
        before[i] = sign * (run->session->values[i] - before[i]);
    }
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        float *expected = golden_read(file, object, slice->name, SM_H5_FLOAT, NULL);
        float *found = sm_alloc(slice->count * sizeof *found);
        sm_slice_export(slice, before, found);
        SM_TEST_AT_MOST(sm_test_relative_error(found, expected, slice->count), 2e-5);
        sm_free(expected);
        sm_free(found);
    }
    sm_free(before);
    sm_free(object);
}

static void check_losses(const sm_h5 *file, const char *group, const tiny_run *run)
{
    const double bound = 1e-5;
    char *losses = golden_object(group, "losses"), *weights = golden_object(group, "weights"),
         *whole = golden_object(group, "");
    for (int t = 0; t < TASKS; t++) {
        const sm_step_record *record = &run->trainer->record;
        SM_TEST_AT_MOST(fabs(record->task_loss[t] / golden_number(file, losses, tasks[t]) - 1), bound);
        SM_TEST_AT_MOST(fabs(record->weight[t] / golden_number(file, weights, tasks[t]) - 1), bound);
    }
    whole[strlen(whole) - 1] = 0;
    SM_TEST_AT_MOST(fabs(run->trainer->record.loss / golden_number(file, whole, "total") - 1), bound);
    sm_free(losses);
    sm_free(weights);
    sm_free(whole);
}

/* Plain gradient descent at rate 1 takes the gradients themselves off. */
static void check_network(const char *group, const char *model)
{
    static const char descent[] = "kind = sgd\nlearning_rate = 1\nmomentum = 0\nnesterov = false\nweight_decay = 0\n";
    static const char adamw[] =
        "kind = adamw\nlearning_rate = 4e-3\nbeta1 = 0.9\nbeta2 = 0.999\nepsilon = 1e-2\nweight_decay = 1e-2\n";
    sm_h5 *file = golden_open("mlp.h5");
    tiny_run run;
    open_golden(file, group, model, descent, &run);
    compare_changes(file, group, "gradients", -1, 1, &run);
    check_losses(file, group, &run);
    tiny_close(&run);
    open_golden(file, group, model, adamw, &run);
    compare_changes(file, group, "updates", 1, STEPS, &run);
    tiny_close(&run);
    sm_h5_close(file);
}

static void a_perceptron_with_linear_heads_agrees_with_pytorch(void)
{
    check_network("linear", "[model]\nhidden = 7,6\n");
}

static void a_perceptron_with_deep_heads_agrees_with_pytorch(void)
{
    check_network("deep", "[model]\nhidden = 9\nhead_hidden = 5\n");
}

/* ---- reading and writing ---------------------------------------------------------------------------------------------- */

static void a_file_of_h5py_is_read_with_its_names_and_statistics(void)
{
    char *path = golden_path("mlp.h5");
    const char *paths[] = {path};
    sm_h5 *file = golden_open("mlp.h5");
    sm_dataset *dataset = NULL;
    sm_sample sample;
    double *mean = NULL;
    size_t count;
    SM_TEST_OK(sm_dataset_open(paths, 1, "train", &dataset));
    const sm_input *input = sm_dataset_input(dataset);
    CU_ASSERT(input->kind->is_table && input->channels == FEATURES && input->height == 1 && input->width == 1);
    SM_TEST_OK(sm_h5_read_attribute_doubles(file, "/", "mean", &mean, &count));
    float *features = golden_read(file, "/train", "features", SM_H5_FLOAT, NULL);
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    for (int c = 0; c < FEATURES; c++) {
        CU_ASSERT_STRING_EQUAL(input->names[c], names[c]);
        CU_ASSERT(input->mean[c] == mean[c]);
    }
    for (int64_t i = 0; i < TRAIN; i++) {
        SM_TEST_OK(sm_dataset_read(dataset, i, storage, &sample));
        CU_ASSERT(memcmp(sample.input, features + i * FEATURES, FEATURES * sizeof *features) == 0);
    }
    sm_sample_storage_free(storage);
    sm_free(features);
    sm_free(mean);
    sm_free(path);
    sm_h5_close(file);
    sm_dataset_close(dataset);
}

enum { ROWS = 5, WIDE = 2 };
static const double own_mean[WIDE] = {10, -1}, own_std[WIDE] = {2, 0.5};
static const float table[ROWS][WIDE] = {{1, 2}, {3, NAN}, {5, 6}, {7, 8}, {9, 10}};

static sm_status produce(void *user, int split, int64_t index, sm_sample *sample)
{
    (void)split;
    sample->input = table[index];
    sm_sample_add(sample, user, &table[index][0]);
    return SM_OK;
}

/* \return the path, freed with sm_free() */
static char *write_table(const char *file, sm_target *target)
{
    static const char *const samples[ROWS] = {"a", "b", "c", "d", "e"}, *const columns[WIDE] = {"u", "v"};
    char *path = sm_format("%s/%s", sm_test_folder(), file);
    const sm_dataset_split_spec split = {"train", ROWS, samples};
    const sm_dataset_spec spec = {.source = "test",
                                  .input = &sm_input_kinds[1],
                                  .features = WIDE,
                                  .feature_names = columns,
                                  .height = 1,
                                  .width = 1,
                                  .targets = target,
                                  .target_count = 1,
                                  .mean = own_mean,
                                  .std = own_std,
                                  .splits = &split,
                                  .split_count = 1};
    SM_TEST_OK(sm_dataset_write(test_comm, path, &spec, 1, produce, target));
    return path;
}

static sm_target real_target(const char *name)
{
    return (sm_target){.name = name,
                       .type = SM_TARGET_REAL,
                       .scope = SM_SCOPE_SAMPLE,
                       .components = 1,
                       .unit = "",
                       .least = -SM_GREATEST_REAL,
                       .most = SM_GREATEST_REAL};
}

/* `depth` is a map wherever there are pixels. */
static void what_is_written_is_read_standardised_and_described(void)
{
    sm_target target = real_target("depth");
    char *path = write_table("own.h5", &target), *copy = sm_format("%s/description.h5", sm_test_folder());
    const char *paths[] = {path};
    sm_dataset *dataset = NULL;
    sm_sample sample;
    SM_TEST_OK(sm_dataset_open(paths, 1, "train", &dataset));
    CU_ASSERT(sm_dataset_has_checksums(dataset));
    const sm_input *input = sm_dataset_input(dataset);
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    for (int64_t i = 0; i < ROWS; i++) {
        float prepared[WIDE];
        const sm_geometry whole = sm_geometry_whole(1, 1, 1, 1);
        SM_TEST_OK(sm_dataset_read(dataset, i, storage, &sample));
        CU_ASSERT(sample.target_count == 1 && *(const float *)sample.target[0].data == table[i][0]);
        input->kind->prepare(input, sample.input, 1, 1, &whole, prepared, NULL);
        CU_ASSERT(prepared[0] == (table[i][0] - 10) / 2);
        CU_ASSERT(prepared[1] == (i == 1 ? 0 : (table[i][1] + 1) * 2)); /* unknown: the mean */
    }
    SM_TEST_OK(sm_dataset_find_fingerprint(dataset));
    CU_ASSERT(strncmp(sm_dataset_fingerprint(dataset), "5x2 depth ", 10) == 0);
    if (sm_comm_rank(test_comm) == 0) {
        const sm_augmentation none = {.height = 1, .width = 1, .crop_height = 1, .crop_width = 1};
        sm_data_description *described = sm_data_description_new(dataset, &none), *again = NULL;
        sm_h5 *file = NULL;
        SM_TEST_OK(sm_h5_create(copy, SM_H5_LATEST, &file));
        SM_TEST_OK(sm_data_description_write(described, file, "/data"));
        SM_TEST_OK(sm_h5_close(file));
        SM_TEST_OK(sm_h5_open(copy, &file));
        SM_TEST_OK(sm_data_description_read(file, "/data", &again));
        CU_ASSERT(again->input.kind->is_table && again->input.channels == WIDE && again->input.std[1] == 0.5);
        CU_ASSERT_STRING_EQUAL(again->input.names[1], "v");
        CU_ASSERT(again->target_count == 1 && again->targets[0]->scope == SM_SCOPE_SAMPLE);
        sm_h5_close(file);
        sm_data_description_free(described);
        sm_data_description_free(again);
    }
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(copy);
    sm_free(path);
}

static void expect_second_sample_refused(const char *path, const char *why)
{
    sm_dataset *dataset = NULL;
    sm_sample sample;
    SM_TEST_OK(sm_dataset_open(&path, 1, "train", &dataset));
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    SM_TEST_OK(sm_dataset_read(dataset, 0, storage, &sample));
    CU_ASSERT_EQUAL(sm_dataset_read(dataset, 1, storage, &sample), SM_ERR_INPUT);
    SM_TEST_MESSAGE(why);
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
}

/* Another byte of a feature. */
static void damage_is_found(void)
{
    sm_target target = real_target("y");
    char *path = write_table("damaged.h5", &target);
    sm_h5 *file = NULL;
    uint64_t offset = 0;
    SM_TEST_OK(sm_h5_open(path, &file));
    SM_TEST_OK(sm_h5_locate(file, "/train/features", SM_H5_FLOAT, 2, (size_t[]){ROWS, WIDE}, &offset));
    sm_h5_close(file);
    if (sm_comm_rank(test_comm) == 0) {
        FILE *bytes = fopen(path, "r+b");
        CU_ASSERT_FATAL(bytes != NULL && fseek(bytes, (long)offset + 8, SEEK_SET) == 0);
        fputc(1, bytes);
        fclose(bytes);
    }
    sm_comm_barrier(test_comm);
    expect_second_sample_refused(path, "/train/features of sample 1 ('b') is damaged");
    sm_free(path);
}

/* ---- what does not fit ------------------------------------------------------------------------------------------------ */

typedef struct bad_table {
    const char *file;
    sm_h5_type type;
    int rank;
    size_t shape[4];
    const char *statistics; /* attribute of the root with three numbers; NULL: none */
    const char *message;
} bad_table;

static const bad_table bad_tables[] = {
    {"rank.h5", SM_H5_FLOAT, 3, {2, 1, 3}, NULL, "/train/features is not f32 of shape (N,F)"},
    {"type.h5", SM_H5_U8, 2, {2, 3}, NULL, "/train/features is not f32 of shape (N,F)"},
    {"empty.h5", SM_H5_FLOAT, 2, {0, 3}, NULL, "/train/features holds no sample"},
    {"none.h5", SM_H5_FLOAT, 2, {2, 0}, NULL, "F from 1 to"},
    {"mean.h5", SM_H5_FLOAT, 2, {2, 2}, "mean", "attribute 'mean' has 3 numbers, expected 2 (one a feature)"},
    {"std.h5", SM_H5_FLOAT, 2, {2, 3}, "std", "std > 0 expected"},
};

static char *write_bad(const bad_table *bad)
{
    static const double statistics[3] = {1, 0, 1};
    static const float zeros[8];
    char *path = sm_format("%s/%s", sm_test_folder(), bad->file);
    sm_h5 *file = NULL;
    if (sm_comm_rank(test_comm) == 0) {
        SM_TEST_OK(sm_h5_create(path, SM_H5_EARLIEST, &file));
        SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-dataset"));
        SM_TEST_OK(sm_h5_write_attribute_int64(file, "/", "format_version", 2));
        if (bad->statistics) {
            SM_TEST_OK(sm_h5_write_attribute_doubles(file, "/", bad->statistics, statistics, 3));
        }
        SM_TEST_OK(sm_h5_write(file, "/train/features", bad->type, bad->rank, bad->shape, zeros));
        SM_TEST_OK(sm_h5_close(file));
    }
    sm_comm_barrier(test_comm);
    return path;
}

static void tables_that_are_none_are_refused(void)
{
    for (size_t i = 0; i < sizeof bad_tables / sizeof *bad_tables; i++) {
        char *path = write_bad(&bad_tables[i]);
        const char *paths[] = {path};
        sm_dataset *dataset = NULL;
        CU_ASSERT_EQUAL(sm_dataset_open(paths, 1, "train", &dataset), SM_ERR_INPUT);
        SM_TEST_MESSAGE(bad_tables[i].message);
        sm_free(path);
    }
}

static void features_of_other_files_must_be_the_same(void)
{
    sm_target target = real_target("y");
    char *own = write_table("two.h5", &target), *golden = golden_path("mlp.h5");
    const char *paths[] = {own, golden};
    sm_dataset *dataset = NULL;
    CU_ASSERT_EQUAL(sm_dataset_open(paths, 2, "train", &dataset), SM_ERR_INPUT);
    SM_TEST_MESSAGE("mlp.h5: 4 features, but");
    sm_free(own);
    sm_free(golden);
}

static void a_backbone_of_images_refuses_a_table_and_the_reverse(void)
{
    char *table_path = golden_path("mlp.h5"), *scenes = tiny_dataset();
    const struct {
        const char *path, *backbone, *message;
    } cases[] = {
        {table_path, "resnet18", "resnet18 reads images, but the files of data.train have a table ('features')"},
        {scenes, "mlp", "mlp reads tables, but the files of data.train have images ('image')"},
    };
    for (int i = 0; i < 2; i++) {
        sm_config *config = config_of(cases[i].path, TRAIN, "kind = sgd\n");
        char *set = sm_format("model.backbone=%s", cases[i].backbone);
        sm_dataset *dataset = NULL;
        sm_session *session = NULL;
        SM_TEST_OK(sm_config_set(config, set));
        SM_TEST_OK(sm_data_open_train(config, &dataset));
        CU_ASSERT_EQUAL(sm_session_new(config, test_comm, dataset, &session), SM_ERR_CONFIG);
        SM_TEST_MESSAGE(cases[i].message);
        sm_dataset_close(dataset);
        sm_config_free(config);
        sm_free(set);
    }
    sm_free(table_path);
    sm_free(scenes);
}

/* As job scripts do before anything is there. */
static void a_config_is_checked_without_data(void)
{
    sm_config *config = config_of("none", TRAIN, "kind = sgd\n[model]\nhead_hidden = 3\n");
    SM_TEST_OK(sm_session_check_config(config));
    sm_config_free(config);
}

/* A program that forgets sm_settings_check() would train every task. */
static void tasks_that_were_to_be_left_out_are_refused(void)
{
    sm_config *config = config_of("none", TRAIN, "kind = sgd\n[model]\nhead_hidden = 3\n");
    const char *const *sections;
    size_t count = sm_config_sections(config, "task", &sections);
    CU_ASSERT_FATAL(count > 1);
    char *set = sm_format("run.tasks=%s", sm_config_instance(sections[0]));
    SM_TEST_OK(sm_config_set(config, set));
    CU_ASSERT(sm_session_check_config(config) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("sm_settings_check()");
    SM_TEST_OK(sm_settings_check(config));
    CU_ASSERT(sm_config_sections(config, "task", NULL) == 1);
    SM_TEST_OK(sm_session_check_config(config));
    sm_free(set);
    sm_config_free(config);
}

static void infinite_features_are_refused_by_name(void)
{
    char *bare = sm_format("%s/bare.h5", sm_test_folder());
    sm_h5 *file = NULL;
    if (sm_comm_rank(test_comm) == 0) { /* without checksums, which nothing else would pass */
        const float features[2] = {1, INFINITY};
        const char *const columns[] = {"u"};
        SM_TEST_OK(sm_h5_create(bare, SM_H5_EARLIEST, &file));
        SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-dataset"));
        SM_TEST_OK(sm_h5_write_attribute_int64(file, "/", "format_version", 2));
        SM_TEST_OK(sm_h5_write(file, "/train/features", SM_H5_FLOAT, 2, (size_t[]){2, 1}, features));
        SM_TEST_OK(sm_h5_write_attribute_texts(file, "/train/features", "names", columns, 1));
        SM_TEST_OK(sm_h5_close(file));
    }
    sm_comm_barrier(test_comm);
    expect_second_sample_refused(bare, "holds inf as feature 0 ('u')");
    sm_free(bare);
}

/* ---- the same on any number of ranks ---------------------------------------------------------------------------------- */

static void reproducible_steps_have_the_bits_of_one_rank(void)
{
    char *path = golden_path("mlp.h5");
    tiny_run all, one;
    static const char more[] = "kind = adamw\n[model]\nhidden = 16\n[distributed]\nreproducible = true\n";
    tiny_open(&all, test_comm, config_of(path, 5, more));
    tiny_open(&one, sm_comm_self(), config_of(path, 5, more));
    tiny_steps(&all, 4);
    tiny_steps(&one, 4);
    sm_session_wait_for_node(all.session);
    CU_ASSERT(tiny_same_bits(all.session->values, one.session->values, tiny_parameter_floats(&one)));
    tiny_close(&all);
    tiny_close(&one);
    sm_free(path);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_perceptron_with_linear_heads_agrees_with_pytorch);
    SM_TEST(a_perceptron_with_deep_heads_agrees_with_pytorch);
    SM_TEST(a_file_of_h5py_is_read_with_its_names_and_statistics);
    SM_TEST(what_is_written_is_read_standardised_and_described);
    SM_TEST(damage_is_found);
    SM_TEST(tables_that_are_none_are_refused);
    SM_TEST(features_of_other_files_must_be_the_same);
    SM_TEST(a_backbone_of_images_refuses_a_table_and_the_reverse);
    SM_TEST(a_config_is_checked_without_data);
    SM_TEST(tasks_that_were_to_be_left_out_are_refused);
    SM_TEST(infinite_features_are_refused_by_name);
    SM_TEST(reproducible_steps_have_the_bits_of_one_rank);
    return sm_test_end();
}
