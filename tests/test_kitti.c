/* ranks: 1 4 */
#include "harness.h"
#include "png_file.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/cityscapes.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/import.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { H = 8, W = 12, TRAINING = 5 };

enum { IMAGE, LABELS, INSTANCES, OCCLUDED, NOT_OCCLUDED, OBJECTS, MAPS };

static int red_at(int seed, int y, int x)
{
    return (seed * 40 + 3 * x + 2 * y) & 255;
}

static int label_at(int seed, int y, int x)
{
    return (x / 2 + y / 2 * (W / 2) + seed) % 34;
}

/* The label's id and, of things and others, a number within it. */
static int instance_at(int seed, int y, int x)
{
    static const int ids[] = {26 * 256 + 2, 26 * 256 + 1, 7 * 256, 24 * 256 + 1, 26 * 256, 11 * 256 + 3, 33 * 256 + 9};
    return ids[(x / 2 + y / 2 * (W / 2) + seed) % 7];
}

/* Of each block of 2 x 2: the first and the last, the third alone, or none. */
static int disparity_at(int seed, int y, int x)
{
    int which = (x / 2 + y / 2) % 3, place = y % 2 * 2 + x % 2;
    int is_valid = which == 0 ? place == 0 || place == 3 : which == 1 && place == 2;
    return is_valid ? 256 * (10 + seed) + 64 * x + 5 * y + 1 : 0;
}

static int clear_disparity_at(int seed, int y, int x)
{
    return x < W / 2 ? disparity_at(seed, y, x) : 0;
}

static int object_at(int seed, int y, int x)
{
    return (x / 3 + y / 4) % 3 * 3 + 0 * seed;
}

static const struct {
    const char *folder;
    int bits, channels;
    int (*value)(int seed, int y, int x);
} maps[MAPS] = {
    [IMAGE] = {"image_2", 8, 3, red_at},
    [LABELS] = {"semantic", 8, 1, label_at},
    [INSTANCES] = {"instance", 16, 1, instance_at},
    [OCCLUDED] = {"disp_occ_0", 16, 1, disparity_at},
    [NOT_OCCLUDED] = {"disp_noc_0", 16, 1, clear_disparity_at},
    [OBJECTS] = {"obj_map", 8, 1, object_at},
};

static char *file_in(const char *root, const char *part, const char *folder, const char *name)
{
    char *path = sm_format("%s/%s/%s", root, part, folder);
    SM_TEST_OK(sm_make_folders(path));
    char *file = sm_format("%s/%s", path, name);
    sm_free(path);
    return file;
}

static void write_map(const char *path, int map, int bits, int width, int seed)
{
    uint8_t bytes[H * W * 3];
    uint16_t words[H * W * 3];
    int channels = maps[map].channels;
    for (int i = 0; i < H * width * channels; i++) {
        words[i] = (uint16_t)maps[map].value(seed, i / channels / width, i / channels % width);
        bytes[i] = (uint8_t)words[i];
    }
    png_write(path, H, width, channels, bits, bits == 16 ? (const void *)words : bytes);
}

static void write_calibration(const char *root, const char *name, int seed)
{
    char *path = file_in(root, "training", "calib_cam_to_cam", name);
    double fx = 700 + seed;
    char *text = sm_format("calib_time: 09-Jan-2012 13:57:47\nS_rect_02: 1.2e+03 3.7e+02\n"
                           "P_rect_02: %.6e 0 600 %.6e 0 %.6e 180 0.2 0 0 1 0.003\n"
                           "P_rect_03: %.6e 0 600 %.6e 0 %.6e 180 2.3 0 0 1 0.003\n",
                           fx, 0.06 * fx, 1.1 * fx, fx, -0.48 * fx, 1.1 * fx);
    SM_TEST_OK(sm_file_write_atomic(path, text, strlen(text)));
    sm_free(text);
    sm_free(path);
}

/* `archives`: each kind below the folder of its archive. */
static char *write_tree(const char *name, int archives)
{
    char *root = sm_format("%s/%s", sm_test_folder(), name);
    char *flow = archives ? sm_format("%s/data_scene_flow", root) : sm_strdup(root);
    char *semantics = archives ? sm_format("%s/data_semantics", root) : sm_strdup(root);
    for (int i = 0; sm_comm_rank(test_comm) == 0 && i < TRAINING; i++) {
        char *frame = sm_format("%06d_10.png", i), *next = sm_format("%06d_11.png", i);
        char *scene = sm_format("%06d.txt", i);
        for (int m = 0; m < MAPS; m++) {
            char *path = file_in(m == LABELS || m == INSTANCES ? semantics : flow, "training", maps[m].folder, frame);
            write_map(path, m, maps[m].bits, W, i);
            sm_free(path);
        }
        char *second = file_in(flow, "training", "image_2", next), *test = file_in(flow, "testing", "image_2", frame);
        write_map(second, IMAGE, 8, W, 9);
        write_map(test, IMAGE, 8, W, i + 50);
        write_calibration(flow, scene, i);
        sm_free(second);
        sm_free(test);
        sm_free(frame);
        sm_free(next);
        sm_free(scene);
    }
    sm_comm_barrier(test_comm);
    sm_free(flow);
    sm_free(semantics);
    return root;
}

static const sm_importer *importer(void)
{
    const sm_importer *const *row = sm_importers;
    while (strcmp((*row)->name, "kitti") != 0) {
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

/* The official labels.py of Cityscapes, once more: train ids, and which have instances. */
static int train_id(int label)
{
    static const int table[34] = {255, 255, 255, 255, 255, 255, 255, 0,  1,  255, 255, 2,  3,   4,   255, 255, 255,
                                  5,   255, 6,   7,   8,   9,   10,  11, 12, 13,  14,  15, 255, 255, 16,  17,  18};
    return table[label];
}

/* In the order of the ids: car 0 and wall 3 are no instances of things. */
static int instance_number(int id)
{
    static const int order[] = {24 * 256 + 1, 26 * 256 + 1, 26 * 256 + 2, 33 * 256 + 9};
    for (int i = 0; i < 4; i++) {
        if (order[i] == id) {
            return i + 1;
        }
    }
    return 0;
}

static void check_exact(const sm_sample *sample, int seed, int is_clear)
{
    const uint8_t *semantic = sm_sample_find(sample, "semantic")->data;
    const uint16_t *instance = sm_sample_find(sample, "instance")->data;
    const uint16_t *object = sm_sample_find(sample, "moving_object")->data;
    const float *disparity = sm_sample_find(sample, "disparity")->data;
    for (int i = 0; i < H * W; i++) {
        int y = i / W, x = i % W, stored = (is_clear ? clear_disparity_at : disparity_at)(seed, y, x);
        CU_ASSERT(((const uint8_t *)sample->input)[3 * i + 2] == red_at(seed, y, x));
        CU_ASSERT(semantic[i] == train_id(label_at(seed, y, x)));
        CU_ASSERT(instance[i] == instance_number(instance_at(seed, y, x)));
        CU_ASSERT(object[i] == object_at(seed, y, x) / 3);
        CU_ASSERT(stored > 0 ? disparity[i] == (float)stored / 256 : isnan(disparity[i]));
    }
    CU_ASSERT(fabs(sample->fx_pixels - 700 - seed) < 1e-9 && fabs(sample->baseline_metres - 0.54) < 1e-6);
}

/* Training images 1 and 3 are two of five, evenly spread. */
static void check_splits(const char *output, int is_clear)
{
    static const int train[] = {0, 1, 3}, val[] = {2, 4};
    for (int s = 0; s < 2; s++) {
        sm_dataset *dataset = opened(output, s ? "val" : "train");
        sm_sample_storage *storage = sm_sample_storage_new(dataset);
        CU_ASSERT_FATAL(sm_dataset_count(dataset) == (s ? 2 : 3));
        for (int i = 0; i < (s ? 2 : 3); i++) {
            sm_sample sample;
            int seed = s ? val[i] : train[i];
            char *name = sm_format("%06d_10", seed);
            SM_TEST_OK(sm_dataset_read(dataset, i, storage, &sample));
            CU_ASSERT(strcmp(sm_dataset_name(dataset, i), name) == 0);
            check_exact(&sample, seed, is_clear);
            sm_free(name);
        }
        sm_sample_storage_free(storage);
        sm_dataset_close(dataset);
    }
}

static void official_layouts_are_exact(void)
{
    for (int archives = 0; archives < 2; archives++) {
        char *root = write_tree(archives ? "archives" : "joined", archives), *output = sm_format("%s.h5", root);
        sm_import_options options = {.root = root, .output = output, .flags = archives ? 1u : 0, .values = {[1] = "2"}};
        SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
        check_splits(output, archives);
        sm_dataset *dataset = opened(output, "test");
        sm_sample_storage *storage = sm_sample_storage_new(dataset);
        sm_sample sample;
        CU_ASSERT(sm_dataset_count(dataset) == TRAINING);
        SM_TEST_OK(sm_dataset_read(dataset, 2, storage, &sample));
        CU_ASSERT(*(const uint8_t *)sample.input == red_at(52, 0, 0) && isnan(sample.fx_pixels));
        CU_ASSERT(*(const uint8_t *)sm_sample_find(&sample, "semantic")->data == SM_CLASS_IGNORED);
        sm_sample_storage_free(storage);
        sm_dataset_close(dataset);
        sm_free(root);
        sm_free(output);
    }
}

/* Sparse values are taken, never averaged: of a block's valid pixels the nearest to its centre, here equally near. */
static void sparse_disparity_is_shrunk_by_the_nearest_valid(void)
{
    char *root = write_tree("sparse", 0), *output = sm_format("%s.h5", root);
    sm_import_options options = {.root = root, .output = output, .height = H / 2, .width = W / 2};
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    sm_dataset *dataset = opened(output, "train");
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    SM_TEST_OK(sm_dataset_read(dataset, 3, storage, &sample));
    const float *disparity = sm_sample_find(&sample, "disparity")->data;
    for (int i = 0; i < H * W / 4; i++) {
        int y = i / (W / 2), x = i % (W / 2), which = (x + y) % 3;
        float first = (float)disparity_at(3, 2 * y, 2 * x) / 256 / 2;
        float last = (float)disparity_at(3, 2 * y + 1, 2 * x + 1) / 256 / 2;
        float third = (float)disparity_at(3, 2 * y + 1, 2 * x) / 256 / 2;
        CU_ASSERT(which == 0   ? disparity[i] == first || disparity[i] == last
                  : which == 1 ? disparity[i] == third
                               : isnan(disparity[i]));
    }
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(root);
    sm_free(output);
}

/* ---- malformed files ----------------------------------------------------------------------------------------------- */

static void eight_bits(const char *path, int map)
{
    write_map(path, map, 8, W, 1);
}

static void sixteen_bits(const char *path, int map)
{
    write_map(path, map, 16, W, 1);
}

static void narrow(const char *path, int map)
{
    write_map(path, map, maps[map].bits, W - 1, 1);
}

static void colours(const char *path, int map)
{
    (void)map;
    write_map(path, IMAGE, 8, W, 1);
}

static void unknown_id(const char *path, int map)
{
    uint8_t bytes[H * W] = {[2 * W + 5] = 34};
    uint16_t words[H * W] = {[2 * W + 5] = 34 * 256 + 1};
    png_write(path, H, W, 1, maps[map].bits, maps[map].bits == 16 ? (const void *)words : bytes);
}

static void truncated(const char *path, int map)
{
    void *data = NULL;
    size_t bytes = 0;
    (void)map;
    SM_TEST_OK(sm_file_read(path, &data, &bytes));
    SM_TEST_OK(sm_file_write_atomic(path, data, bytes / 2));
    sm_free(data);
}

static void empty(const char *path, int map)
{
    (void)map;
    SM_TEST_OK(sm_file_write_atomic(path, "", 0));
}

static const struct {
    int map; /* MAPS: the calibration */
    void (*spoil)(const char *path, int map);
    const char *part;
} malformed[] = {
    {LABELS, sixteen_bits, "semantic/000001_10.png: 1 channel of 16 bits, expected 1 of 8"},
    {INSTANCES, eight_bits, "instance/000001_10.png: 1 channel of 8 bits, expected 1 of 16"},
    {OCCLUDED, eight_bits, "disp_occ_0/000001_10.png: 1 channel of 8 bits, expected 1 of 16"},
    {OBJECTS, sixteen_bits, "obj_map/000001_10.png: 1 channel of 16 bits, expected 1 of 8"},
    {LABELS, colours, "semantic/000001_10.png: 3 channels of 8 bits, expected 1 of 8"},
    {LABELS, narrow, "semantic/000001_10.png: 8 x 11 pixels (height x width), its image has 8 x 12"},
    {OCCLUDED, narrow, "disp_occ_0/000001_10.png: 8 x 11 pixels (height x width), its image has 8 x 12"},
    {IMAGE, narrow, "image_2/000001_10.png: 8 x 11 pixels (height x width), the first image has 8 x 12: --size"},
    {LABELS, unknown_id, "semantic/000001_10.png: label id 34 in row 2, column 5: expected 0 to 33"},
    {INSTANCES, unknown_id, "instance/000001_10.png: label id 34 in row 2, column 5: expected 0 to 33"},
    {IMAGE, truncated, "image_2/000001_10.png"},
    {OCCLUDED, truncated, "disp_occ_0/000001_10.png"},
    {INSTANCES, empty, "instance/000001_10.png"},
    {MAPS, truncated, "calib_cam_to_cam/000001.txt: expected a line 'P_rect_0"},
    {MAPS, empty, "calib_cam_to_cam/000001.txt: expected a line 'P_rect_02:' of 12 numbers, found none"},
};

static void malformed_files_are_named(void)
{
    char *root = write_tree("malformed", 0), *output = sm_format("%s.h5", root);
    sm_import_options options = {.root = root, .output = output};
    for (size_t m = 0; m < sizeof malformed / sizeof *malformed; m++) {
        int map = malformed[m].map;
        char *path = map == MAPS ? sm_format("%s/training/calib_cam_to_cam/000001.txt", root)
                                 : sm_format("%s/training/%s/000001_10.png", root, maps[map].folder);
        if (sm_comm_rank(test_comm) == 0) {
            malformed[m].spoil(path, map);
        }
        sm_comm_barrier(test_comm);
        CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(malformed[m].part);
        CU_ASSERT(!sm_file_exists(output));
        sm_comm_barrier(test_comm);
        if (sm_comm_rank(test_comm) == 0) {
            if (map == MAPS) {
                write_calibration(root, "000001.txt", 1);
            } else {
                write_map(path, map, maps[map].bits, W, 1);
            }
        }
        sm_comm_barrier(test_comm);
        sm_free(path);
    }
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    sm_free(root);
    sm_free(output);
}

static void missing_kinds_and_options_are_said(void)
{
    char *root = sm_format("%s/bare", sm_test_folder()), *output = sm_format("%s.h5", root);
    sm_import_options options = {.root = root, .output = output};
    if (sm_comm_rank(test_comm) == 0) {
        SM_TEST_OK(sm_make_folders(root));
    }
    sm_comm_barrier(test_comm);
    CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("no KITTI images; looked for {training,testing}/image_2/*_10.png");
    sm_comm_barrier(test_comm);
    if (sm_comm_rank(test_comm) == 0) {
        for (int i = 0; i < 2; i++) {
            char *name = sm_format("%06d_10.png", i), *path = file_in(root, "training", "image_2", name);
            write_map(path, IMAGE, 8, W, i);
            sm_free(path);
            sm_free(name);
        }
        char *path = file_in(root, "training", "semantic", "000001_10.png");
        uint8_t sky[H * W];
        memset(sky, 23, sizeof sky);
        png_write(path, H, W, 1, 8, sky); /* a map without a thing, and one map missing */
        sm_free(path);
        path = file_in(root, "training", "instance", "000001_10.png");
        uint16_t none[H * W] = {0};
        png_write(path, H, W, 1, 16, none);
        sm_free(path);
    }
    sm_comm_barrier(test_comm);
    static const char *const values[] = {"2", "-1", "many"};
    for (int v = 0; v < 3; v++) {
        options.values[1] = values[v];
        CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_USAGE);
        SM_TEST_MESSAGE("--validation");
    }
    options.values[1] = NULL;
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    sm_dataset *dataset = opened(output, "train");
    CU_ASSERT(sm_dataset_target(dataset, "semantic") && !sm_dataset_target(dataset, "disparity"));
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    for (int i = 0; i < 2; i++) {
        SM_TEST_OK(sm_dataset_read(dataset, i, storage, &sample));
        for (int p = 0; p < H * W; p++) {
            CU_ASSERT(((const uint8_t *)sm_sample_find(&sample, "semantic")->data)[p] == (i ? 10 : SM_CLASS_IGNORED));
            CU_ASSERT(((const uint16_t *)sm_sample_find(&sample, "instance")->data)[p] == 0);
        }
    }
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(root);
    sm_free(output);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(official_layouts_are_exact);
    SM_TEST(sparse_disparity_is_shrunk_by_the_nearest_valid);
    SM_TEST(malformed_files_are_named);
    SM_TEST(missing_kinds_and_options_are_said);
    return sm_test_end();
}
