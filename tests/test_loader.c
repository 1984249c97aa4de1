/* ranks: 1 */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/data/loader.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/io/h5.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { H = 24, W = 32, COUNT = 23 };

/* Sample n: red = n, disparity a plane (its closed form survives flip, scale and crop), instance n + 1 in a rectangle. */
static sm_status produce(void *user, int split, int64_t index, sm_sample *sample)
{
    static uint8_t image[H * W * 3];
    static uint16_t instance[H * W];
    static float disparity[H * W];
    (void)user;
    (void)split;
    for (int i = 0; i < H * W; i++) {
        int y = i / W, x = i % W;
        image[3 * i] = (uint8_t)(10 * index);
        image[3 * i + 1] = (uint8_t)(7 * x);
        image[3 * i + 2] = (uint8_t)(10 * y);
        instance[i] = x >= 5 && x < 16 && y >= 4 && y < 14 ? (uint16_t)(index + 1) : 0;
        disparity[i] = x == 0 ? NAN : (float)(x + 100 * y);
    }
    *sample = (sm_sample){.input = image,
                          .baseline_metres = 0.5,
                          .fx_pixels = index == 2 ? NAN : 80,
                          .original_height = 2 * H,
                          .original_width = 2 * W};
    sm_sample_add(sample, sm_standard_target("instance"), instance);
    sm_sample_add(sample, sm_standard_target("disparity"), disparity);
    return SM_OK;
}

static char *dataset_path(void)
{
    return sm_format("%s/data.h5", sm_test_folder());
}

static void make_file(void)
{
    char text[COUNT][8];
    const char *names[COUNT];
    for (int i = 0; i < COUNT; i++) {
        snprintf(text[i], sizeof text[i], "s%d", i);
        names[i] = text[i];
    }
    sm_dataset_split_spec split = {"train", COUNT, names};
    const sm_target targets[] = {*sm_standard_target("instance"), *sm_standard_target("disparity")};
    sm_dataset_spec spec = {.source = "test",
                            .height = H,
                            .width = W,
                            .targets = targets,
                            .target_count = 2,
                            .has_camera = 1,
                            .splits = &split,
                            .split_count = 1};
    char *path = dataset_path();
    SM_TEST_OK(sm_dataset_write(test_comm, path, &spec, 0, produce, NULL));
    sm_free(path);
}

/* Stored disparity at the nearest pixel, in output pixels. */
static int64_t build_disparity(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *target)
{
    const float *disparity = sm_sample_find(sample, "disparity")->data;
    float *out = target;
    int64_t valid = 0;
    (void)user;
    for (int i = 0; i < geometry->out_height * geometry->out_width; i++) {
        int64_t from = sm_geometry_nearest(geometry, sample->height, sample->width, i % geometry->out_width,
                                           i / geometry->out_width);
        out[i] = from < 0 ? NAN : disparity[from] * (float)geometry->scale_x;
        valid += !isnan(out[i]);
    }
    return valid;
}

/* Which sample: a byte a pixel. */
static int64_t build_index(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *target)
{
    memset(target, (int)sample->index, (size_t)geometry->out_height * (size_t)geometry->out_width);
    return *(const int64_t *)user + sample->index;
}

/* x and y distance to the rectangle's centre in output pixels. */
static int64_t build_vectors(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *target)
{
    const uint16_t *instance = sm_sample_find(sample, "instance")->data;
    float *out = target;
    int64_t valid = 0;
    (void)user;
    double centre_x, centre_y;
    sm_geometry_output(geometry, sample->width, 10, 8.5, &centre_x, &centre_y);
    for (int i = 0; i < geometry->out_height * geometry->out_width; i++) {
        int x = i % geometry->out_width, y = i / geometry->out_width;
        int64_t from = sm_geometry_nearest(geometry, sample->height, sample->width, x, y);
        int inside = from >= 0 && instance[from] > 0;
        out[2 * i] = inside ? (float)(centre_x - x) : NAN;
        out[2 * i + 1] = inside ? (float)(centre_y - y) : NAN;
        valid += inside;
    }
    return valid;
}

static const int64_t thousand = 1000;
static const sm_target_builder builders[3] = {{build_disparity, NULL, SM_SCOPE_PIXEL, 4, NULL},
                                              {build_index, &thousand, SM_SCOPE_PIXEL, 1, NULL},
                                              {build_vectors, NULL, SM_SCOPE_PIXEL, 8, NULL}};

static sm_dataset *open_dataset(void)
{
    char *path = dataset_path();
    const char *paths[1] = {path};
    sm_dataset *dataset = NULL;
    SM_TEST_OK(sm_dataset_open(paths, 1, "train", &dataset));
    sm_free(path);
    return dataset;
}

static sm_loader_options options_for(sm_dataset *dataset)
{
    static const double zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};
    return (sm_loader_options){.dataset = dataset,
                               .builders = builders,
                               .task_count = 3,
                               .batch = 5,
                               .size = 1,
                               .seed = 4,
                               .epochs = 1,
                               .input = {sm_dataset_input(dataset)->kind, H, W, 3, zero, one}};
}

static void every_sample_once_an_epoch_over_any_ranks(void)
{
    sm_dataset *dataset = open_dataset();
    for (int order = 0; order < 3; order++) {
        for (int size = 1; size <= 4; size++) {
            for (int parts = 1; parts <= 3; parts++) {
                int times[2][COUNT] = {{0}};
                int64_t steps[4] = {0}, totals[4][64] = {{0}};
                for (int rank = 0; rank < size; rank++) {
                    sm_loader_options options = options_for(dataset);
                    options.order = (sm_loader_order)order;
                    options.rank = rank;
                    options.size = size;
                    options.micro_batches = parts;
                    options.epochs = order == SM_LOADER_BLOCKS ? 1 : 2;
                    options.workers = 2;
                    sm_loader *loader;
                    const sm_batch *batch;
                    SM_TEST_OK(sm_loader_new(&options, &loader));
                    for (;;) {
                        SM_TEST_OK(sm_loader_next(loader, &batch));
                        if (!batch) {
                            break;
                        }
                        CU_ASSERT(batch->micro_batch == steps[rank] % parts && batch->micro_batches == parts);
                        CU_ASSERT(batch->count_local <= sm_loader_capacity(&options));
                        CU_ASSERT(batch->first_local + batch->count_local <= batch->count_global);
                        int64_t valid = 0;
                        for (int i = 0; i < batch->count_local; i++) {
                            int64_t index = batch->sample_index[i];
                            times[batch->epoch][index]++;
                            valid += 1000 + index;
                            CU_ASSERT(((const uint8_t *)batch->target[1])[i * H * W + 7] == index);
                            CU_ASSERT(batch->input[3 * i * H * W] == (float)((double)(10 * index % 256) / 255.0));
                        }
                        CU_ASSERT(batch->valid[1] == valid);
                        CU_ASSERT(batch->valid_step[1] >= valid);
                        totals[rank][steps[rank]++] = batch->position * 100 + batch->count_global;
                    }
                    SM_TEST_OK(sm_loader_next(loader, &batch));
                    CU_ASSERT(batch == NULL);
                    sm_loader_free(loader);
                }
                for (int i = 0; i < COUNT; i++) {
                    CU_ASSERT(times[0][i] == 1 && times[1][i] == (order != SM_LOADER_BLOCKS));
                }
                for (int rank = 1; rank < size; rank++) { /* every rank sees the same steps */
                    CU_ASSERT(steps[rank] == steps[0] && memcmp(totals[rank], totals[0], sizeof totals[0]) == 0);
                }
            }
        }
    }
    sm_dataset_close(dataset);
}

enum { CROP_H = 20, CROP_W = 26, STEPS = 12 };

static const sm_augmentation augmentation = {.height = H,
                                             .width = W,
                                             .crop_height = CROP_H,
                                             .crop_width = CROP_W,
                                             .flip = 1,
                                             .scale_min = 0.7,
                                             .scale_max = 2.0};

/* CRC-like digest of everything that `STEPS` batches hold, sample by sample, so that ranks can be joined. */
typedef struct digest {
    double image[64], disparity[64], vectors[64];
    int64_t index[64], valid[64];
    int count;
} digest;

static void add_batch(digest *sum, const sm_batch *batch)
{
    size_t area = (size_t)batch->height * (size_t)batch->width;
    for (int i = 0; i < batch->count_local; i++) {
        int n = sum->count++;
        CU_ASSERT_FATAL(n < 64);
        for (size_t p = 0; p < area; p++) {
            double name = 1 + 0.001 * (double)p;
            float disparity = ((const float *)batch->target[0])[(size_t)i * area + p];
            float vector = ((const float *)batch->target[2])[((size_t)i * area + p) * 2];
            sum->disparity[n] += isnan(disparity) ? 0.5 : name * disparity;
            sum->vectors[n] += isnan(vector) ? 0.5 : name * vector;
            for (size_t c = 0; c < 3; c++) {
                sum->image[n] += name * batch->input[((size_t)i * area + p) * 3 + c];
            }
        }
        sum->index[n] = batch->sample_index[i];
        sum->valid[n] = batch->valid_step[0];
    }
}

static digest digest_of(sm_dataset *dataset, int workers, int prefetch, int64_t start_position, int steps)
{
    sm_loader_options options = options_for(dataset);
    options.augmentation = &augmentation;
    options.input.height = CROP_H;
    options.input.width = CROP_W;
    options.workers = workers;
    options.prefetch = prefetch;
    options.start_position = start_position;
    options.epochs = 0;
    sm_loader *loader;
    const sm_batch *batch;
    digest found = {.count = 0};
    SM_TEST_OK(sm_loader_new(&options, &loader));
    for (int s = 0; s < steps; s++) {
        SM_TEST_OK(sm_loader_next(loader, &batch));
        CU_ASSERT_FATAL(batch != NULL);
        add_batch(&found, batch);
    }
    sm_loader_free(loader); /* while threads prepare more */
    return found;
}

static void any_number_of_workers_gives_the_same_bits(void)
{
    sm_dataset *dataset = open_dataset();
    digest one = digest_of(dataset, 1, 1, 0, STEPS);
    for (int workers = 2; workers <= 5; workers++) {
        digest many = digest_of(dataset, workers, workers - 1, 0, STEPS);
        CU_ASSERT(memcmp(&one, &many, sizeof one) == 0);
    }
    sm_dataset_close(dataset);
}

/* Every random change at once. */
static sm_augmentation everything(void)
{
    sm_augmentation all = augmentation;
    all.rotation_degrees = 20;
    all.colour[SM_COLOUR_BRIGHTNESS] = all.colour[SM_COLOUR_CONTRAST] = all.colour[SM_COLOUR_SATURATION] = 0.5;
    all.colour[SM_COLOUR_HUE] = 0.2;
    all.erasing = 0.5;
    all.erasing_area = 0.3;
    return all;
}

enum { PIXELS = CROP_H * CROP_W };

/* What one sample became in one epoch. */
typedef struct delivered {
    float input[3 * PIXELS], disparity[PIXELS], vectors[2 * PIXELS];
} delivered;

/* Fills found[epoch][sample] of two epochs, as `size` ranks deliver them from position `start` on. */
static void deliver(sm_dataset *dataset, const sm_augmentation *changes, int size, int64_t start, delivered *found)
{
    for (int rank = 0; rank < size; rank++) {
        sm_loader_options options = options_for(dataset);
        sm_loader *loader;
        const sm_batch *batch;
        options.input.height = CROP_H;
        options.input.width = CROP_W;
        options.augmentation = changes;
        options.rank = rank;
        options.size = size;
        options.batch = 3 + size;
        options.epochs = 2;
        options.workers = 1 + rank % 2;
        options.start_position = start;
        SM_TEST_OK(sm_loader_new(&options, &loader));
        while (sm_loader_next(loader, &batch) == SM_OK && batch) {
            for (int i = 0; i < batch->count_local; i++) {
                delivered *one = &found[batch->epoch * COUNT + batch->sample_index[i]];
                memcpy(one->input, batch->input + (ptrdiff_t)i * 3 * PIXELS, sizeof one->input);
                memcpy(one->disparity, (const float *)batch->target[0] + (ptrdiff_t)i * PIXELS, sizeof one->disparity);
                memcpy(one->vectors, (const float *)batch->target[2] + (ptrdiff_t)i * 2 * PIXELS, sizeof one->vectors);
            }
        }
        sm_loader_free(loader);
    }
}

/* A sample in an epoch has its colours, angle and rectangle, whoever reads it, and after a resume too. */
static void random_changes_do_not_depend_on_ranks(void)
{
    sm_dataset *dataset = open_dataset();
    sm_augmentation all = everything();
    size_t bytes = 2 * COUNT * sizeof(delivered);
    delivered *one = sm_alloc_zeroed(bytes), *several = sm_alloc_zeroed(bytes);
    deliver(dataset, &all, 1, 0, one);
    for (int size = 2; size <= 4; size++) {
        memset(several, 0, bytes);
        deliver(dataset, &all, size, 0, several);
        CU_ASSERT(memcmp(one, several, bytes) == 0);
    }
    memset(several, 0, bytes);
    deliver(dataset, &all, 3, 10, several); /* from the middle of the first epoch */
    int missing = 0;
    for (int i = 0; i < 2 * COUNT; i++) {
        static const delivered nothing;
        int is_missing = memcmp(&several[i], &nothing, sizeof nothing) == 0;
        CU_ASSERT(is_missing || memcmp(&one[i], &several[i], sizeof one[i]) == 0);
        missing += is_missing;
    }
    CU_ASSERT_EQUAL(missing, 10);
    CU_ASSERT(memcmp(one, one + COUNT, bytes / 2) != 0);
    sm_free(one);
    sm_free(several);
    sm_dataset_close(dataset);
}

/* Colours and rectangles leave targets alone, rectangles every pixel outside of them too. */
static void colours_and_rectangles_touch_only_the_image(void)
{
    sm_dataset *dataset = open_dataset();
    sm_augmentation colours = augmentation, erasing = augmentation;
    size_t count = 2 * COUNT, bytes = count * sizeof(delivered);
    delivered *plain = sm_alloc_zeroed(bytes), *coloured = sm_alloc_zeroed(bytes), *blanked = sm_alloc_zeroed(bytes);
    colours.colour[SM_COLOUR_BRIGHTNESS] = colours.colour[SM_COLOUR_HUE] = 0.3;
    erasing.erasing = 1;
    erasing.erasing_area = 0.33;
    deliver(dataset, &augmentation, 1, 0, plain);
    deliver(dataset, &colours, 1, 0, coloured);
    deliver(dataset, &erasing, 1, 0, blanked);
    for (size_t k = 0; k < count; k++) {
        size_t maps = sizeof(delivered) - sizeof plain->input;
        CU_ASSERT(memcmp(plain[k].disparity, coloured[k].disparity, maps) == 0);
        CU_ASSERT(memcmp(plain[k].disparity, blanked[k].disparity, maps) == 0);
        CU_ASSERT(memcmp(plain[k].input, coloured[k].input, sizeof plain->input) != 0);
        sm_rectangle r = sm_augmentation_erasing(&erasing, 4, (int64_t)k / COUNT, (int64_t)k % COUNT);
        CU_ASSERT(r.height > 0 && r.width > 0);
        for (int i = 0; i < 3 * PIXELS; i++) {
            int x = i / 3 % CROP_W - r.left, y = i / 3 / CROP_W - r.top;
            int is_blank = x >= 0 && y >= 0 && x < r.width && y < r.height;
            CU_ASSERT(blanked[k].input[i] == (is_blank ? 0 : plain[k].input[i]));
        }
    }
    sm_free(plain);
    sm_free(coloured);
    sm_free(blanked);
    sm_dataset_close(dataset);
}

static void a_run_continues_from_a_position(void)
{
    sm_dataset *dataset = open_dataset();
    digest whole = digest_of(dataset, 1, 1, 0, STEPS);
    digest rest = digest_of(dataset, 1, 1, 10, 3); /* steps 2, 3 and the short 4 of epoch 0 */
    CU_ASSERT(rest.count == 13);
    CU_ASSERT(memcmp(rest.image, whole.image + 10, 13 * sizeof *rest.image) == 0);
    CU_ASSERT(memcmp(rest.index, whole.index + 10, 13 * sizeof *rest.index) == 0);
    sm_dataset_close(dataset);
}

/* Through flip, scale and crop: the targets are those of the geometry that sm_augmentation_geometry() tells. */
static void targets_and_images_follow_one_geometry(void)
{
    sm_dataset *dataset = open_dataset();
    sm_loader_options options = options_for(dataset);
    options.augmentation = &augmentation;
    options.input.height = CROP_H;
    options.input.width = CROP_W;
    options.keep_pixels = 1;
    sm_loader *loader;
    const sm_batch *batch;
    SM_TEST_OK(sm_loader_new(&options, &loader));
    int flips = 0, vectors_seen = 0;
    double worst_green[2] = {0, 0}, worst_disparity = 0, worst_vector = 0, worst_pixel = 0;
    for (;;) {
        SM_TEST_OK(sm_loader_next(loader, &batch));
        if (!batch) {
            break;
        }
        for (int n = 0; n < batch->count_local; n++) {
            sm_geometry g = sm_augmentation_geometry(&augmentation, 4, batch->epoch, batch->sample_index[n], H, W);
            double scale = g.scale_x;
            flips += g.flip;
            CU_ASSERT(batch->sample_index[n] == 2 ? isnan(batch->metres_pixels[n])
                                                  : fabs(batch->metres_pixels[n] - 40 * scale / 2) < 1e-12);
            for (int i = 0; i < CROP_H * CROP_W; i++) {
                size_t at = (size_t)n * CROP_H * CROP_W + (size_t)i;
                int x = i % CROP_W, y = i / CROP_W;
                double xs = (x + g.offset_x + 0.5) / scale - 0.5, ys = (y + g.offset_y + 0.5) / scale - 0.5;
                xs = g.flip ? W - 1 - xs : xs;
                if (xs < 2 || xs > W - 3 || ys < 2 || ys > H - 3) {
                    continue;
                }
                double green = batch->input[3 * at + 1] * 255 / 7, disparity = ((const float *)batch->target[0])[at];
                sm_test_worse(&worst_green[scale < 1], fabs(green - xs));
                sm_test_worse(&worst_pixel, fabs(batch->pixels[3 * at + 1] - batch->input[3 * at + 1] * 255.0));
                double column = fmod(disparity / scale + 50, 100) - 50, row = (disparity / scale - column) / 100;
                sm_test_worse(&worst_disparity, fabs(column - xs));
                sm_test_worse(&worst_disparity, fabs(row - ys));
                const float *vector = (const float *)batch->target[2] + 2 * at;
                if (!isnan(vector[0])) {
                    double centre_x = (g.flip ? xs - vector[0] / scale : xs + vector[0] / scale);
                    double centre_y = ys + vector[1] / scale;
                    sm_test_worse(&worst_vector, fabs(centre_x - 10));
                    sm_test_worse(&worst_vector, fabs(centre_y - 8.5));
                    vectors_seen++;
                }
            }
        }
    }
    CU_ASSERT(flips > 4 && flips < COUNT - 4 && vectors_seen > 1000);
    SM_TEST_AT_MOST(worst_green[0], 1e-5);        /* float of numbers up to 32 */
    SM_TEST_AT_MOST(worst_green[1], 0.1);         /* antialiasing bends a ramp by less than a tenth of a pixel */
    SM_TEST_AT_MOST(worst_disparity, 0.5 + 1e-3); /* nearest pixel */
    SM_TEST_AT_MOST(worst_vector, 1e-5);          /* float of numbers up to 40 */
    SM_TEST_AT_MOST(worst_pixel, 0.5 + 1e-4);     /* rounding */
    sm_loader_free(loader);
    sm_dataset_close(dataset);
}

static void evaluation_scales_whole_images(void)
{
    sm_dataset *dataset = open_dataset();
    sm_loader_options options = options_for(dataset);
    options.order = SM_LOADER_BLOCKS;
    options.input.height = H / 2;
    options.input.width = W / 2;
    sm_loader *loader;
    const sm_batch *batch;
    SM_TEST_OK(sm_loader_new(&options, &loader));
    SM_TEST_OK(sm_loader_next(loader, &batch));
    CU_ASSERT(batch->sample_index[1] == 1 && batch->height == H / 2);
    CU_ASSERT(batch->metres_pixels[1] == 40 * 0.25);
    int64_t valid = 0;
    for (int i = 0; i < H / 2 * W / 2; i++) {
        float disparity = ((const float *)batch->target[0])[i];
        int x = 2 * (i % (W / 2)) + 1, y = 2 * (i / (W / 2)) + 1; /* floor(source + 0.5) */
        CU_ASSERT(disparity == (float)(x + 100 * y) / 2);
        valid++;
    }
    CU_ASSERT(batch->valid[0] == 5 * valid);
    sm_loader_free(loader);
    sm_dataset_close(dataset);
}

static void a_broken_file_is_reported_not_trained_on(void)
{
    char *path = sm_format("%s/broken.h5", sm_test_folder()), *source = dataset_path();
    char *command = sm_format("cp '%s' '%s'", source, path), *cut = sm_format("truncate -s -40000 '%s'", path);
    CU_ASSERT_FATAL(system(command) == 0);
    const char *paths[1] = {path};
    sm_dataset *dataset;
    SM_TEST_OK(sm_dataset_open(paths, 1, "train", &dataset));
    CU_ASSERT_FATAL(system(cut) == 0);
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    int64_t first = 0;
    while (sm_dataset_read(dataset, first, storage, &sample) == SM_OK) {
        first++;
    }
    CU_ASSERT(first > 5 && first < COUNT - 5);
    char *expected = sm_strdup(sm_error_message());
    sm_loader_options options = options_for(dataset);
    options.order = SM_LOADER_SEQUENTIAL;
    options.workers = 3;
    options.batch = 20;
    sm_loader *loader;
    const sm_batch *batch;
    sm_status status;
    SM_TEST_OK(sm_loader_new(&options, &loader));
    do {
        status = sm_loader_next(loader, &batch);
    } while (status == SM_OK && batch);
    CU_ASSERT(status == SM_ERR_INPUT && batch == NULL);
    SM_TEST_MESSAGE("broken.h5");
    SM_TEST_MESSAGE(expected); /* of the first sample in order, whichever thread was faster */
    sm_sample_storage_free(storage);
    sm_free(expected);
    CU_ASSERT(sm_loader_next(loader, &batch) == SM_ERR_INPUT);
    sm_loader_free(loader);
    sm_dataset_close(dataset);
    sm_free(path);
    sm_free(source);
    sm_free(command);
    sm_free(cut);
}

static void it_stops_at_any_time(void)
{
    sm_dataset *dataset = open_dataset();
    size_t held = sm_memory_held_bytes();
    for (int taken = 0; taken < 20; taken++) {
        sm_loader_options options = options_for(dataset);
        options.epochs = 0;
        options.workers = 1 + taken % 3;
        sm_loader *loader;
        const sm_batch *batch;
        SM_TEST_OK(sm_loader_new(&options, &loader));
        for (int s = 0; s < taken % 7; s++) {
            SM_TEST_OK(sm_loader_next(loader, &batch));
        }
        sm_loader_free(loader);
    }
    CU_ASSERT(sm_memory_held_bytes() == held);
    sm_dataset_close(dataset);
}

/* All but the lists of slots and counts, which are below 4 KiB here. */
static void its_size_is_known_before(void)
{
    sm_dataset *dataset = open_dataset();
    for (int form = 0; form < 4; form++) {
        sm_loader_options options = options_for(dataset);
        options.prefetch = 1 + form;
        options.workers = 1 + form % 2;
        options.keep_pixels = form == 2;
        options.input.width = form == 3 ? 3 * W : W;
        sm_loader *loader;
        size_t held = sm_memory_held_bytes();
        SM_TEST_OK(sm_loader_new(&options, &loader));
        size_t bytes = sm_memory_held_bytes() - held, known = sm_loader_bytes(&options);
        CU_ASSERT(known <= bytes && bytes - known < 4096);
        sm_loader_free(loader);
    }
    sm_dataset_close(dataset);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(make_file);
    SM_TEST(every_sample_once_an_epoch_over_any_ranks);
    SM_TEST(any_number_of_workers_gives_the_same_bits);
    SM_TEST(random_changes_do_not_depend_on_ranks);
    SM_TEST(colours_and_rectangles_touch_only_the_image);
    SM_TEST(a_run_continues_from_a_position);
    SM_TEST(targets_and_images_follow_one_geometry);
    SM_TEST(evaluation_scales_whole_images);
    SM_TEST(a_broken_file_is_reported_not_trained_on);
    SM_TEST(it_stops_at_any_time);
    SM_TEST(its_size_is_known_before);
    return sm_test_end();
}
