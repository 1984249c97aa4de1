/* ranks: 1 3 */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/data/scenes_dataset.h>
#include <sigmatic/data/target_picture.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ONLY_DISPARITY = 1, ALL_TARGETS = 4 };

enum { H = 12, W = 20, TRAIN = 11, VAL = 2, CLASSES = 3 };

static const char *const class_names[CLASSES] = {"road", "sky", "car"};
static const uint8_t palette[CLASSES][3] = {{128, 64, 128}, {70, 130, 180}, {0, 0, 142}};
static const uint8_t thing[CLASSES] = {0, 0, 1};
static const char *const categories[CLASSES] = {"flat", "", "vehicle"};
static const double instance_pixels[CLASSES] = {0, 0, 12794.5};
static const sm_class_list classes = {.count = CLASSES,
                                      .names = class_names,
                                      .palette = palette,
                                      .thing = thing,
                                      .categories = categories,
                                      .instance_pixels = instance_pixels};

/* A sample whose every pixel is named by (split, index). */
typedef struct made_maps {
    uint8_t image[H * W * 3], semantic[H * W];
    uint16_t instance[H * W];
    float offset[H * W * 2], disparity[H * W];
    sm_target targets[ALL_TARGETS];
    int64_t fail_at; /* index in split 0 whose making fails; -1: none */
} made_maps;

/* The first `ONLY_DISPARITY` or all of them are written. */
static void describe_targets(sm_target targets[ALL_TARGETS])
{
    static const char *const names[ALL_TARGETS] = {"disparity", "semantic", "instance", "instance_offset"};
    for (int t = 0; t < ALL_TARGETS; t++) {
        targets[t] = *sm_standard_target(names[t]);
    }
    targets[1].classes = &classes;
}

static sm_sample make_sample(made_maps *made, int split, int64_t index)
{
    sm_random random = sm_random_new(17, (uint64_t)split, (uint32_t)index);
    for (int i = 0; i < H * W; i++) {
        for (int c = 0; c < 3; c++) {
            made->image[3 * i + c] = (uint8_t)sm_random_u32(&random);
        }
        uint32_t label = sm_random_below(&random, CLASSES + 1);
        made->semantic[i] = label == CLASSES ? 255 : (uint8_t)label;
        made->instance[i] = (uint16_t)sm_random_u32(&random);
        made->offset[2 * i] = sm_random_normal(&random);
        made->offset[2 * i + 1] = sm_random_normal(&random);
        made->disparity[i] = sm_random_below(&random, 4) ? sm_random_uniform(&random) : NAN;
    }
    sm_sample sample = {.index = index,
                        .height = H,
                        .width = W,
                        .input = made->image,
                        .baseline_metres = 0.25 + (double)index,
                        .fx_pixels = index == 3 ? (double)NAN : 100 + split,
                        .original_height = H * 2,
                        .original_width = W * 3};
    const void *const data[ALL_TARGETS] = {made->disparity, made->semantic, made->instance, made->offset};
    describe_targets(made->targets);
    for (int t = 0; t < ALL_TARGETS; t++) {
        sm_sample_add(&sample, &made->targets[t], data[t]);
    }
    return sample;
}

static sm_status produce(void *user, int split, int64_t index, sm_sample *sample)
{
    made_maps *made = user;
    if (split == 0 && index == made->fail_at) {
        return sm_fail(SM_ERR_INPUT, "frame %lld is unreadable", (long long)index);
    }
    *sample = make_sample(made, split, index);
    return SM_OK;
}

static const char *train_names[TRAIN] = {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "a10"};
static const char *val_names[VAL] = {"b0", "b1"};

static char *scratch(const char *name)
{
    return sm_format("%s/%s", sm_test_folder(), name);
}

static sm_status write_file(const char *path, int target_count, int64_t fail_at, int overwrite)
{
    const sm_dataset_split_spec splits[2] = {{"train", TRAIN, train_names}, {"val", VAL, val_names}};
    const double mean[3] = {0.1, 0.2, 0.3}, std[3] = {0.4, 0.5, 0.6};
    made_maps *made = sm_alloc(sizeof *made);
    made->fail_at = fail_at;
    describe_targets(made->targets);
    sm_dataset_spec spec = {.source = "test",
                            .height = H,
                            .width = W,
                            .targets = made->targets,
                            .target_count = target_count,
                            .has_camera = 1,
                            .mean = mean,
                            .std = std,
                            .splits = splits,
                            .split_count = 2};
    sm_status status = sm_dataset_write(test_comm, path, &spec, overwrite, produce, made);
    sm_free(made);
    return status;
}

/* \return the bytes of a target; NULL if the sample has none of that name. */
static const void *data_of(const sm_sample *sample, const char *target)
{
    const sm_target_view *view = sm_sample_find(sample, target);
    return view ? view->data : NULL;
}

static sm_status open_one(const char *path, const char *split, sm_dataset **dataset)
{
    return sm_dataset_open(&path, 1, split, dataset);
}

static void check_sample(const sm_sample *found, int split, int64_t index)
{
    made_maps *made = sm_alloc(sizeof *made);
    sm_sample expected = make_sample(made, split, index);
    CU_ASSERT(found->height == H && found->width == W);
    CU_ASSERT(memcmp(found->input, expected.input, sizeof made->image) == 0);
    CU_ASSERT(memcmp(data_of(found, "semantic"), made->semantic, sizeof made->semantic) == 0);
    CU_ASSERT(memcmp(data_of(found, "instance"), made->instance, sizeof made->instance) == 0);
    CU_ASSERT(memcmp(data_of(found, "instance_offset"), made->offset, sizeof made->offset) == 0);
    CU_ASSERT(memcmp(data_of(found, "disparity"), made->disparity, sizeof made->disparity) == 0);
    CU_ASSERT(found->baseline_metres == expected.baseline_metres);
    CU_ASSERT(index == 3 ? isnan(found->fx_pixels) : found->fx_pixels == expected.fx_pixels);
    CU_ASSERT(found->original_height == 2 * H && found->original_width == 3 * W);
    sm_free(made);
}

static void what_is_written_is_read(void)
{
    char *path = scratch("all.h5");
    SM_TEST_OK(write_file(path, ALL_TARGETS, -1, 0));
    CU_ASSERT(write_file(path, ALL_TARGETS, -1, 0) == SM_ERR_USAGE);
    SM_TEST_MESSAGE("exists");
    SM_TEST_OK(write_file(path, ALL_TARGETS, -1, 1));
    for (int split = 0; split < 2; split++) {
        sm_dataset *dataset;
        SM_TEST_OK(open_one(path, split ? "val" : "train", &dataset));
        CU_ASSERT(sm_dataset_count(dataset) == (split ? VAL : TRAIN));
        CU_ASSERT(sm_dataset_target(dataset, "semantic") && sm_dataset_target(dataset, "instance_offset"));
        CU_ASSERT(!sm_dataset_target(dataset, "depth") && sm_dataset_has_checksums(dataset));
        CU_ASSERT(sm_dataset_input(dataset)->mean[1] == 0.2 && sm_dataset_input(dataset)->std[2] == 0.6);
        const sm_class_list *info = sm_dataset_target(dataset, "semantic")->classes;
        CU_ASSERT(info->count == CLASSES && strcmp(info->names[2], "car") == 0);
        CU_ASSERT(memcmp(info->palette, palette, sizeof palette) == 0 && memcmp(info->thing, thing, CLASSES) == 0);
        CU_ASSERT(memcmp(info->instance_pixels, instance_pixels, sizeof instance_pixels) == 0);
        for (int c = 0; c < CLASSES; c++) {
            CU_ASSERT_STRING_EQUAL(info->categories[c], categories[c]);
        }
        CU_ASSERT(strcmp(sm_dataset_name(dataset, 1), split ? "b1" : "a1") == 0);
        sm_sample_storage *storage = sm_sample_storage_new(dataset);
        for (int64_t i = sm_dataset_count(dataset) - 1; i >= 0; i--) {
            sm_sample sample;
            SM_TEST_OK(sm_dataset_read(dataset, i, storage, &sample));
            check_sample(&sample, split, i);
        }
        sm_sample_storage_free(storage);
        sm_dataset_close(dataset);
    }
    sm_free(path);
}

static void a_failure_on_one_rank_leaves_no_file(void)
{
    char *path = scratch("failed.h5"), *partial = scratch("failed.h5.partial");
    CU_ASSERT(write_file(path, ALL_TARGETS, TRAIN - 1, 0) == SM_ERR_INPUT); /* of the last rank */
    SM_TEST_MESSAGE("frame 10 is unreadable");
    sm_comm_barrier(test_comm);
    CU_ASSERT(!sm_file_exists(path) && !sm_file_exists(partial));
    sm_free(path);
    sm_free(partial);
}

static void several_files_are_one_list(void)
{
    char *first = scratch("first.h5"), *second = scratch("second.h5");
    SM_TEST_OK(write_file(first, ALL_TARGETS, -1, 0));
    SM_TEST_OK(write_file(second, ONLY_DISPARITY, -1, 0));
    const char *paths[2] = {second, first};
    sm_dataset *dataset, *single;
    SM_TEST_OK(sm_dataset_open(paths, 2, "train", &dataset));
    CU_ASSERT(sm_dataset_count(dataset) == 2 * TRAIN && sm_dataset_target(dataset, "semantic"));
    CU_ASSERT(sm_dataset_target(dataset, "semantic")->classes->count == CLASSES);
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    SM_TEST_OK(sm_dataset_read(dataset, TRAIN - 1, storage, &sample));
    CU_ASSERT(sample.index == TRAIN - 1 && !data_of(&sample, "semantic") && !data_of(&sample, "instance") &&
              data_of(&sample, "disparity"));
    SM_TEST_OK(sm_dataset_read(dataset, TRAIN + 4, storage, &sample));
    CU_ASSERT(sample.index == TRAIN + 4);
    check_sample(&sample, 0, 4);
    CU_ASSERT(strcmp(sm_dataset_name(dataset, TRAIN + 4), "a4") == 0);
    SM_TEST_OK(open_one(first, "train", &single));
    SM_TEST_OK(sm_dataset_find_fingerprint(dataset));
    SM_TEST_OK(sm_dataset_find_fingerprint(single));
    CU_ASSERT(strcmp(sm_dataset_fingerprint(dataset), sm_dataset_fingerprint(single)) != 0);
    CU_ASSERT(strncmp(sm_dataset_fingerprint(single), "11x12x20 semantic,instance,instance_offset,disparity ", 53) ==
              0);
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_dataset_close(single);
    sm_free(first);
    sm_free(second);
}

/* Below, rank 0 alone writes and breaks files. */
static int is_root(void)
{
    return sm_comm_rank(test_comm) == 0;
}

static void a_missing_split_names_those_that_exist(void)
{
    char *path = scratch("all.h5"), **names;
    size_t count;
    sm_dataset *dataset;
    CU_ASSERT(open_one(path, "test", &dataset) == SM_ERR_INPUT && !dataset);
    SM_TEST_MESSAGE("no split 'test'");
    SM_TEST_MESSAGE("train, val");
    SM_TEST_OK(sm_dataset_splits(path, &names, &count));
    CU_ASSERT(count == 2 && strcmp(names[0], "train") == 0 && strcmp(names[1], "val") == 0);
    sm_free(names);
    CU_ASSERT(open_one("/nowhere/x.h5", "train", &dataset) == SM_ERR_IO);
    SM_TEST_MESSAGE("/nowhere/x.h5");
    sm_free(path);
}

/* Copies all.h5 with one byte changed where `needle` stands, or cut `cut` bytes before its end. */
static char *broken_copy(const char *name, const void *needle, size_t needle_bytes, size_t cut)
{
    char *path = scratch("all.h5"), *broken = scratch(name);
    void *data;
    size_t bytes, found = 0;
    SM_TEST_OK(sm_file_read(path, &data, &bytes));
    while (needle && found + needle_bytes <= bytes && memcmp((char *)data + found, needle, needle_bytes) != 0) {
        found++;
    }
    CU_ASSERT_FATAL(!needle || found + needle_bytes <= bytes);
    if (needle) {
        ((char *)data)[found + 5] ^= 16;
    }
    FILE *stream = fopen(broken, "wb");
    CU_ASSERT_FATAL(stream != NULL);
    CU_ASSERT(fwrite(data, 1, bytes - cut, stream) == bytes - cut && fclose(stream) == 0);
    sm_free(data);
    sm_free(path);
    return broken;
}

static void a_flipped_bit_is_found_and_named(void)
{
    if (!is_root()) {
        return;
    }
    made_maps *made = sm_alloc(sizeof *made);
    make_sample(made, 0, 6);
    char *path = broken_copy("flipped.h5", made->disparity, 64, 0);
    sm_dataset *dataset;
    SM_TEST_OK(open_one(path, "train", &dataset));
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    SM_TEST_OK(sm_dataset_read(dataset, 5, storage, &sample));
    CU_ASSERT(sm_dataset_read(dataset, 6, storage, &sample) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("flipped.h5: /train/disparity of sample 6 ('a6') is damaged");
    CU_ASSERT(sm_dataset_read(dataset, 6, storage, &sample) == SM_ERR_INPUT);
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(path);
    sm_free(made);
}

static void a_truncated_file_is_refused(void)
{
    if (!is_root()) {
        return;
    }
    char *path = broken_copy("cut.h5", NULL, 0, 3000);
    sm_dataset *dataset;
    CU_ASSERT(open_one(path, "train", &dataset) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("truncated");
    sm_free(path);
}

/* A file that loses its end while it is open: no signal, an error that names the sample. */
static void a_file_cut_while_open_is_an_error(void)
{
    if (!is_root()) {
        return;
    }
    char *path = broken_copy("shrinking.h5", NULL, 0, 0), *command = sm_format("truncate -s 30000 '%s'", path);
    sm_dataset *dataset;
    SM_TEST_OK(open_one(path, "train", &dataset));
    CU_ASSERT(system(command) == 0);
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    sm_status status = SM_OK;
    for (int64_t i = 0; i < TRAIN && status == SM_OK; i++) {
        status = sm_dataset_read(dataset, i, storage, &sample);
    }
    CU_ASSERT(status == SM_ERR_INPUT);
    SM_TEST_MESSAGE("shrinking.h5");
    SM_TEST_MESSAGE("of sample");
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(path);
    sm_free(command);
}

static const char python_program[] =
    "import h5py, numpy as np, sys\n"
    "N, H, W = 3, 5, 7\n"
    "i = np.arange(N * H * W).reshape(N, H, W)\n"
    "with h5py.File(sys.argv[1], 'w') as f:\n"
    "    f.attrs['format'] = 'sigmatic-dataset'\n"
    "    f.attrs['format_version'] = 1\n"
    "    f.attrs['mean'] = [0.5, 0.5, 0.5]\n"
    "    f.attrs['std'] = [0.25, 0.25, 0.25]\n"
    "    g = f.create_group('train')\n"
    "    g['image'] = np.stack([i % 256, (i + 1) % 256, (i + 2) % 256], 3).astype('u1')\n"
    "    g['name'] = ['x%d' % k for k in range(N)]\n"
    "    g['original_size'] = np.tile([H, W], (N, 1))\n"
    "    ids, reals, ignore, shift = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])\n"
    "    g['semantic'] = np.where(i % 4 == 3, ignore + shift, i % 4).astype(ids)\n"
    "    g['semantic'].attrs['class_names'] = ['a', 'b', 'c']\n"
    "    g['semantic'].attrs['ignore'] = ignore\n"
    "    g['disparity'] = np.where(i % 5 == 0, np.nan, i / 8).astype(reals)\n"
    "    g['warmth'] = np.zeros((N, H, W), 'f4')\n";

/* \return 0 if it ran. */
static int run_python(const char *output, const char *ids, const char *reals, int ignore, int shift)
{
    char *program = scratch("write.py");
    FILE *stream = fopen(program, "w");
    CU_ASSERT_FATAL(stream != NULL);
    fputs(python_program, stream);
    fclose(stream);
    char *command =
        sm_format("'%s' '%s' '%s' %s %s %d %d", sm_test_python(), program, output, ids, reals, ignore, shift);
    int code = system(command);
    sm_free(command);
    sm_free(program);
    return code;
}

static void check_python_file(const char *path)
{
    sm_dataset *dataset;
    sm_sample sample;
    SM_TEST_OK(open_one(path, "train", &dataset));
    CU_ASSERT_FATAL(dataset != NULL);
    CU_ASSERT(sm_dataset_count(dataset) == 3 && !sm_dataset_has_checksums(dataset));
    CU_ASSERT(sm_dataset_input(dataset)->mean[0] == 0.5 && strcmp(sm_dataset_name(dataset, 2), "x2") == 0);
    CU_ASSERT(!sm_dataset_target(dataset, "instance") && sm_dataset_target(dataset, "semantic")->classes->count == 3);
    for (int c = 0; c < 3; c++) { /* a file without palette */
        uint8_t rgb[3];
        sm_picture_number(c, rgb);
        CU_ASSERT(memcmp(sm_dataset_target(dataset, "semantic")->classes->palette[c], rgb, sizeof rgb) == 0);
    }
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    SM_TEST_OK(sm_dataset_read(dataset, 2, storage, &sample));
    CU_ASSERT(isnan(sample.baseline_metres) && sample.original_width == 7);
    const uint8_t *semantic = data_of(&sample, "semantic");
    const float *disparity = data_of(&sample, "disparity");
    for (int p = 0; p < 35; p++) {
        int i = 70 + p;
        CU_ASSERT(((const uint8_t *)sample.input)[3 * p + 1] == i + 1);
        CU_ASSERT(semantic[p] == (i % 4 == 3 ? 255 : i % 4)); /* what this file ignores */
        CU_ASSERT(i % 5 == 0 ? isnan(disparity[p]) : disparity[p] == (float)i / 8);
    }
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
}

/* Whatever h5py's user took for his numbers, nothing of them is lost. */
static void a_file_written_by_h5py_is_read(void)
{
    static const struct {
        const char *ids, *reals;
        int ignore;
    } types[] = {{"u1", "f4", 3}, {"i8", "f2", -1}, {"i2", "f8", -100}, {"u4", "f4", 70000}, {"i4", "f8", 255}};
    if (!is_root()) {
        return;
    }
    SM_TEST_NEEDS("h5py");
    char *path = scratch("python.h5");
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        CU_ASSERT_FATAL(run_python(path, types[k].ids, types[k].reals, types[k].ignore, 0) == 0);
        check_python_file(path);
    }
    sm_free(path);
}

static void a_category_of_each_class_is_expected(void)
{
    static const char *const attributes[] = {"category", "instance_pixels"}, *const values[] = {"['a', 'b']", "[1.5]"};
    if (!is_root()) {
        return;
    }
    SM_TEST_NEEDS("h5py");
    char *path = scratch("categories.h5");
    for (int k = 0; k < 2; k++) {
        sm_dataset *dataset = NULL;
        char *command = sm_format("'%s' -c \"import h5py; h5py.File('%s', 'a')['train/semantic'].attrs['%s'] = %s\"",
                                  sm_test_python(), path, attributes[k], values[k]);
        CU_ASSERT_FATAL(run_python(path, "u1", "f4", 3, 0) == 0 && system(command) == 0);
        CU_ASSERT(open_one(path, "train", &dataset) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(attributes[k]);
        SM_TEST_MESSAGE("expected 3, one a class");
        sm_dataset_close(dataset);
        sm_free(command);
    }
    sm_free(path);
}

/* Changed contents are another dataset; those who looked at descriptions alone are still believed. */
static void a_fingerprint_covers_contents(void)
{
    char found[2][160];
    if (!is_root()) {
        return;
    }
    SM_TEST_NEEDS("h5py");
    char *path = scratch("contents.h5");
    for (int k = 0; k < 2; k++) {
        sm_dataset *dataset;
        CU_ASSERT_FATAL(run_python(path, "u1", "f4", 3, k) == 0); /* 3 or 4 in some pixels */
        SM_TEST_OK(open_one(path, "train", &dataset));
        CU_ASSERT_STRING_EQUAL(sm_dataset_fingerprint(dataset), "");
        SM_TEST_OK(sm_dataset_find_fingerprint(dataset));
        snprintf(found[k], sizeof found[k], "%s", sm_dataset_fingerprint(dataset));
        CU_ASSERT(sm_dataset_is_same(dataset, found[k]));
        CU_ASSERT(k == 0 || !sm_dataset_is_same(dataset, found[0]));
        char *contents = strchr(found[k], '+');
        CU_ASSERT_FATAL(contents != NULL);
        *contents = 0;
        CU_ASSERT(sm_dataset_is_same(dataset, found[k]));
        *contents = '+';
        found[k][0]++;
        CU_ASSERT(!sm_dataset_is_same(dataset, found[k]));
        found[k][0]--;
        sm_dataset_close(dataset);
    }
    CU_ASSERT(strcmp(found[0], found[1]) != 0);
    sm_free(path);
}

static void foreign_ids_are_named(void)
{
    static const struct {
        const char *ids;
        int ignore, shift;
        const char *message;
    } cases[] = {{"u1", 3, 6, "holds class 9 at row 0, column 3; there are 3"},
                 {"i4", 3, 6, "holds class 9 at row 0, column 3; there are 3"},
                 {"i8", 3, 997, "holds class 1000 at row 0, column 3; ids from 0 to 255"},
                 {"i8", 3, -5, "holds class -2 at row 0, column 3; ids from 0 to 255"}};
    if (!is_root()) {
        return;
    }
    SM_TEST_NEEDS("h5py");
    char *path = scratch("foreign.h5");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        sm_dataset *dataset;
        sm_sample sample;
        CU_ASSERT_FATAL(run_python(path, cases[k].ids, "f4", cases[k].ignore, cases[k].shift) == 0);
        SM_TEST_OK(open_one(path, "train", &dataset));
        sm_sample_storage *storage = sm_sample_storage_new(dataset);
        CU_ASSERT(sm_dataset_read(dataset, 0, storage, &sample) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(cases[k].message);
        sm_sample_storage_free(storage);
        sm_dataset_close(dataset);
    }
    sm_free(path);
}

static void files_of_another_kind_are_refused(void)
{
    if (!is_root()) {
        return;
    }
    char *path = scratch("other.h5");
    sm_dataset *dataset;
    sm_h5 *file;
    SM_TEST_OK(sm_h5_create(path, SM_H5_LATEST, &file));
    SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-checkpoint"));
    SM_TEST_OK(sm_h5_close(file));
    CU_ASSERT(open_one(path, "train", &dataset) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("'sigmatic-checkpoint', expected 'sigmatic-dataset'");
    SM_TEST_OK(sm_h5_create(path, SM_H5_LATEST, &file));
    SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-dataset"));
    SM_TEST_OK(sm_h5_write_attribute_int64(file, "/", "format_version", 3));
    SM_TEST_OK(sm_h5_close(file));
    CU_ASSERT(open_one(path, "train", &dataset) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("'format_version' is 3, expected 1 to 2");
    sm_free(path);
}

/* Whatever the number of ranks, a file holds what the generator gives; a longer split begins with a shorter one. */
static void scenes_are_written_as_generated(void)
{
    enum { SH = 32, SW = 64 };
    char *path = scratch("scenes.h5"), *longer = scratch("longer.h5");
    sm_scenes_dataset_options options = {.output = path, .train = 5, .validation = 2, .clean_evaluation = 1};
    options.scene = sm_scene_options_default();
    options.scene.height = SH;
    options.scene.width = SW;
    options.scene.vector_noise = 1;
    options.scene.semantic_noise = 0.5;
    SM_TEST_OK(sm_scenes_dataset_write(test_comm, &options));
    options.output = longer;
    options.train = 7;
    SM_TEST_OK(sm_scenes_dataset_write(test_comm, &options));
    uint8_t image[SH * SW * 3], semantic[SH * SW];
    uint16_t instance[SH * SW];
    float disparity[SH * SW], noise[SH * SW * 2];
    sm_scene scene = {image, semantic, instance, disparity, noise, 0, 0, 0, 0, 0};
    for (int split = 0; split < 2; split++) {
        sm_dataset *dataset, *other;
        SM_TEST_OK(open_one(path, split ? "val" : "train", &dataset));
        SM_TEST_OK(open_one(longer, split ? "val" : "train", &other));
        CU_ASSERT_FATAL(dataset != NULL && other != NULL);
        sm_sample_storage *storage = sm_sample_storage_new(dataset);
        sm_sample sample;
        options.scene.semantic_noise = split ? 0 : 0.5;
        options.scene.vector_noise = split ? 0 : 1;
        for (int i = 0; i < sm_dataset_count(dataset); i++) {
            SM_TEST_OK(sm_scene_generate(&options.scene, ((uint64_t)split << 32) + (uint64_t)i, &scene));
            for (int file = 0; file < 2; file++) {
                SM_TEST_OK(sm_dataset_read(file ? other : dataset, i, storage, &sample));
                CU_ASSERT(memcmp(sample.input, image, sizeof image) == 0);
                CU_ASSERT(memcmp(data_of(&sample, "semantic"), semantic, sizeof semantic) == 0);
                CU_ASSERT(memcmp(data_of(&sample, "instance"), instance, sizeof instance) == 0);
                CU_ASSERT(memcmp(data_of(&sample, "instance_offset"), noise, sizeof noise) == 0);
                CU_ASSERT(memcmp(data_of(&sample, "disparity"), disparity, sizeof disparity) == 0);
                CU_ASSERT(sample.fx_pixels == scene.fx_pixels && sample.original_width == SW);
            }
        }
        CU_ASSERT(strcmp(sm_dataset_name(dataset, 1), split ? "val_000001" : "train_000001") == 0);
        sm_sample_storage_free(storage);
        sm_dataset_close(dataset);
        sm_dataset_close(other);
    }
    options.train = options.validation = 0;
    CU_ASSERT(sm_scenes_dataset_write(test_comm, &options) == SM_ERR_CONFIG);
    sm_free(path);
    sm_free(longer);
}

static void section_data_opens_files_and_sets_sizes(void)
{
    const sm_key *const tables[] = {sm_data_keys, sm_augmentation_keys, NULL};
    char *path = scratch("all.h5"), *other = scratch("second.h5");
    char *text = sm_format("[data]\ntrain = %s, %s\ncrop_height = 8\ncrop_width = 10\nscale_min = 0.5\n", path, other);
    sm_config *config;
    sm_dataset *train, *validation;
    sm_augmentation augmentation;
    config = sm_config_new(tables);
    SM_TEST_OK(sm_config_read_text(config, "test.ini", text));
    SM_TEST_OK(sm_data_open_train(config, &train));
    SM_TEST_OK(sm_data_open_validation(config, &validation));
    CU_ASSERT_FATAL(train != NULL && validation != NULL);
    CU_ASSERT(sm_dataset_count(train) == 2 * TRAIN && sm_dataset_count(validation) == 2 * VAL);
    SM_TEST_OK(sm_data_augmentation(config, train, &augmentation));
    CU_ASSERT(augmentation.height == H && augmentation.width == W);
    CU_ASSERT(augmentation.crop_height == 8 && augmentation.crop_width == 10);
    CU_ASSERT(augmentation.flip == 1 && augmentation.scale_min == 0.5 && augmentation.scale_max == 1);
    SM_TEST_OK(sm_config_set(config, "data.scale_max=0.25"));
    CU_ASSERT(sm_data_augmentation(config, train, &augmentation) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("scale_min <= scale_max");
    SM_TEST_OK(sm_config_set(config, "data.height=6"));
    CU_ASSERT(sm_data_augmentation(config, train, &augmentation) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("height and width must both be given");
    sm_dataset_close(validation);
    SM_TEST_OK(sm_config_set(config, "data.validation_split="));
    SM_TEST_OK(sm_data_open_validation(config, &validation));
    CU_ASSERT(validation == NULL);
    sm_dataset_close(train);
    sm_config_free(config);
    sm_free(path);
    sm_free(other);
    sm_free(text);
}

/* Of sRGB, by the formulas of IEC 61966-2-1 and CIE 15 with white D65. */
static void lab_of(const uint8_t rgb[3], double lab[3])
{
    static const double to_xyz[3][3] = {
        {0.4124564, 0.3575761, 0.1804375}, {0.2126729, 0.7151522, 0.0721750}, {0.0193339, 0.1191920, 0.9503041}};
    static const double white[3] = {0.95047, 1, 1.08883};
    double f[3];
    for (int i = 0; i < 3; i++) {
        double sum = 0;
        for (int k = 0; k < 3; k++) {
            double c = rgb[k] / 255.0;
            sum += to_xyz[i][k] / white[i] * (c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4));
        }
        f[i] = sum > 216.0 / 24389 ? pow(sum, 1.0 / 3) : (24389.0 / 27 * sum + 16) / 116;
    }
    lab[0] = 116 * f[1] - 16;
    lab[1] = 500 * (f[0] - f[1]);
    lab[2] = 200 * (f[1] - f[2]);
}

static void colours_of_classes_are_told_apart(void)
{
    enum { COLOURS = 70 };
    static const struct {
        int count;
        double least;
    } rows[] = {{20, 25}, {32, 22}, {COLOURS, 9}};
    static const uint8_t black[3];
    double lab[COLOURS + 1][3];
    lab_of(black, lab[COLOURS]);
    for (int i = 0; i < COLOURS; i++) {
        uint8_t rgb[3];
        sm_picture_number(i, rgb);
        lab_of(rgb, lab[i]);
    }
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        for (int i = 0; i < rows[r].count; i++) {
            for (int j = 0; j <= i; j++) {
                const double *a = lab[i], *b = j < i ? lab[j] : lab[COLOURS];
                CU_ASSERT(hypot(hypot(a[0] - b[0], a[1] - b[1]), a[2] - b[2]) > rows[r].least);
            }
        }
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(what_is_written_is_read);
    SM_TEST(a_failure_on_one_rank_leaves_no_file);
    SM_TEST(several_files_are_one_list);
    SM_TEST(a_missing_split_names_those_that_exist);
    SM_TEST(section_data_opens_files_and_sets_sizes);
    SM_TEST(colours_of_classes_are_told_apart);
    SM_TEST(a_flipped_bit_is_found_and_named);
    SM_TEST(a_truncated_file_is_refused);
    SM_TEST(a_file_cut_while_open_is_an_error);
    SM_TEST(a_file_written_by_h5py_is_read);
    SM_TEST(foreign_ids_are_named);
    SM_TEST(a_category_of_each_class_is_expected);
    SM_TEST(a_fingerprint_covers_contents);
    SM_TEST(files_of_another_kind_are_refused);
    SM_TEST(scenes_are_written_as_generated);
    return sm_test_end();
}
