/* ranks: 1 2 */
/* Tables out of CSV files, and the toy regression, of which the sigmas are known. */
#include "harness.h"
#include "tiny_run.h"

#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/data/table.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/settings.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static char *in_folder(const char *name)
{
    return sm_format("%s/%s", sm_test_folder(), name);
}

/* Rank 0's file is everyone's. */
static char *write_csv(const char *text)
{
    char *path = in_folder("t.csv");
    sm_comm_barrier(test_comm);
    if (sm_comm_rank(test_comm) == 0) {
        SM_TEST_OK(sm_file_write_atomic(path, text, strlen(text)));
    }
    sm_comm_barrier(test_comm);
    return path;
}

/* \param options  all but the paths */
static sm_status import_text(sm_comm *comm, const char *text, const char *output, sm_table_import_options options)
{
    char *path = write_csv(text), *to = in_folder(output);
    options.path = path;
    options.output = to;
    options.overwrite = 1;
    options.split_column = options.split_column ? options.split_column : "split";
    sm_status status = sm_table_import(comm, &options);
    sm_free(path);
    sm_free(to);
    return status;
}

static sm_dataset *open_split(const char *file, const char *split)
{
    char *path = in_folder(file);
    const char *paths[] = {path};
    sm_dataset *dataset = NULL;
    SM_TEST_OK(sm_dataset_open(paths, 1, split, &dataset));
    sm_free(path);
    return dataset;
}

/* ---- what is read ----------------------------------------------------------------------------------------------------- */

static const char good[] = "id,\"a, b\",c,mass,x,y,kind,level,split\n"
                           "p1,1,10,2.5,1,2,\"b \"\"q\"\"\",10,train\n"
                           "p2,3,NA,,3,?,a,9,Training\n"
                           "\n"
                           "\"p, 3\",5,n/a,\"-1e2\",5,6,,10,valid\n"
                           "p4,,null,nan,7,8,a,NaN,TEST\n";

static sm_table_import_options good_options(void)
{
    return (sm_table_import_options){.features = "c,\"a, b\"",
                                     .targets = "mass,place=x+y",
                                     .units = "kg,m",
                                     .classes = "kind,step=level",
                                     .name = "id"};
}

/* Of one sample: features, then mass, place, kind, step. */
typedef struct expected_sample {
    const char *name;
    float features[2], mass, place[2];
    int kind, step;
} expected_sample;

static int same(float found, float expected)
{
    return isnan(expected) ? isnan(found) : found == expected;
}

static void check_sample(sm_dataset *dataset, int64_t index, const expected_sample *expected)
{
    sm_sample sample;
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    SM_TEST_OK(sm_dataset_read(dataset, index, storage, &sample));
    const float *features = sample.input, *mass = sm_sample_find(&sample, "mass")->data,
                *place = sm_sample_find(&sample, "place")->data;
    const uint8_t *kind = sm_sample_find(&sample, "kind")->data, *step = sm_sample_find(&sample, "step")->data;
    CU_ASSERT_STRING_EQUAL(sm_dataset_name(dataset, index), expected->name);
    CU_ASSERT(same(features[0], expected->features[0]) && same(features[1], expected->features[1]));
    CU_ASSERT(same(mass[0], expected->mass));
    CU_ASSERT(same(place[0], expected->place[0]) && same(place[1], expected->place[1]));
    CU_ASSERT_EQUAL(kind[0], expected->kind);
    CU_ASSERT_EQUAL(step[0], expected->step);
    sm_sample_storage_free(storage);
}

static void cells_become_features_targets_and_classes(void)
{
    static const expected_sample train[] = {{"p1", {10, 1}, 2.5f, {1, 2}, 1, 1}, {"p2", {NAN, 3}, NAN, {3, NAN}, 0, 0}},
                                 val[] = {{"p, 3", {NAN, 5}, -100, {5, 6}, 255, 1}},
                                 test[] = {{"p4", {NAN, NAN}, NAN, {7, 8}, 0, 255}};
    SM_TEST_OK(import_text(test_comm, good, "good.h5", good_options()));
    sm_dataset *dataset = open_split("good.h5", "train"),
               *others[] = {open_split("good.h5", "val"), open_split("good.h5", "test")};
    const sm_input *input = sm_dataset_input(dataset);
    CU_ASSERT_STRING_EQUAL(input->names[0], "c");
    CU_ASSERT_STRING_EQUAL(input->names[1], "a, b");
    CU_ASSERT(input->mean[0] == 10 && input->std[0] == 1); /* one value: nothing to divide by */
    CU_ASSERT(input->mean[1] == 2 && input->std[1] == 1);
    CU_ASSERT_STRING_EQUAL(sm_dataset_target(dataset, "place")->unit, "m");
    CU_ASSERT_EQUAL(sm_dataset_target(dataset, "place")->components, 2);
    const sm_class_list *kinds = sm_dataset_target(dataset, "kind")->classes;
    CU_ASSERT(kinds->count == 2 && strcmp(kinds->names[0], "a") == 0 && strcmp(kinds->names[1], "b \"q\"") == 0);
    const sm_class_list *steps = sm_dataset_target(dataset, "step")->classes;
    CU_ASSERT(steps->count == 2 && strcmp(steps->names[0], "9") == 0 && strcmp(steps->names[1], "10") == 0);
    CU_ASSERT(sm_dataset_count(dataset) == 2 && sm_dataset_count(others[0]) == 1 && sm_dataset_count(others[1]) == 1);
    check_sample(dataset, 0, &train[0]);
    check_sample(dataset, 1, &train[1]);
    check_sample(others[0], 0, &val[0]);
    check_sample(others[1], 0, &test[0]);
    sm_dataset_close(dataset);
    sm_dataset_close(others[0]);
    sm_dataset_close(others[1]);
}

/* Columns that are nothing else are features; rows are called by their numbers. */
static void features_are_what_is_left(void)
{
    SM_TEST_OK(import_text(test_comm, "a,y,b\n1,2,3\n4,5,6\n", "left.h5", (sm_table_import_options){.targets = "y"}));
    sm_dataset *dataset = open_split("left.h5", "train");
    CU_ASSERT_EQUAL(sm_dataset_input(dataset)->channels, 2);
    CU_ASSERT_STRING_EQUAL(sm_dataset_input(dataset)->names[1], "b");
    CU_ASSERT_STRING_EQUAL(sm_dataset_name(dataset, 1), "2");
    sm_dataset_close(dataset);
}

/* ---- splits and ranks ------------------------------------------------------------------------------------------------- */

enum { MANY = 120, GROUPS = 30 };

/* Rows of a group lie apart, and no two groups alike. */
static int group_of(int row)
{
    return (row + row / GROUPS * 7) % GROUPS;
}

static char *many_rows(void)
{
    char *text = sm_strdup("group,x,y\n");
    for (int i = 0; i < MANY; i++) {
        char *more = sm_format("%sg%d,%d,%g\n", text, group_of(i), i, sin(i));
        sm_free(text);
        text = more;
    }
    return text;
}

static void rows_of_a_group_stay_in_one_split(void)
{
    char *text = many_rows();
    int split_of[GROUPS];
    memset(split_of, -1, sizeof split_of);
    SM_TEST_OK(import_text(test_comm, text, "groups.h5",
                           (sm_table_import_options){.targets = "y",
                                                     .features = "x",
                                                     .name = "group",
                                                     .group = "group",
                                                     .fractions = "0.6,0.2,0.2",
                                                     .seed = "7"}));
    static const char *const splits[] = {"train", "val", "test"};
    int64_t total = 0, counts[3];
    for (int s = 0; s < 3; s++) {
        sm_dataset *dataset = open_split("groups.h5", splits[s]);
        counts[s] = sm_dataset_count(dataset);
        total += counts[s];
        sm_sample_storage *storage = sm_sample_storage_new(dataset);
        for (int64_t i = 0; i < counts[s]; i++) {
            sm_sample sample;
            int group = -1;
            SM_TEST_OK(sm_dataset_read(dataset, i, storage, &sample));
            float x = *(const float *)sample.input, y = *(const float *)sm_sample_find(&sample, "y")->data;
            CU_ASSERT_FATAL(sscanf(sm_dataset_name(dataset, i), "g%d", &group) == 1 && group >= 0 && group < GROUPS);
            CU_ASSERT(split_of[group] == -1 || split_of[group] == s);
            split_of[group] = s;
            CU_ASSERT(group_of((int)x) == group);
            SM_TEST_AT_MOST(fabs(y - sin(x)), 1e-5); /* the row's own: %g writes six digits */
        }
        sm_sample_storage_free(storage);
        sm_dataset_close(dataset);
    }
    CU_ASSERT(total == MANY && counts[0] == 72 && counts[1] == 24);
    sm_free(text);
}

static int same_bytes(const char *one, const char *other)
{
    void *a = NULL, *b = NULL;
    size_t bytes_a = 0, bytes_b = 1;
    char *path_a = in_folder(one), *path_b = in_folder(other);
    SM_TEST_OK(sm_file_read(path_a, &a, &bytes_a));
    SM_TEST_OK(sm_file_read(path_b, &b, &bytes_b));
    int same = bytes_a == bytes_b && memcmp(a, b, bytes_a) == 0;
    sm_free(a);
    sm_free(b);
    sm_free(path_a);
    sm_free(path_b);
    return same;
}

static void any_number_of_ranks_writes_the_same_bytes(void)
{
    char *text = many_rows();
    const sm_table_import_options options = {.targets = "y", .features = "x", .fractions = "0.7"};
    SM_TEST_OK(import_text(test_comm, text, "all.h5", options));
    char *path = write_csv(text), *one = in_folder("one.h5");
    if (sm_comm_rank(test_comm) == 0) {
        sm_table_import_options alone = options;
        alone.path = path;
        alone.output = one;
        alone.overwrite = 1;
        alone.split_column = "split";
        SM_TEST_OK(sm_table_import(sm_comm_self(), &alone));
    }
    sm_comm_barrier(test_comm);
    CU_ASSERT(same_bytes("all.h5", "one.h5"));
    sm_free(text);
    sm_free(path);
    sm_free(one);
}

/* ---- what is not read ------------------------------------------------------------------------------------------------- */

typedef struct bad_import {
    const char *text;
    sm_table_import_options options;
    sm_status status;
    const char *message;
} bad_import;

static const bad_import bad[] = {
    {"a,y\n1,2\n3,x7\n", {.targets = "y"}, SM_ERR_INPUT, "t.csv:3: column 'y': 'x7' found, expected a number"},
    {"a,y\n\"b\n b\",2\n,\n1e,4\n", {.targets = "y"}, SM_ERR_INPUT, "t.csv:2: column 'a': 'b"},
    {"a,y\n1,2\n,\n1e,4\n", {.targets = "y"}, SM_ERR_INPUT, "t.csv:4: column 'a': '1e' found"},
    {"a,y\n0x10,2\n", {.targets = "y"}, SM_ERR_INPUT, "'0x10' found"},
    {"a,y\ninf,2\n", {.targets = "y"}, SM_ERR_INPUT, "'inf' found"},
    {"a,y\n1,-1e30\n", {.targets = "y"}, SM_ERR_INPUT, "-1e30 found, expected a number from -1e+18 to 1e+18"},
    {"a,y\n1,2,3\n", {.targets = "y"}, SM_ERR_INPUT, "t.csv:2: a row of 3 cells, expected 2"},
    {"a,y\n1\n", {.targets = "y"}, SM_ERR_INPUT, "t.csv:2: a row of 1 cell, expected 2"},
    {"a,y\n1,\"2\n", {.targets = "y"}, SM_ERR_INPUT, "a quote without its end"},
    {"a,a\n1,2\n", {.targets = "a"}, SM_ERR_INPUT, "two columns are called 'a'"},
    {"a,y\n", {.targets = "y"}, SM_ERR_INPUT, "no rows"},
    {"", {.targets = "y"}, SM_ERR_INPUT, "empty"},
    {"a;y\n1;2\n", {.targets = "y"}, SM_ERR_INPUT, "separated by ';'"},
    {"a,y\n1,2\n", {.targets = "z"}, SM_ERR_INPUT, "there is no column 'z'; there are 'a', 'y' (--targets)"},
    {"a,y\n1,2\n", {.targets = "y", .features = "y"}, SM_ERR_USAGE, "column 'y' is a target already"},
    {"a,y\n1,2\n", {.targets = "y", .features = "a,a"}, SM_ERR_USAGE, "two columns are called 'a'"},
    {"a,y\n1,2\n", {.targets = "a,y"}, SM_ERR_USAGE, "no column left"},
    {"a,y\n1,2\n", {0}, SM_ERR_USAGE, "nothing to learn"},
    {"a,y\n1,2\n",
     {.targets = "y", .units = "m,s"},
     SM_ERR_USAGE,
     "--units 'm,s': expected 1 unit, one of each of --targets 'y', "},
    {"a,y\n1,2\n", {.targets = "y", .units = "m,\"s,t\""}, SM_ERR_USAGE, "where there is none; found 2"},
    {"a,x,y\n1,2,3\n",
     {.targets = "x,y", .units = "\"s,t\""},
     SM_ERR_USAGE,
     "expected 2 units, one of each of --targets 'x,y'"},
    {"a,y\n1,2\n",
     {.targets = "y", .units = "\"m"},
     SM_ERR_USAGE,
     "--units '\"m': quotes stand around the whole of a unit"},
    {"a,\"y, m\"\n1,2\n",
     {.targets = "y=\"y, m\""},
     SM_ERR_USAGE,
     "--targets 'y=\"y, m\"': a quote in the middle of a cell, expected cells with quotes to be in quotes and the "
     "quotes in "
     "them doubled. Quotes stand around the whole of an entry that has a comma, the new name too: '\"heat=heat, "
     "kWh\",mass'"},
    {"a,y\n1,2\n",
     {.targets = ""},
     SM_ERR_USAGE,
     "data table: --targets '': expected names between commas, none found"},
    {"a,price\n1,2\n",
     {.targets = "prise"},
     SM_ERR_INPUT,
     "no column 'prise'; there are 'a', 'price'; did you mean 'price'? (--targets)"},
    {"a,y,z\n1,2,3\n", {.targets = "t=y,t=z"}, SM_ERR_USAGE, "two targets are called 't'"},
    {"a,x/y\n1,2\n", {.targets = "x/y"}, SM_ERR_USAGE, "cannot be called 'x/y'"},
    {"a,y,z\n1,2,3\n", {.classes = "t=y+z"}, SM_ERR_USAGE, "'t' has 2 columns, expected one"},
    {"a,y\n1,\n2,NA\n", {.classes = "y"}, SM_ERR_INPUT, "column 'y' has 0 different texts"},
    {"a,y,split\n1,2,tarin\n",
     {.targets = "y"},
     SM_ERR_INPUT,
     "t.csv:2: column 'split': 'tarin' found, expected train"},
    {"a,y,split\n1,2,train\n", {.targets = "y", .fractions = "0.5"}, SM_ERR_USAGE, "--split is for rows without"},
    {"a,y\n1,2\n", {.targets = "y", .fractions = "0.5,0.4,0.3"}, SM_ERR_USAGE, "the shares add up to 1.2"},
    {"a,y\n1,2\n", {.targets = "y", .fractions = "0.5"}, SM_ERR_INPUT, "none of 1 sample"},
    {"a,y\n1,2\n", {.targets = "y", .group = "a", .features = "a"}, SM_ERR_USAGE, "--group goes with --split"},
};

static void bad_tables_and_options_are_named(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sm_status status = import_text(test_comm, bad[i].text, "bad.h5", bad[i].options);
        CU_ASSERT_EQUAL(status, bad[i].status);
        if (!strstr(sm_error_message(), bad[i].message)) {
            fprintf(stderr, "case %zu: %s\n", i, sm_error_message());
        }
        SM_TEST_MESSAGE(bad[i].message);
    }
    char *path = in_folder("bad.h5"), *partial = in_folder("bad.h5.partial");
    CU_ASSERT(!sm_file_exists(path) && !sm_file_exists(partial));
    sm_free(path);
    sm_free(partial);
    const sm_table_import_options missing = {
        .path = "/no/such.csv", .output = "/no/out.h5", .targets = "y", .split_column = "split"};
    CU_ASSERT_EQUAL(sm_table_import(test_comm, &missing), SM_ERR_IO);
    SM_TEST_MESSAGE("/no/such.csv");
}

/* ---- the toy regression ----------------------------------------------------------------------------------------------- */

static void draws_are_those_of_the_lines(void)
{
    enum { DRAWS = 4000 };
    char *path = in_folder("draws.h5");
    SM_TEST_OK(sm_table_write_toy(test_comm, path, DRAWS, 10, 5, 1));
    sm_dataset *dataset = open_split("draws.h5", "train");
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    double sums[2] = {0}, squares[2] = {0}, product = 0, x_sum = 0, x_square = 0;
    for (int64_t i = 0; i < DRAWS; i++) {
        sm_sample sample;
        SM_TEST_OK(sm_dataset_read(dataset, i, storage, &sample));
        double x = *(const float *)sample.input;
        double e[2] = {*(const float *)sm_sample_find(&sample, "y1")->data - 2 * x - 8,
                       *(const float *)sm_sample_find(&sample, "y2")->data - 3 * x - 3};
        x_sum += x;
        x_square += x * x;
        product += e[0] * e[1];
        for (int t = 0; t < 2; t++) {
            sums[t] += e[t];
            squares[t] += e[t] * e[t];
        }
    }
    const double n = DRAWS, four_errors = 4 / sqrt(n); /* of a mean of numbers of deviation 1 */
    SM_TEST_AT_MOST(fabs(x_sum / n), four_errors);
    SM_TEST_AT_MOST(fabs(x_square / n - 1), four_errors * sqrt(2));
    SM_TEST_AT_MOST(fabs(sums[0] / n / 10), four_errors);
    SM_TEST_AT_MOST(fabs(sums[1] / n), four_errors);
    SM_TEST_AT_MOST(fabs(squares[0] / n / 100 - 1), four_errors * sqrt(2));
    SM_TEST_AT_MOST(fabs(squares[1] / n - 1), four_errors * sqrt(2));
    SM_TEST_AT_MOST(fabs(product / n / 10), four_errors);
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(path);
}

/* The claim of configs/toy_regression.ini with 10,000 draws, in fewer steps of a narrower network at a higher rate. */
static void learned_sigmas_are_those_of_the_noise(void)
{
    static const double sigmas[2] = {10, 1};
    enum { DRAWS = 10000, BATCH = 100, STEPS = 3000 };
    if (sm_comm_size(test_comm) > 1) {
        return;
    }
    char *path = in_folder("toy.h5");
    SM_TEST_OK(sm_table_write_toy(test_comm, path, DRAWS, 10, 1, 1));
    char *text =
        sm_format("[run]\nbatch = %d\nsteps = %d\n[model]\nbackbone = mlp\nhidden = 32\n[data]\ntrain = %s\n"
                  "[task.y1]\nkind = regression\ntarget = y1\nloss = l2\n"
                  "[task.y2]\nkind = regression\ntarget = y2\nloss = l2\n"
                  "[optimizer]\nkind = adamw\nlearning_rate = 4e-3\nweight_decay = 0\n[schedule]\nkind = cosine\n",
                  BATCH, STEPS, path);
    sm_config *config = sm_config_new(sm_all_keys());
    SM_TEST_OK(sm_config_read_text(config, "toy", text));
    SM_TEST_OK(sm_config_check(config));
    tiny_run run;
    tiny_open(&run, test_comm, config);
    tiny_steps(&run, STEPS);
    for (int t = 0; t < 2; t++) {
        SM_TEST_AT_MOST(fabs(exp(*sm_session_log_variance(run.session, t) / 2) / sigmas[t] - 1), 0.02);
    }
    tiny_close(&run);
    sm_free(text);
    sm_free(path);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(cells_become_features_targets_and_classes);
    SM_TEST(features_are_what_is_left);
    SM_TEST(rows_of_a_group_stay_in_one_split);
    SM_TEST(any_number_of_ranks_writes_the_same_bytes);
    SM_TEST(bad_tables_and_options_are_named);
    SM_TEST(draws_are_those_of_the_lines);
    SM_TEST(learned_sigmas_are_those_of_the_noise);
    return sm_test_end();
}
