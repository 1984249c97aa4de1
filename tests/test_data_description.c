/* ranks: 1 2 */
#include "tiny_run.h"
#include "whole_run.h"

#include <sigmatic/data/data_description.h>
#include <sigmatic/train/checkpoint.h>

#include <string.h>

static int same_classes(const sm_class_list *a, const sm_class_list *b)
{
    int same = !a == !b && (!a || a->count == b->count);
    for (int c = 0; same && a && c < a->count; c++) {
        same = strcmp(a->names[c], b->names[c]) == 0 && memcmp(a->palette[c], b->palette[c], 3) == 0 &&
               a->thing[c] == b->thing[c];
    }
    return same;
}

static int same_target(const sm_target *a, const sm_target *b)
{
    return strcmp(a->name, b->name) == 0 && a->type == b->type && a->scope == b->scope &&
           a->components == b->components && strcmp(a->unit, b->unit) == 0 && a->scaling == b->scaling &&
           a->flip_negates == b->flip_negates && a->least == b->least && a->most == b->most &&
           same_classes(a->classes, b->classes);
}

static const sm_target *find(const sm_data_description *data, const char *name)
{
    for (int t = 0; t < data->target_count; t++) {
        if (strcmp(data->targets[t]->name, name) == 0) {
            return data->targets[t];
        }
    }
    return NULL;
}

static char *checkpoint(void)
{
    static int trained;
    if (!trained) {
        SM_TEST_OK(train("described", NULL, (const char *[]){"run.steps=2", NULL}));
        trained = 1;
    }
    return path_in("described", "checkpoints/step-00000002.h5");
}

static void a_checkpoint_says_what_its_data_are(void)
{
    char *path = checkpoint();
    sm_config *config = tiny_config((const char *[]){NULL});
    sm_dataset *train_set = NULL;
    sm_augmentation augmentation;
    sm_data_description *data = NULL;
    int count;
    SM_TEST_OK(sm_data_open_train(config, &train_set));
    SM_TEST_OK(sm_data_augmentation(config, train_set, &augmentation));
    SM_TEST_OK(sm_checkpoint_read_data(path, &data));
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    const sm_input *input = sm_dataset_input(train_set);
    CU_ASSERT_PTR_EQUAL(data->input.kind, input->kind);
    CU_ASSERT_EQUAL(data->input.channels, input->channels);
    CU_ASSERT(data->input.height == augmentation.height && data->input.width == augmentation.width);
    CU_ASSERT(data->crop_height == augmentation.crop_height && data->crop_width == augmentation.crop_width);
    for (int c = 0; c < input->channels; c++) {
        CU_ASSERT(data->input.mean[c] == input->mean[c] && data->input.std[c] == input->std[c]);
    }
    const sm_target *const *targets = sm_dataset_targets(train_set, &count);
    CU_ASSERT_EQUAL(data->target_count, count);
    for (int t = 0; t < count; t++) {
        const sm_target *found = find(data, targets[t]->name);
        CU_ASSERT_PTR_NOT_NULL_FATAL(found);
        CU_ASSERT(same_target(found, targets[t]));
    }
    sm_data_description_free(data);
    sm_dataset_close(train_set);
    sm_config_free(config);
    sm_free(path);
}

/* Names, values and messages of one attribute that is wrong. */
static void expect_refused(const char *attribute, void (*change)(sm_h5 *file, const char *attribute),
                           const char *message)
{
    char *path = sm_format("%s/wrong.h5", sm_test_folder());
    char *good = checkpoint();
    sm_data_description *data = NULL;
    if (is_root()) {
        sm_h5 *file = NULL;
        sm_data_description *described = NULL;
        SM_TEST_OK(sm_checkpoint_read_data(good, &described));
        SM_TEST_OK(sm_h5_create(path, SM_H5_LATEST, &file));
        SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-checkpoint"));
        SM_TEST_OK(sm_h5_write_attribute_int64(file, "/", "format_version", 1));
        SM_TEST_OK(sm_data_description_write(described, file, "/data"));
        change(file, attribute);
        SM_TEST_OK(sm_h5_close(file));
        sm_data_description_free(described);
    }
    sm_comm_barrier(test_comm);
    CU_ASSERT_EQUAL(sm_checkpoint_read_data(path, &data), SM_ERR_INPUT);
    SM_TEST_MESSAGE("wrong.h5");
    SM_TEST_MESSAGE(message);
    CU_ASSERT_PTR_NULL(data);
    sm_comm_barrier(test_comm);
    sm_free(path);
    sm_free(good);
}

static void two(sm_h5 *file, const char *attribute)
{
    SM_TEST_OK(sm_h5_write_attribute_int64(file, "/data", attribute, 2));
}

static void zero(sm_h5 *file, const char *attribute)
{
    SM_TEST_OK(sm_h5_write_attribute_int64(file, "/data", attribute, 0));
}

static void word(sm_h5 *file, const char *attribute)
{
    SM_TEST_OK(sm_h5_write_attribute_text(file, "/data", attribute, "sound"));
}

static void zeros(sm_h5 *file, const char *attribute)
{
    SM_TEST_OK(sm_h5_write_attribute_doubles(file, "/data", attribute, (double[]){0, 0, 0}, 3));
}

static void four(sm_h5 *file, const char *attribute)
{
    SM_TEST_OK(sm_h5_write_attribute_doubles(file, "/data", attribute, (double[]){1, 1, 1, 1}, 4));
}

static void wrong_type(sm_h5 *file, const char *attribute)
{
    SM_TEST_OK(sm_h5_write_attribute_text(file, "/data/semantic", attribute, "real"));
}

static void a_description_that_is_wrong_is_refused_by_name(void)
{
    expect_refused("description_version", two, "'description_version' is 2, expected 1");
    expect_refused("input", word, "'input' is 'sound'");
    expect_refused("height", zero, "'height' is 0");
    expect_refused("crop_width", zero, "'crop_width' is 0");
    expect_refused("std", zeros, "'std' holds 0");
    expect_refused("mean", four, "'mean' has 4 numbers, expected 3");
    expect_refused("type", wrong_type, "'type' of /data/semantic is 'real'");
}

static void an_older_checkpoint_has_none(void)
{
    char *path = sm_format("%s/older.h5", sm_test_folder());
    sm_data_description *data = NULL;
    if (is_root()) {
        sm_h5 *file = NULL;
        SM_TEST_OK(sm_h5_create(path, SM_H5_LATEST, &file));
        SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-checkpoint"));
        SM_TEST_OK(sm_h5_write_attribute_int64(file, "/", "format_version", 1));
        SM_TEST_OK(sm_h5_close(file));
    }
    sm_comm_barrier(test_comm);
    SM_TEST_OK(sm_checkpoint_read_data(path, &data));
    CU_ASSERT_PTR_NULL(data);
    sm_comm_barrier(test_comm);
    sm_free(path);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_checkpoint_says_what_its_data_are);
    SM_TEST(a_description_that_is_wrong_is_refused_by_name);
    SM_TEST(an_older_checkpoint_has_none);
    return sm_test_end();
}
