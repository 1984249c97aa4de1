/* ranks: 1 2 */
#include "golden.h"
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/data/scenes.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/task/task.h>

#include <math.h>
#include <string.h>

enum { H = 6, W = 8, SAMPLES = 3 };

/* A target of each type and scope, none of them a standard one. */
enum { MATERIAL, NORMAL, FLOW, PART, WEATHER, TILT, DAMAGE, TAGS, TARGETS };

static const char *const material_names[] = {"a class whose name is longer than thirty-one bytes", "wood", "stone"};
static const uint8_t material_palette[][3] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}, material_thing[] = {0, 1, 0};
static const sm_class_list materials = {
    .count = 3, .names = material_names, .palette = material_palette, .thing = material_thing};
static const char *const weather_names[] = {"sun", "rain"};
static const sm_class_list weathers = {.count = 2, .names = weather_names};

/* In the order of their names, as a dataset lists them. */
static const sm_target described[TARGETS] = {
    [MATERIAL] = {.name = "a_material", .type = SM_TARGET_CLASS, .components = 1, .unit = "", .classes = &materials},
    [NORMAL] = {.name = "b_normal",
                .type = SM_TARGET_REAL,
                .components = 3,
                .unit = "",
                .turning = SM_TURNING_Y_UP,
                .flip_negates = 1,
                .least = -1,
                .most = 1},
    [FLOW] = {.name = "c_flow",
              .type = SM_TARGET_REAL,
              .components = 2,
              .unit = "px",
              .scaling = SM_SCALING_AXES,
              .turning = SM_TURNING_Y_DOWN,
              .flip_negates = 1,
              .least = -1e3,
              .most = 1e3},
    [PART] = {.name = "d_part", .type = SM_TARGET_INSTANCE, .components = 1, .unit = ""},
    [WEATHER] = {.name = "e_weather",
                 .type = SM_TARGET_CLASS,
                 .scope = SM_SCOPE_SAMPLE,
                 .components = 1,
                 .unit = "",
                 .classes = &weathers},
    [TILT] = {.name = "f_tilt",
              .type = SM_TARGET_REAL,
              .scope = SM_SCOPE_SAMPLE,
              .components = 2,
              .unit = "deg",
              .flip_negates = 1u << 1,
              .least = -90,
              .most = 90},
    [DAMAGE] = {.name = "g_damage", .type = SM_TARGET_LABELS, .components = 3, .unit = "", .classes = &materials},
    [TAGS] = {.name = "h_tags",
              .type = SM_TARGET_LABELS,
              .scope = SM_SCOPE_SAMPLE,
              .components = 2,
              .unit = "",
              .classes = &weathers},
};

typedef struct made_sample {
    uint8_t image[3 * H * W], material[H * W], weather[1], damage[3 * H * W], tags[2];
    float normal[3 * H * W], flow[2 * H * W], tilt[2];
    uint16_t part[H * W];
} made_sample;

static sm_sample make_sample(made_sample *made, int64_t index)
{
    const void *const data[TARGETS] = {made->material, made->normal, made->flow,   made->part,
                                       made->weather,  made->tilt,   made->damage, made->tags};
    for (int i = 0; i < H * W; i++) {
        memset(made->image + 3 * i, i, 3);
        made->material[i] = (uint8_t)(i % 4 == 3 ? SM_CLASS_IGNORED : i % 4);
        made->part[i] = (uint16_t)(1000 * index + i);
        for (int c = 0; c < 3; c++) {
            made->normal[3 * i + c] = (float)(c + 1) / 4 - (float)i / 100;
            made->damage[3 * i + c] = (uint8_t)((i + c) % 5 == 4 ? SM_CLASS_IGNORED : (i + c) % 5 % 2);
        }
        made->flow[2 * i] = (float)i;
        made->flow[2 * i + 1] = i == 5 ? NAN : (float)-i;
    }
    made->weather[0] = (uint8_t)(index == 2 ? SM_CLASS_IGNORED : index);
    made->tags[0] = (uint8_t)(index % 2);
    made->tags[1] = SM_CLASS_IGNORED;
    made->tilt[0] = (float)(10 * index);
    made->tilt[1] = -30;
    sm_sample sample = {.height = H,
                        .width = W,
                        .input = made->image,
                        .baseline_metres = NAN,
                        .fx_pixels = NAN,
                        .original_height = H,
                        .original_width = W};
    for (int t = 0; t < TARGETS; t++) {
        sm_sample_add(&sample, &described[t], data[t]);
    }
    return sample;
}

static sm_status produce(void *user, int split, int64_t index, sm_sample *sample)
{
    (void)split;
    *sample = make_sample(user, index);
    return SM_OK;
}

/* \return the path of the dataset, freed with sm_free(). Collective. */
static char *write_dataset(void)
{
    static const char *const names[SAMPLES] = {"x", "y", "z"};
    static made_sample made;
    const sm_dataset_split_spec split = {"train", SAMPLES, names};
    const sm_dataset_spec spec = {.source = "test",
                                  .height = H,
                                  .width = W,
                                  .targets = described,
                                  .target_count = TARGETS,
                                  .splits = &split,
                                  .split_count = 1};
    char *path = sm_format("%s/described.h5", sm_test_folder());
    SM_TEST_OK(sm_dataset_write(test_comm, path, &spec, 1, produce, &made));
    return path;
}

static sm_dataset *open_dataset(const char *path)
{
    sm_dataset *dataset = NULL;
    SM_TEST_OK(sm_dataset_open(&path, 1, "train", &dataset));
    return dataset;
}

static void same_classes(const sm_class_list *found, const sm_class_list *expected)
{
    CU_ASSERT_EQUAL_FATAL(found != NULL, expected != NULL);
    CU_ASSERT_EQUAL(expected ? found->count : 0, expected ? expected->count : 0);
    for (int c = 0; expected && c < expected->count; c++) {
        CU_ASSERT_STRING_EQUAL(found->names[c], expected->names[c]);
        CU_ASSERT(!expected->palette || memcmp(found->palette[c], expected->palette[c], 3) == 0);
        CU_ASSERT_EQUAL(found->thing[c], expected->thing ? expected->thing[c] : 0);
    }
}

static void a_file_describes_its_targets(void)
{
    char *path = write_dataset();
    sm_dataset *dataset = open_dataset(path);
    int count;
    const sm_target *const *targets = sm_dataset_targets(dataset, &count);
    CU_ASSERT_EQUAL_FATAL(count, TARGETS);
    for (int t = 0; t < TARGETS; t++) {
        const sm_target *found = targets[t], *expected = &described[t];
        CU_ASSERT_STRING_EQUAL(found->name, expected->name);
        CU_ASSERT(found->type == expected->type && found->scope == expected->scope);
        CU_ASSERT(found->components == expected->components && found->scaling == expected->scaling);
        CU_ASSERT(found->flip_negates == expected->flip_negates && found->turning == expected->turning);
        CU_ASSERT(expected->type != SM_TARGET_REAL ||
                  (found->least == expected->least && found->most == expected->most));
        CU_ASSERT_STRING_EQUAL(found->unit, expected->unit);
        CU_ASSERT_PTR_EQUAL(sm_dataset_target(dataset, expected->name), found);
        same_classes(found->classes, expected->classes);
    }
    SM_TEST_OK(sm_dataset_find_fingerprint(dataset));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(sm_dataset_fingerprint(dataset), "a_material,b_normal,c_flow,d_part,e_weather,f_tilt,g_damage,h_tags"));
    sm_dataset_close(dataset);
    sm_free(path);
}

static void samples_come_back(void)
{
    char *path = write_dataset();
    sm_dataset *dataset = open_dataset(path);
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    made_sample *made = sm_alloc(sizeof *made);
    for (int64_t i = 0; i < SAMPLES; i++) {
        sm_sample found, expected = make_sample(made, i);
        SM_TEST_OK(sm_dataset_read(dataset, i, storage, &found));
        CU_ASSERT_EQUAL_FATAL(found.target_count, TARGETS);
        for (int t = 0; t < TARGETS; t++) {
            size_t bytes = sm_scope_items(described[t].scope, H, W) * sm_target_item_bytes(&described[t]);
            CU_ASSERT(memcmp(found.target[t].data, expected.target[t].data, bytes) == 0);
        }
    }
    sm_free(made);
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(path);
}

/* Builds what a task of real values, or of classes, would train on. */
static int64_t build(const sm_target *target, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    int is_class = target->type == SM_TARGET_CLASS;
    sm_target copy = *target;
    sm_task task = {.target = &copy, .channels = is_class ? target->classes->count : target->components};
    task.kind = sm_task_kind_find(is_class ? "semantic" : "depth");
    return task.kind->build_target(&task, sample, geometry, built);
}

/* Enlarged by whole factors and mirrored, every output pixel comes from one stored pixel. */
static void real_values_follow_the_geometry(void)
{
    enum { SCALE_X = 3, SCALE_Y = 2 };
    made_sample *made = sm_alloc(sizeof *made);
    sm_sample sample = make_sample(made, 1);
    float *normal = sm_alloc(3 * SCALE_X * SCALE_Y * H * W * sizeof *normal), *flow = normal;
    for (int flip = 0; flip <= 1; flip++) {
        const sm_geometry geometry = {SCALE_Y * H, SCALE_X * W, SCALE_X, SCALE_Y, 0, 0, flip, 0};
        float sign = flip ? -1 : 1;
        CU_ASSERT_EQUAL(build(&described[NORMAL], &sample, &geometry, normal), SCALE_X * SCALE_Y * H * W);
        for (int i = 0; i < SCALE_X * SCALE_Y * H * W; i++) {
            int x = i % (SCALE_X * W) / SCALE_X, y = i / (SCALE_X * W) / SCALE_Y;
            const float *stored = made->normal + 3 * (y * W + (flip ? W - 1 - x : x));
            CU_ASSERT(normal[3 * i] == sign * stored[0] && normal[3 * i + 1] == stored[1] &&
                      normal[3 * i + 2] == stored[2]);
        }
        CU_ASSERT_EQUAL(build(&described[FLOW], &sample, &geometry, flow), SCALE_X * SCALE_Y * (H * W - 1));
        for (int i = 0; i < SCALE_X * SCALE_Y * H * W; i++) {
            int x = i % (SCALE_X * W) / SCALE_X, y = i / (SCALE_X * W) / SCALE_Y;
            int at = y * W + (flip ? W - 1 - x : x);
            if (at == 5) { /* invalid in one component: invalid as a whole */
                CU_ASSERT(isnan(flow[2 * i]) && isnan(flow[2 * i + 1]));
            } else {
                CU_ASSERT(flow[2 * i] == sign * SCALE_X * (float)at && flow[2 * i + 1] == SCALE_Y * (float)-at);
            }
        }
    }
    sm_free(normal);
    sm_free(made);
}

/* A value a sample is neither scaled nor cropped; its sign follows the mirror where it is described so. */
static void values_a_sample_are_taken_whole(void)
{
    made_sample *made = sm_alloc(sizeof *made);
    for (int64_t index = 0; index < SAMPLES; index++) {
        sm_sample sample = make_sample(made, index);
        for (int flip = 0; flip <= 1; flip++) {
            const sm_geometry crop = {2, 3, 5, 5, 4, 4, flip, 0};
            uint8_t weather = 77;
            float tilt[2];
            CU_ASSERT_EQUAL(build(&described[WEATHER], &sample, &crop, &weather), index == 2 ? 0 : 1);
            CU_ASSERT_EQUAL(weather, index == 2 ? SM_CLASS_IGNORED : index);
            CU_ASSERT_EQUAL(build(&described[TILT], &sample, &crop, tilt), 1);
            CU_ASSERT(tilt[0] == (float)(10 * index) && tilt[1] == (flip ? 30 : -30));
        }
    }
    sm_free(made);
}

/* Labels of pixels move with them; those of a sample stay. One known label makes an item valid. */
static void labels_follow_the_geometry(void)
{
    const sm_geometry mirrored = {.out_height = H, .out_width = W, .scale_x = 1, .scale_y = 1, .flip = 1};
    made_sample *made = sm_alloc(sizeof *made);
    sm_sample sample = make_sample(made, 1);
    sm_target damage = described[DAMAGE], tags = described[TAGS];
    sm_task maps = {.target = &damage, .channels = 3, .kind = sm_task_kind_find("labels")};
    sm_task whole = {.target = &tags, .channels = 2, .kind = sm_task_kind_find("labels")};
    uint8_t built[3 * H * W], of_sample[2];
    made->damage[0] = made->damage[1] = made->damage[2] = SM_CLASS_IGNORED;
    CU_ASSERT_EQUAL(maps.kind->build_target(&maps, &sample, &mirrored, built), H * W - 1);
    for (int i = 0; i < H * W; i++) {
        int from = i / W * W + W - 1 - i % W;
        CU_ASSERT(memcmp(built + 3 * i, made->damage + 3 * from, 3) == 0);
    }
    CU_ASSERT_EQUAL(whole.kind->build_target(&whole, &sample, &mirrored, of_sample), 1);
    CU_ASSERT(of_sample[0] == 1 && of_sample[1] == SM_CLASS_IGNORED);
    sm_free(made);
}

/* Writes a file of one sample, by this rank alone. */
static void write_one(const char *path, const sm_target *targets, int count, const sm_sample *sample)
{
    static const char *const names[] = {"only"};
    const sm_dataset_split_spec split = {"train", 1, names};
    const sm_dataset_spec spec = {.source = "test",
                                  .height = H,
                                  .width = W,
                                  .targets = targets,
                                  .target_count = count,
                                  .splits = &split,
                                  .split_count = 1};
    sm_dataset_writer *writer;
    SM_TEST_OK(sm_dataset_writer_create(path, &spec, &writer));
    SM_TEST_OK(sm_dataset_writer_put(writer, 0, 0, sample));
    SM_TEST_OK(sm_dataset_writer_close(writer));
    SM_TEST_OK(sm_dataset_writer_publish(path));
}

/* Infinite, negative and absurd numbers were trained on, or skipped steps without naming the sample. */
static void values_out_of_range_are_named(void)
{
    static const struct {
        float value;
        const char *found;
    } cases[] = {{INFINITY, "holds inf"}, {-1, "holds -1"}, {3e38f, "holds 3e+38"}};
    static made_sample made;
    static float disparity[H * W];
    const sm_target *target = sm_standard_target("disparity");
    if (sm_comm_rank(test_comm) != 0) {
        return;
    }
    char *path = sm_format("%s/range.h5", sm_test_folder());
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        sm_sample sample = make_sample(&made, 0);
        sample.target_count = 0;
        sm_sample_add(&sample, target, disparity);
        disparity[0] = NAN;
        disparity[W + 3] = cases[k].value;
        write_one(path, target, 1, &sample);
        sm_dataset *dataset = open_dataset(path);
        sm_sample_storage *storage = sm_sample_storage_new(dataset);
        CU_ASSERT_EQUAL(sm_dataset_read(dataset, 0, storage, &sample), SM_ERR_INPUT);
        SM_TEST_MESSAGE("range.h5: /train/disparity of sample 0 ('only')");
        SM_TEST_MESSAGE(cases[k].found);
        SM_TEST_MESSAGE("at row 1, column 3; from 0 to 65536 expected");
        sm_sample_storage_free(storage);
        sm_dataset_close(dataset);
    }
    sm_free(path);
}

/* A label is 0, 1 or unknown, and each has a name. */
static void labels_are_yes_no_or_unknown(void)
{
    static made_sample made;
    if (sm_comm_rank(test_comm) != 0) {
        return;
    }
    char *path = sm_format("%s/labels.h5", sm_test_folder());
    sm_sample sample = make_sample(&made, 0);
    sm_sample_storage *storage;
    sm_dataset *dataset;
    made.damage[3 * (2 * W + 5) + 1] = 2;
    write_one(path, described, TARGETS, &sample);
    dataset = open_dataset(path);
    storage = sm_sample_storage_new(dataset);
    CU_ASSERT_EQUAL(sm_dataset_read(dataset, 0, storage, &sample), SM_ERR_INPUT);
    SM_TEST_MESSAGE("labels.h5: /train/g_damage of sample 0 ('only') holds label 2 at row 2, column 5; from 0 to 1");
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);

    sm_target targets[TARGETS];
    memcpy(targets, described, sizeof targets);
    targets[DAMAGE].classes = &weathers;
    sample = make_sample(&made, 0);
    write_one(path, targets, TARGETS, &sample);
    CU_ASSERT_EQUAL(sm_dataset_open((const char *const *)&path, 1, "train", &dataset), SM_ERR_INPUT);
    SM_TEST_MESSAGE("'class_names' of /train/g_damage has 2 names, expected 3");
    sm_free(path);
}

/* What depth and normals are without a description of the file's own. */
static void standard_targets_are_known(void)
{
    const sm_target *depth = sm_standard_target("depth"), *normal = sm_standard_target("normal");
    CU_ASSERT_FATAL(depth && normal);
    CU_ASSERT(depth->type == SM_TARGET_REAL && depth->scope == SM_SCOPE_PIXEL && depth->components == 1);
    CU_ASSERT(depth->scaling == SM_SCALING_NONE && depth->flip_negates == 0 && depth->least > 0);
    CU_ASSERT_STRING_EQUAL(depth->unit, "m");
    CU_ASSERT(normal->type == SM_TARGET_REAL && normal->scope == SM_SCOPE_PIXEL && normal->components == 3);
    CU_ASSERT(normal->scaling == SM_SCALING_NONE && normal->flip_negates == 1);
}

/* A file may narrow what its values can be, not widen it beyond what can be trained on. */
static void bounds_must_be_numbers(void)
{
    static const double bounds[][2] = {{NAN, 1}, {0, INFINITY}, {1, 0}, {-1e30, 1}};
    static made_sample made;
    if (sm_comm_rank(test_comm) != 0) {
        return;
    }
    char *path = sm_format("%s/bounds.h5", sm_test_folder());
    for (size_t k = 0; k < sizeof bounds / sizeof *bounds; k++) {
        sm_target targets[TARGETS];
        sm_dataset *dataset;
        memcpy(targets, described, sizeof targets);
        targets[NORMAL].least = bounds[k][0];
        targets[NORMAL].most = bounds[k][1];
        sm_sample sample = make_sample(&made, 0);
        write_one(path, targets, TARGETS, &sample);
        CU_ASSERT_EQUAL(sm_dataset_open((const char *const *)&path, 1, "train", &dataset), SM_ERR_INPUT);
        SM_TEST_MESSAGE("bounds.h5: attributes 'least', 'most' of /train/b_normal");
    }
    sm_free(path);
}

/* A lone number is no vector that could turn. */
static void turning_takes_two_components(void)
{
    static const sm_target height = {
        .name = "height", .type = SM_TARGET_REAL, .components = 1, .unit = "m", .turning = SM_TURNING_Y_UP, .most = 9};
    static made_sample made;
    static float values[H * W];
    if (sm_comm_rank(test_comm) == 0) {
        char *path = sm_format("%s/turning.h5", sm_test_folder());
        sm_sample sample = make_sample(&made, 0);
        sm_dataset *dataset;
        sample.target_count = 0;
        sm_sample_add(&sample, &height, values);
        write_one(path, &height, 1, &sample);
        CU_ASSERT_EQUAL(sm_dataset_open((const char *const *)&path, 1, "train", &dataset), SM_ERR_INPUT);
        SM_TEST_MESSAGE("turning.h5: attribute 'turning' of /train/height is 'y_up'");
        sm_free(path);
    }
}

/* One description a target: two files that mean different things by one name are not one dataset. */
static void descriptions_must_agree(void)
{
    if (sm_comm_rank(test_comm) != 0) {
        return;
    }
    static made_sample made;
    char *paths[2] = {sm_format("%s/one.h5", sm_test_folder()), sm_format("%s/other.h5", sm_test_folder())};
    for (int f = 0; f < 2; f++) {
        sm_target targets[TARGETS];
        memcpy(targets, described, sizeof targets);
        targets[TILT].unit = f == 0 ? "deg" : "rad";
        sm_sample sample = make_sample(&made, 0);
        write_one(paths[f], targets, TARGETS, &sample);
    }
    sm_dataset *dataset;
    CU_ASSERT_EQUAL(sm_dataset_open((const char *const *)paths, 2, "train", &dataset), SM_ERR_INPUT);
    SM_TEST_MESSAGE("other.h5: target 'f_tilt'");
    SM_TEST_MESSAGE("unit 'rad'");
    SM_TEST_MESSAGE("one.h5");
    sm_free(paths[0]);
    sm_free(paths[1]);
}

/* tests/golden/dataset_version1.h5 was written before files described their targets, by
 * `data scenes --train 1 --validation 1 --height 32 --width 32 --seed 7 --vector-noise 1`. */
static void version_1_loads_as_before(void)
{
    enum { SIDE = 32 };
    static const char *const splits[] = {"train", "val"};
    static const char *const fingerprints[] = {"1x32x32 semantic,instance,instance_offset,disparity 8a40988e",
                                               "1x32x32 semantic,instance,instance_offset,disparity 607460af"};
    static uint8_t image[3 * SIDE * SIDE], semantic[SIDE * SIDE];
    static uint16_t instance[SIDE * SIDE];
    static float disparity[SIDE * SIDE], noise[2 * SIDE * SIDE];
    char *path = golden_path("dataset_version1.h5");
    for (uint64_t s = 0; s < 2; s++) {
        sm_scene scene = {image, semantic, instance, disparity, noise, 0, 0, 0, 0, 0};
        sm_scene_options options = sm_scene_options_default();
        options.height = options.width = SIDE;
        options.seed = 7;
        options.vector_noise = 1;
        SM_TEST_OK(sm_scene_generate(&options, s << 32, &scene));
        sm_dataset *dataset = NULL;
        SM_TEST_OK(sm_dataset_open((const char *const *)&path, 1, splits[s], &dataset));
        SM_TEST_OK(sm_dataset_find_fingerprint(dataset));
        CU_ASSERT(sm_dataset_is_same(dataset, fingerprints[s])); /* of before */
        sm_sample_storage *storage = sm_sample_storage_new(dataset);
        sm_sample sample;
        SM_TEST_OK(sm_dataset_read(dataset, 0, storage, &sample));
        CU_ASSERT(memcmp(sample.input, image, sizeof image) == 0);
        CU_ASSERT(memcmp(sm_sample_find(&sample, "semantic")->data, semantic, sizeof semantic) == 0);
        CU_ASSERT(memcmp(sm_sample_find(&sample, "instance")->data, instance, sizeof instance) == 0);
        CU_ASSERT(memcmp(sm_sample_find(&sample, "disparity")->data, disparity, sizeof disparity) == 0);
        CU_ASSERT(memcmp(sm_sample_find(&sample, "instance_offset")->data, noise, sizeof noise) == 0);
        CU_ASSERT_EQUAL(sm_dataset_target(dataset, "semantic")->classes->count, 19);
        sm_sample_storage_free(storage);
        sm_dataset_close(dataset);
    }
    sm_free(path);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_file_describes_its_targets);
    SM_TEST(samples_come_back);
    SM_TEST(real_values_follow_the_geometry);
    SM_TEST(values_a_sample_are_taken_whole);
    SM_TEST(labels_follow_the_geometry);
    SM_TEST(values_out_of_range_are_named);
    SM_TEST(labels_are_yes_no_or_unknown);
    SM_TEST(standard_targets_are_known);
    SM_TEST(bounds_must_be_numbers);
    SM_TEST(turning_takes_two_components);
    SM_TEST(descriptions_must_agree);
    SM_TEST(version_1_loads_as_before);
    return sm_test_end();
}
