/* ranks: 1 */
#define _XOPEN_SOURCE 700
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5_checksums.h>

#include <hdf5.h>
#include <stdio.h>
#include <string.h>

static const char *const objects[] = {"/", "/data"};
static const char *const classes[] = {"road", "caf\xC3\xA9 au lait", ""};
static const char RATES[] = "aspp_rates = 6,12,18";

static char path[512];

static void write_file(sm_h5_format format)
{
    static const double mean[3] = {0.5, 0.25, 0.125};
    static const int64_t palette[3] = {128, 64, 7};
    static const float numbers[6] = {0};
    sm_h5 *file = NULL;
    snprintf(path, sizeof path, "%s/checksums.h5", sm_test_folder());
    SM_TEST_OK(sm_h5_create_in_memory(path, format, NULL, &file));
    SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "config", RATES));
    SM_TEST_OK(sm_h5_write_attribute_int64(file, "/", "step", 0x1122334455667788));
    SM_TEST_OK(sm_h5_write_attribute_double(file, "/", "best", 0.1));
    SM_TEST_OK(sm_h5_write(file, "/data/deep/image", SM_H5_FLOAT, 2, (size_t[]){2, 3}, numbers));
    SM_TEST_OK(sm_h5_write_attribute_texts(file, "/data/deep/image", "class_names", classes, 3));
    SM_TEST_OK(sm_h5_write_attribute_int64s(file, "/data/deep/image", "palette", palette, 3));
    SM_TEST_OK(sm_h5_write_attribute_int64(file, "/data/deep/image", "crc32c", 1));
    SM_TEST_OK(sm_h5_write_attribute_doubles(file, "/data", "mean", mean, 3));
    SM_TEST_OK(sm_h5_write_attribute_texts(file, "/data", "none", NULL, 0));
    SM_TEST_OK(sm_h5_write(file, "/model/weight", SM_H5_FLOAT, 1, (size_t[]){6}, numbers));
    SM_TEST_OK(sm_h5_write_checksums(file, objects, 2));
    SM_TEST_OK(sm_h5_write_image(file, path));
    SM_TEST_OK(sm_h5_close(file));
}

static sm_status check(int *has)
{
    sm_h5 *file = NULL;
    sm_status status = sm_h5_open(path, &file);
    if (status == SM_OK) {
        status = sm_h5_check_checksums(file, has);
    }
    sm_h5_close(file);
    return status;
}

/* Changes the file as another program would: by HDF5 itself. */
static void change(void (*edit)(hid_t file))
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    CU_ASSERT_FATAL(file >= 0);
    edit(file);
    H5Fclose(file);
}

static void set(hid_t file, const char *object, const char *name, hid_t type, hsize_t count, const void *value)
{
    hid_t space = count ? H5Screate_simple(1, &count, NULL) : H5Screate(H5S_SCALAR);
    if (H5Aexists_by_name(file, object, name, H5P_DEFAULT) > 0) {
        H5Adelete_by_name(file, object, name, H5P_DEFAULT);
    }
    hid_t id = H5Acreate_by_name(file, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(H5Awrite(id, type, value) >= 0);
    H5Aclose(id);
    H5Sclose(space);
}

static void another_step(hid_t file)
{
    const int64_t value = 0x1122334455667789;
    set(file, "/", "step", H5T_NATIVE_INT64, 0, &value);
}

static void a_wider_step(hid_t file)
{
    const int value = 0x55667788;
    set(file, "/", "step", H5T_NATIVE_INT, 0, &value);
}

static void another_mean(hid_t file)
{
    const double value[3] = {0.5, 0.25, 0.1250000000000001};
    set(file, "/data", "mean", H5T_NATIVE_DOUBLE, 3, value);
}

static void a_shorter_mean(hid_t file)
{
    const double value[2] = {0.5, 0.25};
    set(file, "/data", "mean", H5T_NATIVE_DOUBLE, 2, value);
}

static void texts_cut_elsewhere(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    const char *value[3] = {"roadcaf\xC3\xA9 au lait", "", ""};
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    set(file, "/data/deep/image", "class_names", type, 3, value);
    H5Tclose(type);
}

static void no_palette(hid_t file)
{
    H5Adelete_by_name(file, "/data/deep/image", "palette", H5P_DEFAULT);
}

static void another_shape(hid_t file)
{
    const hsize_t shape[2] = {3, 2};
    hid_t space = H5Screate_simple(2, shape, NULL);
    H5Ldelete(file, "/data/deep/image", H5P_DEFAULT);
    H5Dclose(H5Dcreate2(file, "/data/deep/image", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
}

/* No line of it is wrong; the last one is of other lines. */
static void one_line_less(hid_t file)
{
    static char text[1 << 16];
    hid_t id = H5Aopen(file, "attribute_crc32c", H5P_DEFAULT), type = H5Aget_type(id);
    CU_ASSERT_FATAL(H5Tget_size(type) < sizeof text);
    H5Aread(id, type, text);
    H5Aclose(id);
    const char *rest = strchr(text, '\n') + 1;
    H5Tset_size(type, strlen(rest));
    set(file, "/", "attribute_crc32c", type, 0, rest);
    H5Tclose(type);
}

static void whatever_is_changed_is_named(void)
{
    static const struct {
        void (*edit)(hid_t file);
        const char *message;
    } cases[] = {
        {another_step, "checksums.h5: /: attribute 'step' is damaged, or was changed after the file was written"},
        {a_wider_step, "/: attribute 'step' is damaged"},
        {another_mean, "/data: attribute 'mean' is damaged"},
        {a_shorter_mean, "/data: attribute 'mean' is damaged"},
        {texts_cut_elsewhere, "/data/deep/image: attribute 'class_names' is damaged"},
        {no_palette, "/data/deep/image: attribute 'palette' is missing"},
        {another_shape, "/data/deep/image: its type or shape is damaged"},
        {one_line_less, "/: attribute 'attribute_crc32c' is damaged"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(SM_H5_LATEST);
        change(cases[i].edit);
        CU_ASSERT(check(NULL) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(cases[i].message);
    }
}

static void additions(hid_t file)
{
    const int64_t value = 1;
    set(file, "/", "note", H5T_NATIVE_INT64, 0, &value);
    set(file, "/data/deep/image", "note", H5T_NATIVE_INT64, 0, &value);
    set(file, "/model/weight", "note", H5T_NATIVE_INT64, 0, &value);
    set(file, "/data/deep/image", "crc32c", H5T_NATIVE_INT64, 0, &value);
}

static void no_checksums(hid_t file)
{
    H5Adelete(file, "attribute_crc32c");
    another_step(file);
}

static void what_others_add_does_not_count(void)
{
    int has = 0;
    write_file(SM_H5_EARLIEST);
    SM_TEST_OK(check(&has));
    CU_ASSERT(has == 1);
    change(additions);
    SM_TEST_OK(check(&has));
    CU_ASSERT(has == 1);
    change(no_checksums);
    SM_TEST_OK(check(&has));
    CU_ASSERT(has == 0);
}

/* In a file of the earliest format, of which HDF5 has no checksums. */
static void a_flipped_bit_of_a_text_is_noticed(void)
{
    char *data = NULL, *place = NULL;
    size_t bytes = 0;
    write_file(SM_H5_EARLIEST);
    SM_TEST_OK(sm_file_read(path, (void **)&data, &bytes));
    for (size_t i = 0; i + sizeof RATES <= bytes && !place; i++) {
        place = memcmp(data + i, RATES, sizeof RATES - 1) == 0 ? data + i : NULL;
    }
    CU_ASSERT_FATAL(place != NULL);
    for (size_t i = 0; i + 1 < sizeof RATES; i++) {
        for (int bit = 0; bit < 8; bit++) {
            place[i] = (char)(place[i] ^ 1 << bit);
            SM_TEST_OK(sm_file_write_atomic(path, data, bytes));
            CU_ASSERT(check(NULL) == SM_ERR_INPUT);
            SM_TEST_MESSAGE("/: attribute 'config' is damaged");
            place[i] = (char)(place[i] ^ 1 << bit);
        }
    }
    sm_free(data);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(whatever_is_changed_is_named);
    SM_TEST(what_others_add_does_not_count);
    SM_TEST(a_flipped_bit_of_a_text_is_noticed);
    return sm_test_end();
}
