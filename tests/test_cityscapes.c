/* ranks: 1 3 */
#include "harness.h"
#include "png_file.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/cityscapes.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/import.h>
#include <sigmatic/data/scenes.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/json.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { H = 16, W = 32 };

/* Frame `seed`: what each kind of file holds at pixel (y, x). */
static int red_at(int seed, int y, int x)
{
    return (seed * 40 + 3 * x + 2 * y) & 255; /* a plane for small seeds: its average over blocks has a closed form */
}

static int label_at(int seed, int y, int x)
{
    return (x / 2 + y / 2 * (W / 2) + seed) %
           35; /* blocks of 2 x 2, all label ids 0 .. 33 and 34, which does not exist */
}

static int instance_at(int seed, int y, int x)
{
    static const int ids[] = {7, 26, 26007, 24001, 26003, 33000, 29001, 21001};
    return ids[(x / 4 + y / 4 + seed) % 8]; /* 26: a car group; 29: caravan, not scored; 21: vegetation, no thing */
}

static int disparity_at(int seed, int y, int x)
{
    if (y / 2 % 3 == 0 && x / 2 % 5 == 0) {
        return (x + y) % 2 ? 0 : 1 + 256 * 10; /* half of the block invalid */
    }
    if (y / 2 % 3 == 1 && x / 2 % 5 == 1) {
        return x % 2 == 0 || y % 2 == 0 ? 0 : 1 + 256; /* three of four invalid */
    }
    return 1 + 256 * (2 * (y / 2) + seed) + 512 * (x / 2) + 8 * (x % 2); /* flat to a 32th of a pixel in a block */
}

static void write_map(const char *path, int bits, int seed, int (*value)(int, int, int), int channels)
{
    uint8_t bytes[H * W * 3];
    uint16_t words[H * W * 3];
    for (int i = 0; i < H * W * channels; i++) {
        words[i] = (uint16_t)value(seed, i / channels / W, i / channels % W);
        bytes[i] = (uint8_t)words[i];
    }
    png_write(path, H, W, channels, bits, bits == 16 ? (const void *)words : bytes);
}

enum { HAS_LABELS = 1, HAS_INSTANCES = 2, HAS_DISPARITY = 4, HAS_CAMERA = 8, HAS_ALL = 15 };

static char *place(const char *root, int flat, const char *folder, const char *split, const char *name,
                   const char *suffix)
{
    char city[32] = "";
    memcpy(city, name, strcspn(name, "_"));
    char *path = flat ? sm_format("%s/%s/%s", root, split, city) : sm_format("%s/%s/%s/%s", root, folder, split, city);
    SM_TEST_OK(sm_make_folders(path));
    char *file = sm_format("%s/%s%s", path, name, suffix);
    sm_free(path);
    return file;
}

static void write_frame(const char *root, int flat, const char *split, const char *name, int seed, int kinds)
{
    char *path = place(root, flat, "leftImg8bit", split, name, "_leftImg8bit.png");
    write_map(path, 8, seed, red_at, 3);
    sm_free(path);
    if (kinds & HAS_LABELS) {
        path = place(root, flat, "gtFine", split, name, "_gtFine_labelIds.png");
        write_map(path, 8, seed, label_at, 1);
        sm_free(path);
    }
    if (kinds & HAS_INSTANCES) {
        path = place(root, flat, "gtFine", split, name, "_gtFine_instanceIds.png");
        write_map(path, 16, seed, instance_at, 1);
        sm_free(path);
    }
    if (kinds & HAS_DISPARITY) {
        path = place(root, flat, "disparity", split, name, "_disparity.png");
        write_map(path, 16, seed, disparity_at, 1);
        sm_free(path);
    }
    if (kinds & HAS_CAMERA) {
        path = place(root, flat, "camera", split, name, "_camera.json");
        sm_json *camera = sm_json_new();
        sm_json_set_real(sm_json_set_object(camera, "extrinsic"), "baseline", 0.2 + seed);
        sm_json_set_real(sm_json_set_object(camera, "intrinsic"), "fx", 2000 + seed);
        SM_TEST_OK(sm_json_write(camera, path));
        sm_json_free(camera);
        sm_free(path);
    }
}

static const char *train_names[] = {"aachen_000000_000019", "aachen_000001_000019", "aachen_000002_000019",
                                    "bochum_000000_000313", "bochum_000000_000600"};
enum { TRAIN = 5 };

static sm_status import_cityscapes(const sm_import_options *options)
{
    CU_ASSERT_FATAL(strcmp(sm_importers[0]->name, "cityscapes") == 0);
    CU_ASSERT(strcmp(sm_importers[0]->flags[0].name, "no-sky") == 0);
    return sm_import_dataset(test_comm, sm_importers[0], options);
}

/* Writes a tree once (rank 0) and imports it (all). Frames 0 .. 4 in train, 5 in val. */
static sm_status import_tree(const char *name, int flat, int bare_frame, int kinds_of_bare, int height, int width,
                             int sky_is_far, char **output)
{
    char *root = sm_format("%s/%s", sm_test_folder(), name);
    if (sm_comm_rank(test_comm) == 0) {
        for (int i = 0; i < TRAIN; i++) {
            write_frame(root, flat, "train", train_names[i], i, i == bare_frame ? kinds_of_bare : HAS_ALL);
        }
        write_frame(root, flat, "val", "lindau_000003_000019", TRAIN, HAS_ALL);
    }
    sm_comm_barrier(test_comm);
    *output = sm_format("%s/%s.h5", sm_test_folder(), name);
    sm_import_options options = {
        .root = root, .output = *output, .height = height, .width = width, .flags = sky_is_far ? 0 : 1u << 0};
    sm_status status = import_cityscapes(&options);
    sm_free(root);
    return status;
}

static sm_dataset *opened(const char *path, const char *split)
{
    sm_dataset *dataset = NULL;
    SM_TEST_OK(sm_dataset_open(&path, 1, split, &dataset));
    CU_ASSERT_FATAL(dataset != NULL);
    return dataset;
}

/* The rule of the format: things of the 8 classes with an instance number. */
static int is_instance(int id)
{
    return id == 26007 || id == 24001 || id == 26003 || id == 33000;
}

/* New numbers are in the order of the ids that occur. */
static int instance_number(int id)
{
    static const int order[] = {24001, 26003, 26007, 33000};
    for (int i = 0; i < 4; i++) {
        if (order[i] == id) {
            return i + 1;
        }
    }
    return 0;
}

/* The official table, written once more: label id -> train id. */
static int train_id(int label)
{
    static const int table[34] = {255, 255, 255, 255, 255, 255, 255, 0,  1,  255, 255, 2,  3,   4,   255, 255, 255,
                                  5,   255, 6,   7,   8,   9,   10,  11, 12, 13,  14,  15, 255, 255, 16,  17,  18};
    return label < 34 ? table[label] : 255;
}

static void check_frame(const sm_sample *sample, int seed, int factor, int sky_is_far)
{
    const uint8_t *semantic = sm_sample_find(sample, "semantic")->data;
    const uint16_t *instance = sm_sample_find(sample, "instance")->data;
    const float *disparity = sm_sample_find(sample, "disparity")->data;
    for (int i = 0; i < sample->height * sample->width; i++) {
        int x = i % sample->width, y = i / sample->width;
        int nearest_x = x * factor + factor / 2, nearest_y = y * factor + factor / 2;
        int label = train_id(label_at(seed, nearest_y, nearest_x)), id = instance_at(seed, nearest_y, nearest_x);
        CU_ASSERT(semantic[i] == label);
        CU_ASSERT(instance[i] == (is_instance(id) ? instance_number(id) : 0));
        int p = disparity_at(seed, y * factor, x * factor), block_y = y * factor / 2, block_x = x * factor / 2;
        double expected = (p - 1) / 256.0 + (factor == 2 ? 4 / 256.0 : 0);
        if (factor == 2 && block_y % 3 == 0 && block_x % 5 == 0) {
            expected = 10; /* half of it valid is enough */
        } else if (factor == 2 && block_y % 3 == 1 && block_x % 5 == 1) {
            expected = NAN;
        } else if (p == 0) {
            expected = NAN;
        }
        if (sky_is_far && label == 10) {
            expected = 0;
        }
        CU_ASSERT(isnan(expected) ? isnan(disparity[i]) : disparity[i] == (float)(expected / factor));
    }
    CU_ASSERT(fabs(sample->baseline_metres - 0.2 - seed) < 1e-12 && sample->fx_pixels == 2000 + seed);
    CU_ASSERT(sample->original_height == H && sample->original_width == W);
}

static void official_layout_at_full_size_is_exact(void)
{
    char *output;
    SM_TEST_OK(import_tree("official", 0, -1, 0, 0, 0, 0, &output));
    sm_dataset *dataset = opened(output, "train");
    CU_ASSERT(sm_dataset_count(dataset) == TRAIN);
    const sm_class_list *classes = sm_dataset_target(dataset, "semantic")->classes;
    CU_ASSERT(classes->count == 19 && strcmp(classes->names[6], "traffic light") == 0 && classes->thing[11]);
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    for (int i = 0; i < TRAIN; i++) {
        CU_ASSERT(strcmp(sm_dataset_name(dataset, i), train_names[i]) == 0);
        SM_TEST_OK(sm_dataset_read(dataset, i, storage, &sample));
        CU_ASSERT(sample.height == H && sample.width == W);
        check_frame(&sample, i, 1, 0);
        for (int p = 0; p < H * W; p++) {
            CU_ASSERT(((const uint8_t *)sample.input)[3 * p + 1] == red_at(i, p / W, p % W));
        }
    }
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    char **splits;
    size_t count;
    SM_TEST_OK(sm_dataset_splits(output, &splits, &count));
    CU_ASSERT(count == 2); /* there is no test */
    sm_free(splits);
    sm_free(output);
}

static void flat_layout_shrinks_each_kind_in_its_way(void)
{
    char *output;
    SM_TEST_OK(import_tree("flat", 1, -1, 0, H / 2, W / 2, 1, &output));
    sm_dataset *dataset = opened(output, "train");
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    for (int i = 0; i < TRAIN; i++) {
        SM_TEST_OK(sm_dataset_read(dataset, i, storage, &sample));
        CU_ASSERT(sample.height == H / 2 && sample.width == W / 2);
        check_frame(&sample, i, 2, 1);
        for (int p = 0; i < 2 && p < H / 2 * W / 2; p++) { /* seeds without wrap-around: the average of a plane */
            int x = p % (W / 2), y = p / (W / 2);
            double expected = i * 40 + 3 * (2 * x + 0.5) + 2 * (2 * y + 0.5);
            if (x > 0 && x < W / 2 - 1 && y > 0 && y < H / 2 - 1) {
                CU_ASSERT(fabs(((const uint8_t *)sample.input)[3 * p] - expected) <=
                          0.5 + 1e-3); /* rounding to 8 bits */
            }
        }
    }
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    dataset = opened(output, "val");
    CU_ASSERT(sm_dataset_count(dataset) == 1 && strcmp(sm_dataset_name(dataset, 0), "lindau_000003_000019") == 0);
    sm_dataset_close(dataset);
    sm_free(output);
}

static void a_frame_without_labels_is_all_invalid(void)
{
    char *output;
    SM_TEST_OK(import_tree("missing", 0, 3, HAS_DISPARITY, H, W, 1, &output));
    sm_dataset *dataset = opened(output, "train");
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    SM_TEST_OK(sm_dataset_read(dataset, 3, storage, &sample));
    const uint8_t *semantic = sm_sample_find(&sample, "semantic")->data;
    const uint16_t *instance = sm_sample_find(&sample, "instance")->data;
    const float *disparity = sm_sample_find(&sample, "disparity")->data;
    for (int i = 0; i < H * W; i++) {
        CU_ASSERT(semantic[i] == 255 && instance[i] == 0);
    }
    CU_ASSERT(disparity[W] == (float)(disparity_at(3, 1, 0) - 1) / 256 || isnan(disparity[W]));
    CU_ASSERT(isnan(sample.baseline_metres) && isnan(sample.fx_pixels));
    SM_TEST_OK(sm_dataset_read(dataset, 4, storage, &sample));
    check_frame(&sample, 4, 1, 1);
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(output);
}

/* What file managers and notebooks leave behind is no frame and no city. */
static void hidden_files_and_folders_are_skipped(void)
{
    char *root = sm_format("%s/hidden", sm_test_folder()), *output;
    if (sm_comm_rank(test_comm) == 0) {
        char *folder = sm_format("%s/leftImg8bit/train/aachen", root);
        char *beside = sm_format("%s/._aachen_000000_000019_leftImg8bit.png", folder);
        write_frame(root, 0, "train", ".ipynb_checkpoints", 0, HAS_ALL);
        SM_TEST_OK(sm_make_folders(folder));
        SM_TEST_OK(sm_file_write_atomic(beside, "no image", 8));
        sm_free(beside);
        sm_free(folder);
    }
    SM_TEST_OK(import_tree("hidden", 0, -1, 0, H, W, 1, &output));
    sm_dataset *dataset = opened(output, "train");
    CU_ASSERT(sm_dataset_count(dataset) == TRAIN);
    CU_ASSERT(strcmp(sm_dataset_name(dataset, 0), train_names[0]) == 0);
    sm_dataset_close(dataset);
    sm_free(root);
    sm_free(output);
}

/* An 8-bit disparity of 99 would be 0.38 px, instance ids below 256 no instance. */
static void a_map_of_other_depth_is_refused_by_name(void)
{
    static const struct {
        const char *folder, *suffix, *part;
        int bits;
    } maps[] = {
        {"gtFine", "_gtFine_labelIds.png", "_gtFine_labelIds.png: 1 channel of 16 bits, expected 1 of 8", 16},
        {"gtFine", "_gtFine_instanceIds.png", "_gtFine_instanceIds.png: 1 channel of 8 bits, expected 1 of 16", 8},
        {"disparity", "_disparity.png", "aachen_000000_000019_disparity.png: 1 channel of 8 bits, expected 1 of 16", 8},
    };
    char *root = sm_format("%s/depth", sm_test_folder()), *output = sm_format("%s/depth.h5", sm_test_folder());
    sm_import_options options = {.root = root, .output = output, .overwrite = 1};
    for (size_t m = 0; m < sizeof maps / sizeof *maps; m++) {
        if (sm_comm_rank(test_comm) == 0) {
            write_frame(root, 0, "train", train_names[0], 0, HAS_ALL);
            char *path = place(root, 0, maps[m].folder, "train", train_names[0], maps[m].suffix);
            write_map(path, maps[m].bits, 0, label_at, 1);
            sm_free(path);
        }
        sm_comm_barrier(test_comm);
        CU_ASSERT(import_cityscapes(&options) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(maps[m].part);
        sm_comm_barrier(test_comm);
    }
    sm_free(root);
    sm_free(output);
}

static void bad_files_are_named(void)
{
    char *root = sm_format("%s/official", sm_test_folder()), *output = sm_format("%s/bad.h5", sm_test_folder());
    char *image = place(root, 0, "leftImg8bit", "train", train_names[4], "_leftImg8bit.png");
    char *labels = place(root, 0, "gtFine", "train", train_names[1], "_gtFine_labelIds.png");
    sm_import_options options = {.root = root, .output = output};
    if (sm_comm_rank(test_comm) == 0) {
        static const uint8_t small[H * W / 2];
        png_write(labels, H, W / 2, 1, 8, small);
    }
    sm_comm_barrier(test_comm);
    CU_ASSERT(import_cityscapes(&options) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("aachen_000001_000019_gtFine_labelIds.png: 16 x 16 pixels (height x width), its image has 16 x 32");
    sm_comm_barrier(test_comm);
    if (sm_comm_rank(test_comm) == 0) {
        write_map(labels, 8, 1, label_at, 1);
        SM_TEST_OK(sm_file_write_atomic(image, "no image", 8));
    }
    sm_comm_barrier(test_comm);
    CU_ASSERT(import_cityscapes(&options) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("bochum_000000_000600_leftImg8bit.png");
    sm_comm_barrier(test_comm);
    CU_ASSERT(!sm_file_exists(output));
    sm_free(root);
    sm_free(output);
    sm_free(image);
    sm_free(labels);
}

static void nothing_found_says_what_was_looked_for(void)
{
    char *root = sm_format("%s/empty", sm_test_folder()), *output = sm_format("%s/empty.h5", sm_test_folder());
    sm_import_options options = {.root = root, .output = output};
    CU_ASSERT(import_cityscapes(&options) == SM_ERR_IO);
    SM_TEST_MESSAGE("no such folder");
    sm_comm_barrier(test_comm);
    SM_TEST_OK(sm_make_folders(root));
    sm_comm_barrier(test_comm);
    CU_ASSERT(import_cityscapes(&options) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("leftImg8bit/{train,val,test}/<city>/*_leftImg8bit.png");
    sm_free(root);
    sm_free(output);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(official_layout_at_full_size_is_exact);
    SM_TEST(flat_layout_shrinks_each_kind_in_its_way);
    SM_TEST(a_frame_without_labels_is_all_invalid);
    SM_TEST(hidden_files_and_folders_are_skipped);
    SM_TEST(a_map_of_other_depth_is_refused_by_name);
    SM_TEST(bad_files_are_named);
    SM_TEST(nothing_found_says_what_was_looked_for);
    return sm_test_end();
}
