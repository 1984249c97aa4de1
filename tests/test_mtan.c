/* ranks: 1 4 */
#include "harness.h"

#include <sigmatic/base/half.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/import.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { H = 6, W = 8 };

/* ---- what each sample holds ---------------------------------------------------------------------------------------- */

static double byte_at(int seed, int y, int x, int c)
{
    return (seed * 31 + 7 * x + 11 * y + 50 * c) % 256;
}

static double colour_at(int seed, int y, int x, int c)
{
    return byte_at(seed, y, x, c) / 255;
}

static double label_at(int seed, int y, int x, int c)
{
    return (x + 3 * y + seed + c) % 8 - 1;
}

static double half_depth_at(int seed, int y, int x, int c) /* whole in a half */
{
    return (x + y) % 5 == 0 ? 0 : 1 + seed + 0.125 * x + 0.25 * y + c;
}

/* Not of unit length, and none in places. */
static double normal_at(int seed, int y, int x, int c)
{
    int which = (x + y + seed) % 4;
    const double vectors[4][3] = {{0, 0, -2}, {0.5, 0, -0.5}, {0, 0, 0}, {-3, 4, 0}};
    return vectors[which][c];
}

/* MTAN's inverse depth: Cityscapes's number over 2^16. */
static double inverse_at(int seed, int y, int x, int c)
{
    return (x + 2 * y) % 7 == 0 ? 0 : (1 + 256 * (x + seed) + 64 * y + c) / 65536.0;
}

/* ---- writing .npy as NumPy does ------------------------------------------------------------------------------------ */

typedef struct array_kind {
    const char *descr; /* NumPy's */
    int is_fortran, channels, rank;
    double (*value)(int seed, int y, int x, int c);
} array_kind;

/* A value whose bits are in a half is found among all of them. */
static uint16_t half_of(double value)
{
    for (int bits = 0; bits < 65536; bits++) {
        if ((double)sm_float_of_half((uint16_t)bits) == value) {
            return (uint16_t)bits;
        }
    }
    return 0x7e00;
}

static size_t put_number(const char *descr, double value, uint8_t *out)
{
    union {
        float f;
        double d;
        int64_t i;
        int8_t b;
        uint8_t u;
        uint16_t h;
    } number;
    size_t bytes = (size_t)(descr[2] - '0');
    switch (descr[1]) {
    case 'f':
        if (bytes == 2) {
            number.h = half_of(value);
        } else if (bytes == 4) {
            number.f = (float)value;
        } else {
            number.d = value;
        }
        break;
    case 'u':
        number.u = (uint8_t)value;
        break;
    default:
        if (bytes == 1) {
            number.b = (int8_t)value;
        } else {
            number.i = (int64_t)value;
        }
    }
    memcpy(out, &number, bytes);
    return bytes;
}

static void write_npy(const char *path, const array_kind *kind, int seed, int width)
{
    enum { ROOM = 128 + H * W * 3 * 8 };
    static uint8_t file[ROOM];
    char shape[64];
    int channels = kind->channels;
    snprintf(shape, sizeof shape, kind->rank == 2 ? "(%d, %d)" : "(%d, %d, %d)", H, width, channels);
    memcpy(file, "\x93NUMPY\1\0\x76\0", 10);
    int used = snprintf((char *)file + 10, 118, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", kind->descr,
                        kind->is_fortran ? "True" : "False", shape);
    memset(file + 10 + used, ' ', (size_t)(117 - used));
    file[127] = '\n';
    size_t at = 128;
    for (int i = 0; i < H * width * channels; i++) {
        int y = kind->is_fortran ? i % H : i / channels / width;
        int x = kind->is_fortran ? i / H % width : i / channels % width;
        int c = kind->is_fortran ? i / H / width : i % channels;
        at += put_number(kind->descr, kind->value(seed, y, x, c), file + at);
    }
    SM_TEST_OK(sm_file_write_atomic(path, file, at));
}

static char *file_in(const char *root, const char *split, const char *folder, int number)
{
    char *path = sm_format("%s/%s/%s", root, split, folder);
    SM_TEST_OK(sm_make_folders(path));
    char *file = sm_format("%s/%d.npy", path, number);
    sm_free(path);
    return file;
}

static void put(const char *root, const char *split, const char *folder, int number, const array_kind *kind)
{
    char *path = file_in(root, split, folder, number);
    write_npy(path, kind, number, W);
    sm_free(path);
}

static const array_kind float_image = {"<f4", 0, 3, 3, colour_at}, byte_image = {"|u1", 0, 3, 3, byte_at},
                        column_image = {"<f8", 1, 3, 3, colour_at};
static const array_kind labels[] = {
    {"|i1", 0, 1, 2, label_at}, {"<i8", 1, 1, 2, label_at}, {"<f4", 0, 1, 3, label_at}, {"<f8", 0, 1, 2, label_at}};
static const array_kind depths[] = {{"<f2", 1, 1, 3, half_depth_at},
                                    {"<f4", 0, 1, 3, half_depth_at},
                                    {"<f8", 1, 1, 2, half_depth_at},
                                    {"<f4", 0, 1, 2, half_depth_at}};
static const array_kind normals[] = {
    {"<f4", 0, 3, 3, normal_at}, {"<f2", 0, 3, 3, normal_at}, {"<f8", 1, 3, 3, normal_at}, {"<f4", 1, 3, 3, normal_at}};

/* 2 comes before 10, as numbers do. */
static const int numbers[] = {0, 1, 2, 10};

static char *write_nyuv2(const char *name)
{
    char *root = sm_format("%s/%s", sm_test_folder(), name);
    for (int i = 0; sm_comm_rank(test_comm) == 0 && i < 4; i++) {
        int n = numbers[i];
        put(root, "train", "image", n, i == 1 ? &byte_image : i == 2 ? &column_image : &float_image);
        put(root, "train", "label", n, &labels[i]);
        put(root, "train", "depth", n, &depths[i]);
        put(root, "train", "normal", n, &normals[i]);
    }
    if (sm_comm_rank(test_comm) == 0) {
        put(root, "val", "image", 5, &float_image);
        put(root, "val", "label", 5, &labels[0]);
        put(root, "val", "depth", 5, &depths[0]);
        put(root, "val", "normal", 5, &normals[0]);
    }
    sm_comm_barrier(test_comm);
    return root;
}

static const sm_importer *importer(void)
{
    const sm_importer *const *row = sm_importers;
    while (strcmp((*row)->name, "mtan") != 0) {
        row++;
    }
    return *row;
}

static sm_dataset *opened(const char *path, const char *split)
{
    sm_dataset *dataset = NULL;
    SM_TEST_OK(sm_dataset_open(&path, 1, split, &dataset));
    CU_ASSERT_FATAL(dataset != NULL);
    return dataset;
}

static void check_nyuv2(const sm_sample *sample, int seed)
{
    const uint8_t *image = sample->input, *semantic = sm_sample_find(sample, "semantic")->data;
    const float *depth = sm_sample_find(sample, "depth")->data, *normal = sm_sample_find(sample, "normal")->data;
    for (int i = 0; i < H * W; i++) {
        int y = i / W, x = i % W, label = (int)label_at(seed, y, x, 0);
        double metres = half_depth_at(seed, y, x, 0), length = 0;
        for (int c = 0; c < 3; c++) {
            CU_ASSERT(image[3 * i + c] == byte_at(seed, y, x, c));
            length += normal_at(seed, y, x, c) * normal_at(seed, y, x, c);
        }
        CU_ASSERT(semantic[i] == (label < 0 ? SM_CLASS_IGNORED : label));
        CU_ASSERT(metres > 0 ? depth[i] == (float)metres : isnan(depth[i]));
        for (int c = 0; c < 3; c++) {
            double unit = normal_at(seed, y, x, c) / sqrt(length);
            CU_ASSERT(length > 0 ? fabs(normal[3 * i + c] - unit) < 1e-6 : isnan(normal[3 * i + c]));
        }
    }
}

static void types_and_orders_of_nyuv2_are_exact(void)
{
    char *root = write_nyuv2("nyuv2"), *output = sm_format("%s.h5", root);
    sm_import_options options = {.root = root, .output = output};
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    sm_dataset *dataset = opened(output, "train");
    CU_ASSERT_FATAL(sm_dataset_count(dataset) == 4);
    const sm_class_list *classes = sm_dataset_target(dataset, "semantic")->classes;
    CU_ASSERT(classes->count == 13 && strcmp(classes->names[5], "furniture") == 0);
    CU_ASSERT(strcmp(sm_dataset_target(dataset, "depth")->unit, "m") == 0);
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    for (int i = 0; i < 4; i++) {
        char *name = sm_format("%d", numbers[i]);
        CU_ASSERT(strcmp(sm_dataset_name(dataset, i), name) == 0);
        SM_TEST_OK(sm_dataset_read(dataset, i, storage, &sample));
        check_nyuv2(&sample, numbers[i]);
        sm_free(name);
    }
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    dataset = opened(output, "val");
    storage = sm_sample_storage_new(dataset);
    SM_TEST_OK(sm_dataset_read(dataset, 0, storage, &sample));
    check_nyuv2(&sample, 5);
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(root);
    sm_free(output);
}

/* The issue of MTAN's repository: 32257 in the official map is 0.4922 here, invalid 0. */
static void inverse_depth_of_cityscapes_is_disparity(void)
{
    static const array_kind inverse = {"<f8", 0, 1, 3, inverse_at};
    char *root = sm_format("%s/cityscapes", sm_test_folder()), *output = sm_format("%s.h5", root);
    if (sm_comm_rank(test_comm) == 0) {
        put(root, "train", "image", 3, &float_image);
        put(root, "train", "label_7", 3, &labels[0]);
        put(root, "train", "depth", 3, &inverse);
    }
    sm_comm_barrier(test_comm);
    sm_import_options options = {.root = root, .output = output, .values = {"7"}};
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    sm_dataset *dataset = opened(output, "train");
    const sm_class_list *classes = sm_dataset_target(dataset, "semantic")->classes;
    CU_ASSERT(classes->count == 7 && strcmp(classes->names[0], "flat") == 0);
    CU_ASSERT(!sm_dataset_target(dataset, "depth") && !sm_dataset_target(dataset, "normal"));
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    SM_TEST_OK(sm_dataset_read(dataset, 0, storage, &sample));
    const float *disparity = sm_sample_find(&sample, "disparity")->data;
    for (int i = 0; i < H * W; i++) {
        double number = inverse_at(3, i / W, i % W, 0) * 65536;
        double expected = (number - 1) / 256 * W / 2048; /* official: (p - 1) / 256 px of 2048 */
        CU_ASSERT(number > 0 ? fabs(disparity[i] - expected) < 1e-7 : isnan(disparity[i]));
    }
    CU_ASSERT(fabs(32257.0 / 65536 - 0.4922) < 5e-5);
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    options.values[0] = "19";
    options.overwrite = 1;
    CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_USAGE);
    SM_TEST_MESSAGE("--classes '19': labels of so many classes that are there: 7");
    sm_free(root);
    sm_free(output);
}

/* ---- malformed files ----------------------------------------------------------------------------------------------- */

static double too_bright(int seed, int y, int x, int c)
{
    return y == 2 && x == 3 ? 255 : colour_at(seed, y, x, c);
}

static double unknown_label(int seed, int y, int x, int c)
{
    return y == 2 && x == 3 ? 13 : label_at(seed, y, x, c);
}

static double half_label(int seed, int y, int x, int c)
{
    return y == 2 && x == 3 ? 1.5 : label_at(seed, y, x, c);
}

static double negative_depth(int seed, int y, int x, int c)
{
    return y == 2 && x == 3 ? -1 : half_depth_at(seed, y, x, c);
}

static const array_kind bright = {"<f4", 0, 3, 3, too_bright}, grey = {"<f4", 0, 1, 3, colour_at},
                        whole_image = {"<i8", 0, 3, 3, byte_at}, unknown = {"|i1", 0, 1, 2, unknown_label},
                        broken = {"<f4", 0, 1, 2, half_label}, negative = {"<f4", 0, 1, 3, negative_depth},
                        flat_normal = {"<f4", 0, 1, 2, half_depth_at};

static const struct {
    const char *folder;
    const array_kind *kind; /* NULL: `bytes` */
    int width;
    const char *bytes;
    size_t count;
    const char *part;
} malformed[] = {
    {"image", &bright, W, NULL, 0, "image/10.npy: 255 in row 2, column 3: expected colours from 0 to 1"},
    {"image", &grey, W, NULL, 0, "image/10.npy: shape (6, 8, 1), expected (height, width, 3)"},
    {"image", &whole_image, W, NULL, 0, "image/10.npy: int64, expected floats from 0 to 1 or uint8"},
    {"image", &float_image, W - 1, NULL, 0, "image/10.npy: 6 x 7 pixels (height x width), the first image has 6 x 8"},
    {"label", &labels[0], W - 1, NULL, 0, "label/10.npy: 6 x 7 pixels (height x width), its image has 6 x 8"},
    {"label", &unknown, W, NULL, 0, "label/10.npy: label 13 in row 2, column 3: expected -1 (invalid) to 12"},
    {"label", &broken, W, NULL, 0, "label/10.npy"},
    {"depth", &negative, W, NULL, 0, "depth/10.npy: -1 in row 2, column 3: expected a depth in metres, 0 for invalid"},
    {"depth", &float_image, W, NULL, 0, "depth/10.npy: shape (6, 8, 3), expected (height, width, 1) or"},
    {"normal", &flat_normal, W, NULL, 0, "normal/10.npy: shape (6, 8), expected (height, width, 3)"},
    {"normal", NULL, 0, "", 0, "normal/10.npy"},
    {"depth", NULL, 0, "no array at all", 15, "depth/10.npy"},
    {"label", NULL, 0, "\x93NUMPY\1\0\xff\xff{'descr': '<f4', 'fortran_order': False, 'shape': (99999999, 99999999), }",
     78, "label/10.npy"},
    {"image", NULL, 0, "\x93NUMPY\1\0\x46\0{'descr': '|O', 'fortran_order': False, 'shape': (6, 8, 3), }           \n",
     80, "image/10.npy"},
};

static void malformed_files_are_named(void)
{
    char *root = write_nyuv2("malformed"), *output = sm_format("%s.h5", root);
    sm_import_options options = {.root = root, .output = output};
    for (size_t m = 0; m < sizeof malformed / sizeof *malformed; m++) {
        char *path = file_in(root, "train", malformed[m].folder, 10);
        void *good = NULL;
        size_t bytes = 0;
        sm_comm_barrier(test_comm);
        SM_TEST_OK(sm_file_read(path, &good, &bytes));
        sm_comm_barrier(test_comm);
        if (sm_comm_rank(test_comm) == 0) {
            if (malformed[m].kind) {
                write_npy(path, malformed[m].kind, 10, malformed[m].width);
            } else {
                SM_TEST_OK(sm_file_write_atomic(path, malformed[m].bytes, malformed[m].count));
            }
        }
        sm_comm_barrier(test_comm);
        CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(malformed[m].part);
        CU_ASSERT(!sm_file_exists(output));
        sm_comm_barrier(test_comm);
        if (sm_comm_rank(test_comm) == 0) {
            SM_TEST_OK(sm_file_write_atomic(path, good, bytes));
        }
        sm_comm_barrier(test_comm);
        sm_free(good);
        sm_free(path);
    }
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    sm_free(root);
    sm_free(output);
}

static void folders_are_looked_for_and_names_are_numbers(void)
{
    char *root = sm_format("%s/bare", sm_test_folder()), *output = sm_format("%s.h5", root);
    sm_import_options options = {.root = root, .output = output};
    sm_comm_barrier(test_comm);
    if (sm_comm_rank(test_comm) == 0) {
        SM_TEST_OK(sm_make_folders(root));
    }
    sm_comm_barrier(test_comm);
    CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("no images of MTAN; looked for {train,val}/image/<number>.npy");
    sm_comm_barrier(test_comm);
    char *odd = sm_format("%s/train/image/mean.npy", root);
    if (sm_comm_rank(test_comm) == 0) {
        put(root, "train", "image", 1, &byte_image); /* no other kind: an image alone is a dataset */
        SM_TEST_OK(sm_file_write_atomic(odd, "x", 1));
    }
    sm_comm_barrier(test_comm);
    CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("train/image/mean.npy: expected a number and '.npy' as name");
    sm_comm_barrier(test_comm);
    if (sm_comm_rank(test_comm) == 0) {
        SM_TEST_OK(sm_remove_tree(odd));
    }
    sm_comm_barrier(test_comm);
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    sm_dataset *dataset = opened(output, "train");
    CU_ASSERT(sm_dataset_count(dataset) == 1 && !sm_dataset_target(dataset, "semantic"));
    sm_dataset_close(dataset);
    sm_free(odd);
    sm_free(root);
    sm_free(output);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(types_and_orders_of_nyuv2_are_exact);
    SM_TEST(inverse_depth_of_cityscapes_is_disparity);
    SM_TEST(malformed_files_are_named);
    SM_TEST(folders_are_looked_for_and_names_are_numbers);
    return sm_test_end();
}
