/* ranks: 1 */
#include "harness.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/task/task.h>
#include <sigmatic/train/settings.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const class_names[] = {"a", "b", "c"};
static const sm_class_list classes = {.count = 3, .names = class_names};
static const sm_target
    semantic = {.name = "semantic", .type = SM_TARGET_CLASS, .components = 1, .unit = "", .classes = &classes},
    instance = {.name = "instance", .type = SM_TARGET_INSTANCE, .components = 1, .unit = ""},
    disparity = {.name = "disparity",
                 .type = SM_TARGET_REAL,
                 .scaling = SM_SCALING_WIDTH,
                 .components = 1,
                 .unit = "px"},
    right = {.name = "right_disparity",
             .type = SM_TARGET_REAL,
             .scaling = SM_SCALING_WIDTH,
             .components = 1,
             .unit = "half px"},
    height = {.name = "height", .type = SM_TARGET_REAL, .components = 1, .unit = "m"},
    metres = {.name = "metres", .type = SM_TARGET_REAL, .components = 1, .unit = "m", .least = 0.1, .most = 100},
    normal = {.name = "normal", .type = SM_TARGET_REAL, .components = 3, .unit = ""},
    tags = {.name = "tags",
            .type = SM_TARGET_LABELS,
            .scope = SM_SCOPE_SAMPLE,
            .components = 3,
            .unit = "",
            .classes = &classes},
    flow = {.name = "flow", .type = SM_TARGET_REAL, .components = 2, .unit = "px"},
    weather = {.name = "weather",
               .type = SM_TARGET_CLASS,
               .scope = SM_SCOPE_SAMPLE,
               .components = 1,
               .unit = "",
               .classes = &classes};
static const sm_target *const targets[] = {&semantic, &instance, &disparity, &right, &height,
                                           &metres,   &normal,   &tags,      &flow,  &weather};
enum { TARGETS = sizeof targets / sizeof *targets };
static const sm_key *const tables[] = {sm_task_keys, NULL};

static sm_config *config_of(const char *text)
{
    sm_config *config = sm_config_new(tables);
    SM_TEST_OK(sm_config_read_text(config, "test.ini", text));
    SM_TEST_OK(sm_config_check(config));
    return config;
}

/* What an exported network says of its outputs. A kind of another's that decodes is never taken for one of ours. */
static void what_is_decoded_has_a_word(void)
{
    static const struct {
        const char *task, *word;
    } rows[] = {{"semantic]\nkind = semantic\ntarget = semantic", "none"},
                {"flow]\nkind = regression\ntarget = flow", "none"},
                {"normal]\nkind = normals\ntarget = normal", "unit_vector"},
                {"far]\nkind = depth\ntarget = metres", "metres"},
                {"far]\nkind = depth\ntarget = metres\nencoding = log", "log_metres"},
                {"far]\nkind = depth\ntarget = metres\nencoding = inverse", "inverse_metres"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = sm_format("[task.%s\n", rows[i].task);
        sm_config *config = config_of(text);
        const char *name = rows[i].task;
        char *task_name = sm_format("%.*s", (int)strcspn(name, "]"), name);
        sm_task *task = NULL;
        SM_TEST_OK(sm_task_new(config, task_name, targets, TARGETS, &task));
        CU_ASSERT_FATAL(task != NULL);
        CU_ASSERT_STRING_EQUAL(sm_task_decoding(task), rows[i].word);
        sm_task_kind own = *task->kind;
        own.decoding = NULL;
        task->kind = &own;
        CU_ASSERT_STRING_EQUAL(sm_task_decoding(task), own.decode ? "other" : "none");
        sm_task_free(task);
        sm_config_free(config);
        sm_free(task_name);
        sm_free(text);
    }
}

static void defaults_follow_the_kind(void)
{
    static const struct {
        const char *name, *loss;
        int channels;
    } expected[] = {{"semantic", "cross_entropy", 3}, {"instance", "l1", 2}, {"depth", "l1", 1}};
    sm_config *config = config_of("[task.semantic]\nkind = semantic\n[task.instance]\nkind = instance\n"
                                  "[task.depth]\nkind = depth\n");
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        sm_task *task = NULL;
        SM_TEST_OK(sm_task_new(config, expected[i].name, targets, TARGETS, &task));
        CU_ASSERT_STRING_EQUAL(task->name, expected[i].name);
        CU_ASSERT_STRING_EQUAL(task->kind->name, expected[i].name);
        CU_ASSERT_STRING_EQUAL(task->loss, expected[i].loss);
        CU_ASSERT_EQUAL(task->channels, expected[i].channels);
        CU_ASSERT_PTR_NULL(task->class_weights);
        sm_task_free(task);
    }
    sm_config_free(config);
}

static void names_and_losses_are_free_where_they_fit(void)
{
    sm_task *task = NULL;
    sm_config *config = config_of("[task.labels]\nkind = semantic\nloss = cross_entropy\nclass_weights = 1, 0.5, 2\n"
                                  "[task.far]\nkind = depth\nloss = l2\n");
    SM_TEST_OK(sm_task_new(config, "labels", targets, TARGETS, &task));
    CU_ASSERT_TRUE(task->class_weights[0] == 1 && task->class_weights[1] == 0.5f && task->class_weights[2] == 2);
    sm_task_free(task);
    SM_TEST_OK(sm_task_new(config, "far", targets, TARGETS, &task));
    CU_ASSERT_STRING_EQUAL(task->loss, "l2");
    sm_task_free(task);
    sm_config_free(config);
}

static void instances_are_found_as_the_keys_say(void)
{
    sm_task *task = NULL;
    sm_config *config = config_of("[task.a]\nkind = instance\n[task.b]\nkind = instance\ncluster_stride = 2\n"
                                  "cluster_min_samples = 7\ncluster_distance = 1.25\ncluster_max_distance = 5\n"
                                  "cluster_min_pixels = 30\ncluster_by_class = no\n");
    SM_TEST_OK(sm_task_new(config, "a", targets, TARGETS, &task));
    CU_ASSERT_TRUE(task->instances.stride == 0 && task->instances.distance == 0 && task->instances.by_class == 1);
    sm_task_free(task);
    SM_TEST_OK(sm_task_new(config, "b", targets, TARGETS, &task));
    CU_ASSERT_TRUE(task->instances.stride == 2 && task->instances.min_samples == 7 &&
                   task->instances.min_pixels == 30 && task->instances.by_class == 0);
    CU_ASSERT_TRUE(task->instances.distance == 1.25 && task->instances.max_distance == 5);
    sm_task_free(task);
    sm_config_free(config);
}

static void refuses(const char *text, const char *key, const char *allowed)
{
    sm_task *task = (sm_task *)1;
    sm_config *config = config_of(text);
    CU_ASSERT_EQUAL(sm_task_new(config, "x", targets, TARGETS, &task), SM_ERR_CONFIG);
    CU_ASSERT_PTR_NULL(task);
    SM_TEST_MESSAGE("task.x");
    SM_TEST_MESSAGE(key);
    SM_TEST_MESSAGE(allowed);
    sm_config_free(config);
}

static void mistakes_name_the_key_and_what_is_allowed(void)
{
    refuses("[task.x]\nkind = semantic\nloss = l2\n", "loss", "cross_entropy");
    refuses("[task.x]\nkind = depth\nloss = cross_entropy\n", "loss", "l1|l2|huber");
    refuses("[task.x]\nkind = semantic\nclass_weights = 1, 2\n", "class_weights", "3 numbers");
    refuses("[task.x]\nkind = depth\ntarget = height\nencoding = log\n", "encoding", "'least' is above 0");
    refuses("[task.x]\nkind = depth\nencoding = log\n", "encoding", "is a disparity");
    refuses("[task.x]\nkind = depth\ntarget = right_disparity\nencoding = inverse\n", "encoding", "is a disparity");
    refuses("[task.x]\nkind = labels\ntarget = tags\nclass_weights = 1, 2\n", "class_weights", "3 numbers");
    refuses("[task.x]\nkind = semantic\nclass_weights = 0, 0, 0\n", "class_weights", "above 0");
    refuses("[task.x]\nkind = instance\nclass_weights = 1, 2\n", "class_weights", "instance has no classes");
    refuses("[task.x]\nkind = instance\ncluster_min_samples = 1\n", "cluster_min_samples", "at least 2");
    refuses("[task.x]\nkind = instance\ncluster_distance = 3\ncluster_max_distance = 2.5\n", "cluster_max_distance",
            "cluster_distance, 3 px");

    sm_config *config = sm_config_new(tables);
    SM_TEST_OK(sm_config_read_text(config, "test.ini", "[task.x]\nloss = l1\n"));
    CU_ASSERT_EQUAL(sm_config_check(config), SM_ERR_CONFIG);
    SM_TEST_MESSAGE("kind");
    sm_config_free(config);
}

/* Two tasks of one kind train on two targets; the unit is the target's. */
static void a_task_names_its_target(void)
{
    sm_task *near = NULL, *other = NULL;
    sm_config *config = config_of("[task.near]\nkind = depth\n[task.right]\nkind = depth\ntarget = right_disparity\n");
    SM_TEST_OK(sm_task_new(config, "near", targets, TARGETS, &near));
    SM_TEST_OK(sm_task_new(config, "right", targets, TARGETS, &other));
    CU_ASSERT_STRING_EQUAL(near->target->name, "disparity");
    CU_ASSERT_STRING_EQUAL(other->target->name, "right_disparity");
    CU_ASSERT_STRING_EQUAL(sm_task_unit(near), "px");
    CU_ASSERT_STRING_EQUAL(sm_task_unit(other), "half px");
    sm_task_free(near);
    sm_task_free(other);
    sm_config_free(config);
}

/* What is learnt, and measured, follows from the target, where a kind takes several. */
static void the_target_decides_which_row_a_task_is(void)
{
    static const struct {
        const char *text, *metric, *loss, *unit;
        int channels;
    } cases[] = {
        {"kind = depth", "error_pixels", "l1", "px", 1},
        {"kind = depth\ntarget = height", "error_metres", "l1", "m", 1},
        {"kind = depth\ntarget = metres\nencoding = log\nloss = huber", "error_metres", "huber", "log m", 1},
        {"kind = depth\ntarget = metres\nencoding = inverse", "error_metres", "l1", "1/m", 1},
        {"kind = normals", "mean_degrees", "cosine", "", 3},
        {"kind = regression\ntarget = flow", "error", "l1", "px", 2},
        {"kind = classification\ntarget = weather", "accuracy", "cross_entropy", "nat", 3},
        {"kind = labels\ntarget = tags\nclass_weights = 1, 2, 3", "f1", "binary_cross_entropy", "nat", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = sm_format("[task.x]\n%s\n", cases[i].text);
        sm_config *config = config_of(text);
        sm_task *task = NULL;
        SM_TEST_OK(sm_task_new(config, "x", targets, TARGETS, &task));
        CU_ASSERT_STRING_EQUAL(task->kind->metrics[0].name, cases[i].metric);
        CU_ASSERT_STRING_EQUAL(task->loss, cases[i].loss);
        CU_ASSERT_STRING_EQUAL(sm_task_unit(task), cases[i].unit);
        CU_ASSERT(task->channels == cases[i].channels && sm_task_outputs(task) == cases[i].channels);
        sm_task_free(task);
        SM_TEST_OK(sm_task_new(config, "x", NULL, 0, &task)); /* as far as the config alone can tell */
        sm_task_free(task);
        sm_config_free(config);
        sm_free(text);
    }
}

static void uncertainties_of_pixels_add_an_output(void)
{
    static const char *const cases[][2] = {{"kind = depth", "laplace"},
                                           {"kind = depth\nloss = l2", "gaussian"},
                                           {"kind = depth\nloss = huber", "huber"},
                                           {"kind = normals", "von_mises_fisher"},
                                           {"kind = semantic", NULL},
                                           {"kind = labels\ntarget = tags", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = sm_format("[task.x]\n%s\nuncertainty = per_pixel\n", cases[i][0]);
        sm_config *config = config_of(text);
        sm_task *task = NULL;
        SM_TEST_OK(sm_task_new(config, "x", targets, TARGETS, &task));
        CU_ASSERT(task->is_heteroscedastic && sm_task_outputs(task) == task->channels + 1 && task->noise_draws == 10);
        CU_ASSERT_EQUAL(task->likelihood == NULL, cases[i][1] == NULL);
        CU_ASSERT(!task->likelihood || strcmp(task->likelihood->name, cases[i][1]) == 0);
        sm_task_free(task);
        sm_config_free(config);
        sm_free(text);
    }
}

static void refuses_target(const char *text, const char *found)
{
    sm_task *task = (sm_task *)1;
    sm_config *config = config_of(text);
    CU_ASSERT_EQUAL(sm_task_new(config, "x", targets, TARGETS, &task), SM_ERR_CONFIG);
    CU_ASSERT_PTR_NULL(task);
    SM_TEST_MESSAGE("task 'x'");
    SM_TEST_MESSAGE(found);
    sm_config_free(config);
}

static void targets_that_do_not_fit_are_refused(void)
{
    refuses_target("[task.x]\nkind = depth\ntarget = snow\n", "'snow', which no dataset file has");
    refuses_target("[task.x]\nkind = regression\n",
                   "has one of its name that fits; expected [task.x] target = one of: ");
    refuses_target("[task.x]\nkind = classification\n", "target = one of: weather (an array"); /* those that fit */
    refuses_target("[task.x]\nkind = depth\ntarget = semantic\n", "of type 'class'");
    refuses_target("[task.x]\nkind = depth\ntarget = flow\n", "2 values");
    refuses_target("[task.x]\nkind = depth\ntarget = flow\n", "1 value a pixel, scaling width, or type 'real'");
    refuses_target("[task.x]\nkind = semantic\ntarget = weather\n", "a sample");
}

static void a_kind_that_no_target_fits_is_told_what_would(void)
{
    sm_config *config = config_of("[task.x]\nkind = classification\n");
    sm_task *task = NULL;
    CU_ASSERT_EQUAL(sm_task_new(config, "x", targets, 1, &task), SM_ERR_CONFIG);
    SM_TEST_MESSAGE("has one of its name that fits, nor any other of type 'class', 1 value a sample");
    SM_TEST_MESSAGE("there are: ");
    SM_TEST_MESSAGE(targets[0]->name);
    CU_ASSERT(strstr(sm_error_message(), "one of: ") == NULL);
    sm_config_free(config);
}

/* \return what a task of a kind learns that names no target; of those given, all but `missing` */
static const char *learnt(const char *name, const char *kind, const char *missing)
{
    static char found[64];
    const sm_target *some[TARGETS];
    int count = 0;
    char *text = sm_format("[task.%s]\nkind = %s\n", name, kind);
    sm_config *config = config_of(text);
    sm_task *task = NULL;
    for (int t = 0; t < TARGETS; t++) {
        if (strcmp(targets[t]->name, missing) != 0) {
            some[count++] = targets[t];
        }
    }
    snprintf(found, sizeof found, "%s",
             sm_task_new(config, name, some, count, &task) == SM_OK ? task->target->name : sm_error_message());
    sm_task_free(task);
    sm_config_free(config);
    sm_free(text);
    return found;
}

static void a_task_without_a_target_learns_its_kinds_or_its_own(void)
{
    CU_ASSERT_STRING_EQUAL(learnt("height", "depth", ""), "disparity");
    CU_ASSERT_STRING_EQUAL(learnt("height", "depth", "disparity"), "height");
    CU_ASSERT_STRING_EQUAL(learnt("flow", "regression", ""), "flow");
    CU_ASSERT_STRING_EQUAL(learnt("weather", "classification", ""), "weather");
    CU_ASSERT_STRING_EQUAL(learnt("tags", "labels", ""), "tags");
    learnt("weather", "depth", "disparity"); /* of its name, but it does not fit */
    SM_TEST_MESSAGE("no dataset file has 'disparity', nor one of the task's name that fits");
}

/* Longer names would be cut where they are part of others, and two of them become one. */
static void names_that_do_not_fit_are_refused(void)
{
    static const char *const names[] = {"step", "a234567890123456789012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *text = sm_format("[task.%s]\nkind = depth\n", names[i]);
        sm_config *config = NULL;
        sm_task *task = NULL;
        config = sm_config_new(tables);
        SM_TEST_OK(sm_config_read_text(config, "test.ini", text));
        CU_ASSERT_EQUAL(sm_task_new(config, names[i], targets, TARGETS, &task), SM_ERR_CONFIG);
        CU_ASSERT_PTR_NULL(task);
        SM_TEST_MESSAGE(names[i]);
        sm_config_free(config);
        sm_free(text);
    }
}

/* The choices of the keys are text; what they name are rows of tables. */
static void choices_are_the_rows_of_the_tables(void)
{
    char kinds[128] = "";
    for (int k = 0; sm_task_kinds[k]; k++) {
        const sm_task_kind *kind = sm_task_kinds[k];
        if (sm_task_kind_find(kind->name) == kind) { /* the first row of its name */
            strcat(strcat(kinds, *kinds ? "|" : ""), kind->name);
        }
        CU_ASSERT_TRUE(kind->build_target && kind->metric_add && kind->metric_values);
        CU_ASSERT_TRUE(kind->metric_counts && kind->metric_sums && kind->metrics);
    }
    for (const sm_key *key = sm_task_keys; key->section; key++) {
        if (strcmp(key->name, "kind") == 0) {
            CU_ASSERT_STRING_EQUAL(key->choices, kinds);
        }
    }
}

/* ---- keys without effect ---- */

/* \return what is warned of in a whole config with these lines, freed with sm_free() */
static char *warnings_of(const char *text)
{
    char *path = sm_format("%s/warnings", sm_test_folder()), *said = NULL;
    sm_config *config = sm_config_new(sm_all_keys());
    SM_TEST_OK(sm_config_read_text(config, "test.ini", "[data]\ntrain = a.h5\n"));
    SM_TEST_OK(sm_config_read_text(config, "test.ini", text));
    fflush(NULL);
    int errors = dup(STDERR_FILENO), file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    dup2(file, STDERR_FILENO);
    sm_log_set_quiet(0);
    sm_settings_warn_without_effect(config);
    sm_log_set_quiet(1);
    fflush(NULL);
    dup2(errors, STDERR_FILENO);
    close(errors);
    close(file);
    SM_TEST_OK(sm_file_read_text(path, &said));
    sm_config_free(config);
    sm_free(path);
    return said;
}

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text; text++) {
        lines += *text == '\n';
    }
    return lines;
}

/* Each key is warned of once where it does nothing, and not where it does something. */
static void keys_without_effect_are_warned_of(void)
{
    static const struct {
        const char *key, *without, *with;
    } cases[] = {
        {"huber_delta", "[task.x]\nkind = depth\nhuber_delta = 2\n",
         "[task.x]\nkind = depth\nloss = huber\nhuber_delta = 2\n"},
        {"uncertainty_draws", "[task.x]\nkind = semantic\nuncertainty_draws = 5\n",
         "[task.x]\nkind = semantic\nuncertainty = per_pixel\nuncertainty_draws = 5\n"},
        {"uncertainty_draws", "[task.x]\nkind = depth\nuncertainty = per_pixel\nuncertainty_draws = 5\n",
         "[task.x]\nkind = labels\nuncertainty = per_pixel\nuncertainty_draws = 5\n"},
        {"uncertainty_draws", "[task.x]\nkind = depth\nuncertainty_draws = 5\n",
         "[task.x]\nkind = classification\nuncertainty = per_pixel\nuncertainty_draws = 5\n"},
        {"encoding", "[task.x]\nkind = regression\nencoding = log\n",
         "[task.x]\nkind = depth\ntarget = depth\nencoding = log\n"},
        {"log_variance", "[task.x]\nkind = depth\nuncertainty = per_pixel\nlog_variance = 1\n",
         "[task.x]\nkind = depth\nlog_variance = 1\n"},
        {"log_variance", "[weighting]\nmethod = equal\n[task.x]\nkind = depth\nlog_variance = 1\n",
         "[task.x]\nkind = depth\nlog_variance = 1\n"},
        {"weight", "[task.x]\nkind = depth\nweight = 2\n",
         "[weighting]\nmethod = fixed\n[task.x]\nkind = depth\nweight = 2\n"},
        {"cluster_distance", "[task.x]\nkind = depth\ncluster_distance = 2\n",
         "[task.x]\nkind = instance\ncluster_distance = 2\n"},
        {"erasing_area", "[data]\nerasing_area = 0.2\n", "[data]\nerasing = 0.1\nerasing_area = 0.2\n"},
        {"momentum", "[optimizer]\nkind = adamw\nmomentum = 0.5\n", "[optimizer]\nmomentum = 0.5\n"},
        {"power", "[schedule]\nkind = cosine\npower = 2\n", "[schedule]\npower = 2\n"},
        {"keep_best", "[checkpoint]\nkeep_best = no\n[data]\nvalidation_split =\n", "[checkpoint]\nkeep_best = no\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *without = warnings_of(cases[i].without), *with = warnings_of(cases[i].with);
        char *name = sm_format("] %s = ", cases[i].key);
        CU_ASSERT(strstr(without, "has no effect") && strstr(without, name));
        CU_ASSERT_EQUAL(count_lines(without), 1);
        CU_ASSERT_STRING_EQUAL(with, "");
        sm_free(name);
        sm_free(without);
        sm_free(with);
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(what_is_decoded_has_a_word);
    SM_TEST(defaults_follow_the_kind);
    SM_TEST(names_and_losses_are_free_where_they_fit);
    SM_TEST(instances_are_found_as_the_keys_say);
    SM_TEST(mistakes_name_the_key_and_what_is_allowed);
    SM_TEST(a_task_names_its_target);
    SM_TEST(the_target_decides_which_row_a_task_is);
    SM_TEST(uncertainties_of_pixels_add_an_output);
    SM_TEST(targets_that_do_not_fit_are_refused);
    SM_TEST(a_kind_that_no_target_fits_is_told_what_would);
    SM_TEST(a_task_without_a_target_learns_its_kinds_or_its_own);
    SM_TEST(names_that_do_not_fit_are_refused);
    SM_TEST(choices_are_the_rows_of_the_tables);
    SM_TEST(keys_without_effect_are_warned_of);
    return sm_test_end();
}
