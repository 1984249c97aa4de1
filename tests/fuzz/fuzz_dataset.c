/* Dataset files: listing splits, opening, fingerprint, reading samples. */
#include "fuzz.h"
#include "fuzz_h5.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/dataset_writer.h>

#include <math.h>
#include <string.h>

enum { HEIGHT = 16, WIDTH = 32, COUNT = 3, TARGETS = 5 };

void fuzz_write_dataset(const char *path)
{
    static const char *const names[COUNT] = {"a", "b", "c"}, *const class_names[2] = {"road", "car"};
    static const uint8_t thing[2] = {0, 1}, palette[2][3] = {{1, 2, 3}, {4, 5, 6}};
    static const float numbers[HEIGHT * WIDTH * 3];
    static const uint16_t ids[HEIGHT * WIDTH];
    static const uint8_t bytes[HEIGHT * WIDTH * 3];
    const sm_class_list classes = {.count = 2, .names = class_names, .palette = palette, .thing = thing};
    sm_target targets[TARGETS] = {*sm_standard_target("semantic"),
                                  *sm_standard_target("instance"),
                                  *sm_standard_target("disparity"),
                                  {.name = "age",
                                   .type = SM_TARGET_REAL,
                                   .scope = SM_SCOPE_SAMPLE,
                                   .components = 2,
                                   .unit = "years",
                                   .least = 0,
                                   .most = 200},
                                  {.name = "tags",
                                   .type = SM_TARGET_LABELS,
                                   .scope = SM_SCOPE_SAMPLE,
                                   .components = 2,
                                   .unit = "",
                                   .classes = &classes}};
    targets[0].classes = &classes;
    const sm_dataset_split_spec splits[] = {{"train", COUNT, names}, {"validation", 1, names}};
    sm_dataset_spec spec = {.source = "fuzz",
                            .height = HEIGHT,
                            .width = WIDTH,
                            .targets = targets,
                            .target_count = TARGETS,
                            .has_camera = 1,
                            .splits = splits,
                            .split_count = 2};
    sm_dataset_writer *writer = NULL;
    FUZZ_CHECK(sm_dataset_writer_create(path, &spec, &writer) == SM_OK);
    for (int split = 0; split < 2; split++) {
        for (int i = 0; i < splits[split].count; i++) {
            sm_sample sample = {.index = i,
                                .height = HEIGHT,
                                .width = WIDTH,
                                .input = bytes,
                                .baseline_metres = 0.2,
                                .fx_pixels = 100,
                                .original_height = HEIGHT,
                                .original_width = WIDTH};
            const void *const data[TARGETS] = {bytes, ids, numbers, numbers, bytes};
            for (int t = 0; t < TARGETS; t++) {
                sm_sample_add(&sample, targets + t, data[t]);
            }
            FUZZ_CHECK(sm_dataset_writer_put(writer, split, i, &sample) == SM_OK);
        }
    }
    FUZZ_CHECK(sm_dataset_writer_close(writer) == SM_OK);
    FUZZ_CHECK(sm_dataset_writer_publish(path) == SM_OK);
}

static void begin(void)
{
    static const char *const more[] = {"/train/depth",    "/train/normal",        "/train/new",
                                       "/train/new@type", "/train/new@scope",     "/validation/image_crc32c",
                                       "/train@mean",     "/train/semantic@unit", NULL};
    char *path = sm_format("%s/sound.h5", fuzz_folder());
    sm_dataset *dataset = NULL;
    fuzz_write_dataset(path);
    FUZZ_CHECK(sm_dataset_open((const char *const *)&path, 1, "train", &dataset) == SM_OK);
    sm_dataset_close(dataset);
    fuzz_h5_open(path, more);
    sm_free(path);
}

static void read_samples(sm_dataset *dataset)
{
    enum { MOST = 4 };
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    for (int64_t i = 0; i < sm_dataset_count(dataset) && i < MOST; i++) {
        sm_sample sample;
        fuzz_touch(sm_dataset_name(dataset, i), strlen(sm_dataset_name(dataset, i)));
        sample = sm_dataset_describe(dataset, i);
        if (sm_dataset_read(dataset, i, storage, &sample) != SM_OK) {
            continue;
        }
        fuzz_touch(sample.input,
                   (size_t)sample.height * (size_t)sample.width * (size_t)sm_dataset_input(dataset)->channels);
        for (int t = 0; t < sample.target_count; t++) {
            const sm_target *target = sample.target[t].target;
            fuzz_touch(sample.target[t].data,
                       sm_target_item_bytes(target) * sm_scope_items(target->scope, sample.height, sample.width));
        }
    }
    sm_sample_storage_free(storage);
}

static void read_dataset(const char *path, const uint8_t *input, size_t bytes)
{
    char **names = NULL;
    size_t count;
    sm_dataset *dataset = NULL;
    (void)input;
    (void)bytes;
    int64_t ids = fuzz_h5_ids();
    (void)sm_dataset_splits(path, &names, &count);
    sm_free(names);
    if (sm_dataset_open(&path, 1, "train", &dataset) == SM_OK) {
        (void)sm_dataset_find_fingerprint(dataset);
        read_samples(dataset);
    }
    sm_dataset_close(dataset);
    FUZZ_CHECK(fuzz_h5_ids() == ids);
}

const fuzz_target fuzz_dataset = {"dataset", begin, fuzz_h5_make, read_dataset, fuzz_h5_seeds, 8 << 20, 1100};
