/* ranks: 1 4 */
/* `data folder` of what users may rightly bring. */
#define _POSIX_C_SOURCE 200809L
#include "folder_tree.h"
#include "harness.h"
#include "image_bytes.h"

#include <sigmatic/base/log.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { H = TREE_H, W = TREE_W, AREA = H * W };

/* ---- what maps hold ------------------------------------------------------------------------------------------------ */

/* Ids 7, 11, 12 and the ignored 33. */
static int id_at(int seed, int y, int x)
{
    static const int ids[] = {7, 11, 12, 33};
    return ids[(x / 2 + y / 2 + seed) % 4];
}

/* The class of these: 11 and 12 are one. */
static int class_of(int id)
{
    return id == 33 ? 255 : id != 7;
}

static int colour_at(int seed, int y, int x)
{
    static const int colours[] = {128 | 64 << 8 | 128 << 16, 0 | 0 << 8 | 142 << 16, 1 | 2 << 8 | 3 << 16};
    return colours[class_of(id_at(seed, y, x)) == 255 ? 2 : class_of(id_at(seed, y, x))];
}

/* Ids 200, 0, 30: background is 0. */
static int instance_at(int seed, int y, int x)
{
    static const int ids[] = {200, 0, 30};
    return ids[(x / 4 + seed + (y > 4)) % 3];
}

static int millimetres_at(int seed, int y, int x)
{
    return (x + y) % 5 == 0 ? 0 : 1000 + 100 * x + 10 * y + seed;
}

static int disparity_at(int seed, int y, int x)
{
    (void)seed;
    return 256 * (x + y) + 256;
}

/* ---- reading back --------------------------------------------------------------------------------------------------- */

typedef struct opened {
    sm_dataset *dataset;
    sm_sample_storage *storage;
    sm_sample sample;
} opened;

static opened open_sample(const char *split, const char *name)
{
    opened o = {.dataset = folder_tree_open(split)};
    int64_t found = -1;
    for (int64_t i = 0; i < sm_dataset_count(o.dataset); i++) {
        found = strcmp(sm_dataset_name(o.dataset, i), name) == 0 ? i : found;
    }
    CU_ASSERT_FATAL(found >= 0);
    o.storage = sm_sample_storage_new(o.dataset);
    SM_TEST_OK(sm_dataset_read(o.dataset, found, o.storage, &o.sample));
    return o;
}

static void close_sample(opened *o)
{
    sm_sample_storage_free(o->storage);
    sm_dataset_close(o->dataset);
}

static const void *data_of(const opened *o, const char *target)
{
    const sm_target_view *view = sm_sample_find(&o->sample, target);
    CU_ASSERT_FATAL(view != NULL);
    return view->data;
}

/* ---- a manifest with everything ------------------------------------------------------------------------------------ */

static const char everything[] = "[image]\n"
                                 "split_column = set\n"
                                 "[target.semantic]\n"
                                 "kind = class_map\n"
                                 "column = labels\n"
                                 "names = road, \"car, van\"\n"
                                 "ids = 7, 11|12\n"
                                 "palette = 128 64 128, 0 0 142\n"
                                 "ignore = 33, 1 2 3\n"
                                 "thing = \"car, van\"\n"
                                 "[target.instance]\n"
                                 "kind = instance_map\n"
                                 "[target.depth]\n"
                                 "kind = depth_map\n"
                                 "scale = 0.001\n"
                                 "[target.disparity]\n"
                                 "kind = disparity_map\n"
                                 "scale = 0.00390625\n"
                                 "offset = -1\n"
                                 "[target.normal]\n"
                                 "kind = normal_map\n"
                                 "turning = y_up\n"
                                 "[target.flow]\n"
                                 "kind = value_map\n"
                                 "components = 2\n"
                                 "scaling = axes\n"
                                 "flip_negates = 0\n"
                                 "unit = px\n"
                                 "[target.motion]\n"
                                 "kind = value\n"
                                 "column = speed, turn\n"
                                 "unit = m/s\n"
                                 "[target.weather]\n"
                                 "kind = class\n"
                                 "[target.tags]\n"
                                 "kind = labels\n"
                                 "names = day, wet, snow\n"
                                 "[camera]\n"
                                 "baseline_metres = 0.2\n"
                                 "fx_pixels = focal\n";

/* Quotes, a comma and a line end in a name, UTF-8, Windows' line ends, an empty line, columns of no use. */
static const char manifest[] =
    "\xEF\xBB\xBFimage,set,labels,instance,depth,disparity,normal,flow,speed,turn,weather,tags,focal,remark\r\n"
    "photos/a b.png,train,maps/ids.png,maps/inst.png,maps/mm.png,maps/disp.png,maps/n.npy,maps/flow.npy,1.5,-2,sun,"
    "wet|day,900,\"said \"\"hm\"\"\r\nand went\"\r\n"
    "\r\n"
    "\"photos/b, \xC3\xA9.jpg\",val,maps/colours.png,,,,,,,3,rain,,,\r\n"
    "photos/c.png,train,maps/ids.png,maps/inst.png,maps/mm.png,maps/disp.png,maps/planar.npy,maps/flow.npy,nan,0,sun,"
    "snow;wet,800,\r\n";

/* Normals of length 1.2 and, in the first row, none; as (H,W,3) or (3,H,W). */
static void write_normals(const char *inner, int is_planar)
{
    static const size_t shapes[2][3] = {{H, W, 3}, {3, H, W}};
    float values[AREA * 3];
    for (int i = 0; i < AREA * 3; i++) {
        int pixel = is_planar ? i % AREA : i / 3, c = is_planar ? i / AREA : i % 3;
        const float normal[3] = {0.72F, 0, 0.96F};
        values[i] = pixel < W ? 0 : normal[c];
    }
    folder_tree_npy(inner, 3, shapes[is_planar], values);
}

static void write_everything(void)
{
    static const size_t flow_shape[3] = {H, W, 2};
    float flow[AREA * 2];
    for (int i = 0; i < AREA * 2; i++) {
        flow[i] = (float)i;
    }
    folder_tree_text("list.csv", manifest);
    folder_tree_image("photos/a b.png", 1);
    folder_tree_bytes("photos/b, \xC3\xA9.jpg", rgb_jpeg, sizeof rgb_jpeg);
    folder_tree_image("photos/c.png", 2);
    folder_tree_png("maps/ids.png", W, 1, 8, 0, id_at);
    folder_tree_png("maps/colours.png", W, 3, 8, 3, colour_at);
    folder_tree_png("maps/inst.png", W, 1, 8, 0, instance_at);
    folder_tree_png("maps/mm.png", W, 1, 16, 0, millimetres_at);
    folder_tree_png("maps/disp.png", W, 1, 16, 0, disparity_at);
    write_normals("maps/n.npy", 0);
    write_normals("maps/planar.npy", 1);
    folder_tree_npy("maps/flow.npy", 3, flow_shape, flow);
}

static void check_first(const opened *o)
{
    const uint8_t *image = o->sample.input, *semantic = data_of(o, "semantic"), *tags = data_of(o, "tags");
    const uint16_t *instance = data_of(o, "instance");
    const float *depth = data_of(o, "depth"), *disparity = data_of(o, "disparity"), *normal = data_of(o, "normal"),
                *flow = data_of(o, "flow"), *motion = data_of(o, "motion");
    for (int i = 0; i < AREA; i++) {
        int y = i / W, x = i % W, stored = millimetres_at(0, y, x), id = instance_at(0, y, x);
        CU_ASSERT(image[3 * i] == 3 * x + 5 * y + 20 && image[3 * i + 1] == 100 && image[3 * i + 2] == 200);
        CU_ASSERT(semantic[i] == class_of(id_at(0, y, x)));
        CU_ASSERT(instance[i] == (id == 200 ? 2 : id == 30 ? 1 : 0));
        CU_ASSERT(stored ? depth[i] == (float)(stored * 0.001) : isnan(depth[i]));
        CU_ASSERT(disparity[i] == (float)(x + y));
        CU_ASSERT(y == 0 ? isnan(normal[3 * i]) : fabsf(normal[3 * i] - 0.6F) < 1e-6F && normal[3 * i + 1] == 0);
        CU_ASSERT(y == 0 || fabsf(normal[3 * i + 2] - 0.8F) < 1e-6F);
        CU_ASSERT(flow[2 * i] == (float)(2 * i) && flow[2 * i + 1] == (float)(2 * i + 1));
    }
    CU_ASSERT(motion[0] == 1.5F && motion[1] == -2);
    CU_ASSERT(*(const uint8_t *)data_of(o, "weather") == 1);
    CU_ASSERT(tags[0] == 1 && tags[1] == 1 && tags[2] == 0);
    CU_ASSERT(o->sample.baseline_metres == 0.2 && o->sample.fx_pixels == 900);
}

/* A row with nothing but colours and some values. */
static void check_jpeg(const opened *o)
{
    const uint8_t *semantic = data_of(o, "semantic");
    const float *motion = data_of(o, "motion"), *depth = data_of(o, "depth");
    CU_ASSERT(memcmp(o->sample.input, rgb_jpeg_pixels, sizeof rgb_jpeg_pixels) == 0);
    for (int i = 0; i < AREA; i++) {
        CU_ASSERT(semantic[i] == class_of(id_at(3, i / W, i % W)));
        CU_ASSERT(isnan(depth[i]) && ((const uint16_t *)data_of(o, "instance"))[i] == 0);
    }
    CU_ASSERT(isnan(motion[0]) && motion[1] == 3);
    CU_ASSERT(*(const uint8_t *)data_of(o, "weather") == 0 && *(const uint8_t *)data_of(o, "tags") == 255);
    CU_ASSERT(isnan(o->sample.fx_pixels));
}

static void check_descriptions(const sm_dataset *dataset)
{
    const sm_target *semantic = sm_dataset_target(dataset, "semantic"), *flow = sm_dataset_target(dataset, "flow"),
                    *motion = sm_dataset_target(dataset, "motion"), *weather = sm_dataset_target(dataset, "weather");
    CU_ASSERT(semantic->classes->count == 2 && strcmp(semantic->classes->names[1], "car, van") == 0);
    CU_ASSERT(semantic->classes->palette[1][2] == 142 && semantic->classes->thing[1] && !semantic->classes->thing[0]);
    CU_ASSERT(flow->components == 2 && flow->scaling == SM_SCALING_AXES && flow->flip_negates == 1);
    CU_ASSERT(flow->turning == SM_TURNING_Y_DOWN);
    CU_ASSERT(sm_dataset_target(dataset, "normal")->turning == SM_TURNING_Y_UP);
    CU_ASSERT(motion->components == 2 && motion->scope == SM_SCOPE_SAMPLE && strcmp(motion->unit, "m/s") == 0);
    CU_ASSERT(weather->classes->count == 2 && strcmp(weather->classes->names[0], "rain") == 0);
}

static void a_manifest_with_everything_is_exact(void)
{
    const folder_tree_options options = {.describe = everything};
    folder_tree_begin("every thing");
    write_everything();
    SM_TEST_OK(folder_tree_import("list.csv", &options));
    opened o = open_sample("train", "photos/a b");
    CU_ASSERT(sm_dataset_count(o.dataset) == 2);
    check_first(&o);
    check_descriptions(o.dataset);
    close_sample(&o);
    o = open_sample("val", "photos/b, \xC3\xA9");
    check_jpeg(&o);
    close_sample(&o);
    o = open_sample("train", "photos/c");
    CU_ASSERT(isnan(((const float *)data_of(&o, "normal"))[0]));
    CU_ASSERT(fabsf(((const float *)data_of(&o, "normal"))[3 * W + 2] - 0.8F) < 1e-6F);
    CU_ASSERT(isnan(((const float *)data_of(&o, "motion"))[0]) && ((const uint8_t *)data_of(&o, "tags"))[2] == 1);
    close_sample(&o);
}

/* ---- other sizes ---------------------------------------------------------------------------------------------------- */

/* Metres are baseline times focal length over disparity, both at the stored width: the focal length is scaled as the
 * disparities are, whatever of the image is stored. */
static void check_camera(const opened *o, double scale)
{
    double fx = o->sample.fx_pixels * o->sample.width / o->sample.original_width;
    SM_TEST_AT_MOST(fabs(fx - 900 * scale), 1e-9);
    CU_ASSERT(o->sample.baseline_metres == 0.2);
}

/* Half the size, 4 x 6, in a place of 4 x 10: two columns are left on each side. */
static void a_letterbox_has_invalid_borders(void)
{
    const folder_tree_options options = {.describe = everything, .height = 4, .width = 10, .fit = SM_FIT_LETTERBOX};
    folder_tree_begin("letterbox");
    write_everything();
    SM_TEST_OK(folder_tree_import("list.csv", &options));
    opened o = open_sample("train", "photos/a b");
    const uint8_t *image = o.sample.input, *semantic = data_of(&o, "semantic");
    const float *disparity = data_of(&o, "disparity"), *flow = data_of(&o, "flow"), *depth = data_of(&o, "depth");
    for (int i = 0; i < 40; i++) {
        int y = i / 10, x = i % 10 - 2;
        if (x < 0 || x >= 6) {
            CU_ASSERT(image[3 * i] == 124 && image[3 * i + 1] == 116 && image[3 * i + 2] == 104);
            CU_ASSERT(semantic[i] == 255 && isnan(disparity[i]) && isnan(flow[2 * i]) && isnan(depth[i]));
            CU_ASSERT(((const uint16_t *)data_of(&o, "instance"))[i] == 0);
            continue;
        }
        int nearest = (2 * y + 1) * W + 2 * x + 1;
        CU_ASSERT(image[3 * i + 1] == 100 && image[3 * i + 2] == 200);
        CU_ASSERT(semantic[i] == class_of(id_at(0, 2 * y + 1, 2 * x + 1)));
        /* four of 2 (x + y) and 0, 1, 1, 2 more: the middle two are alike; then half, as the width */
        CU_ASSERT(disparity[i] == (float)(2 * (x + y) + 1) / 2);
        CU_ASSERT(flow[2 * i] == (float)nearest && flow[2 * i + 1] == (float)(2 * nearest + 1) / 2);
    }
    CU_ASSERT(o.sample.original_height == H && o.sample.original_width == 20); /* with its borders */
    check_camera(&o, 0.5);
    close_sample(&o);
}

/* 8 x 12 in 4 x 4 fills it at half the size; of 6 columns the middle 4 stay. */
static void a_crop_keeps_the_middle(void)
{
    const folder_tree_options options = {.describe = everything, .height = 4, .width = 4, .fit = SM_FIT_CROP};
    folder_tree_begin("crop");
    write_everything();
    SM_TEST_OK(folder_tree_import("list.csv", &options));
    opened o = open_sample("train", "photos/a b");
    const uint8_t *semantic = data_of(&o, "semantic");
    for (int i = 0; i < 16; i++) {
        int y = i / 4, x = i % 4 + 1;
        CU_ASSERT(semantic[i] == class_of(id_at(0, 2 * y + 1, 2 * x + 1)));
        CU_ASSERT(((const float *)data_of(&o, "disparity"))[i] == (float)(2 * (x + y) + 1) / 2);
    }
    CU_ASSERT(o.sample.original_height == H && o.sample.original_width == 8);
    check_camera(&o, 0.5);
    close_sample(&o);
}

/* 12 columns become 11 and 5 of them stay, which show 5.45 of the original: no whole number. */
static void a_crop_of_parts_of_pixels_keeps_the_camera(void)
{
    const folder_tree_options options = {.describe = everything, .height = 7, .width = 5, .fit = SM_FIT_CROP};
    folder_tree_begin("parts");
    write_everything();
    SM_TEST_OK(folder_tree_import("list.csv", &options));
    opened o = open_sample("train", "photos/a b");
    CU_ASSERT(o.sample.original_height == H && o.sample.original_width == 5);
    check_camera(&o, 11.0 / 12);
    close_sample(&o);
}

/* One valid pixel in each 4 x 4: the median of a dense map is lost, the nearest of a sparse one is that pixel. */
static int lone_at(int seed, int y, int x)
{
    (void)seed;
    return y % 4 == 3 && x % 4 == 0 ? 1000 * (1 + y / 4 * 3 + x / 4) : 0;
}

static void sparse_maps_keep_their_only_values(void)
{
    static const char text[] = "[target.depth]\nkind = depth_map\nscale = 0.001\nsparse = %s\n";
    folder_tree_begin("sparse");
    folder_tree_image("images/a.png", 0);
    folder_tree_png("depth/a.png", W, 1, 16, 0, lone_at);
    for (int is_sparse = 0; is_sparse < 2; is_sparse++) {
        char *describe = sm_format(text, is_sparse ? "yes" : "no");
        const folder_tree_options options = {.describe = describe, .height = 2, .width = 3};
        SM_TEST_OK(folder_tree_import("", &options));
        opened o = open_sample("train", "a");
        for (int i = 0; i < 6; i++) {
            float depth = ((const float *)data_of(&o, "depth"))[i];
            CU_ASSERT(is_sparse ? depth == (float)(i + 1) : isnan(depth));
        }
        close_sample(&o);
        sm_free(describe);
    }
}

/* ---- folders -------------------------------------------------------------------------------------------------------- */

static const char ids_only[] = "[target.semantic]\nkind = class_map\nfolder = labels\nnames = a, b\n"
                               "ids = 7, 11|12\nignore = 33\n";

static void folders_of_splits_lie_either_way(void)
{
    static const struct {
        const char *image, *labels, *describe;
    } layouts[] = {
        {"images/train/x/1.png", "labels/train/x/1.png", "[image]\nfolder = images\n"},
        {"training/images/x/1.PNG", "training/labels/x/1.png", ""},
        {"train/x/1.png", "trainannot/x/1.png", "[image]\nfolder = {split}\n"},
        {"images/train/x/1_rgb.png", "train/labels/x/1_gt.png", "[image]\nsuffix = _rgb\n"},
    };
    for (size_t l = 0; l < sizeof layouts / sizeof *layouts; l++) {
        char *name = sm_format("layout%zu", l);
        char *describe = sm_format("%s%s%s%s", layouts[l].describe, ids_only, l == 3 ? "suffix = _gt\n" : "", "");
        if (l == 2) {
            char *annot = strstr(describe, "folder = labels");
            memcpy(annot, ";older = labels", 15); /* a comment */
            char *longer = sm_format("%sfolder = {split}annot\n", describe);
            sm_free(describe);
            describe = longer;
        }
        folder_tree_begin(name);
        folder_tree_image(layouts[l].image, 1);
        folder_tree_png(layouts[l].labels, W, 1, 8, 1, id_at);
        folder_tree_image(l == 2 ? "val/2.png" : l == 3 ? "val/images/2_rgb.png" : "val/images/2.png", 2);
        const folder_tree_options options = {.describe = describe};
        SM_TEST_OK(folder_tree_import("", &options));
        opened o = open_sample("train", "x/1");
        CU_ASSERT(((const uint8_t *)data_of(&o, "semantic"))[W] == class_of(id_at(1, 1, 0)));
        close_sample(&o);
        o = open_sample("val", "2");
        CU_ASSERT(((const uint8_t *)data_of(&o, "semantic"))[0] == 255);
        close_sample(&o);
        sm_free(describe);
        sm_free(name);
    }
}

static void splits_have_synonyms_and_further_names(void)
{
    static const char *const splits[] = {"train", "val", "test", "extra-1"};
    const folder_tree_options options = {.describe = "[image]\nsplits = extra-1\n"};
    folder_tree_begin("synonyms");
    for (int i = 0; i < 5; i++) {
        char *name = sm_format("%d.png", i);
        folder_tree_image(name, i);
        sm_free(name);
    }
    folder_tree_text("list.csv",
                     "image,split\n0.png,extra-1\n1.png,Training\n2.png,valid\n3.png,testing\n4.png,VALIDATION\n");
    folder_tree_image("root/images/training/1.png", 1);
    folder_tree_image("root/images/validation/2.png", 2);
    folder_tree_image("root/images/valid/4.png", 4);
    folder_tree_image("root/test/images/3.png", 3);
    folder_tree_image("root/extra-1/images/0.png", 0);
    for (int f = 0; f < 2; f++) {
        SM_TEST_OK(folder_tree_import(f == 0 ? "list.csv" : "root", &options));
        for (int s = 0; s < 4; s++) {
            sm_dataset *dataset = folder_tree_open(splits[s]);
            CU_ASSERT(sm_dataset_count(dataset) == (s == 1 ? 2 : 1));
            sm_dataset_close(dataset);
        }
    }
}

static void classes_may_be_folders(void)
{
    const folder_tree_options options = {.describe = "[target.animal]\nkind = class\n"};
    folder_tree_begin("animals");
    folder_tree_image("train/dog/1.png", 1);
    folder_tree_image("train/cat/1.png", 2);
    folder_tree_image("val/dog/2.png", 3);
    SM_TEST_OK(folder_tree_import("", &options));
    opened o = open_sample("train", "dog/1");
    const sm_class_list *classes = sm_dataset_target(o.dataset, "animal")->classes;
    CU_ASSERT(classes->count == 2 && strcmp(classes->names[0], "cat") == 0);
    CU_ASSERT(*(const uint8_t *)data_of(&o, "animal") == 1);
    close_sample(&o);
}

/* Whole numbers are ids from 0 on; with a zero in front they are names, and 01 is not 1. */
static void numbers_are_ids_but_for_those_with_zeros_in_front(void)
{
    static const struct {
        const char *cells[2], *second;
        int count, first_id;
    } cases[] = {{{"2", "0"}, "1", 3, 2}, {{"007", "01"}, "01", 2, 0}, {{"1", "01"}, "1", 2, 1}};
    const folder_tree_options options = {.describe = "[target.kind]\nkind = class\n"};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char *folder = sm_format("numbers%zu", c);
        char *text = sm_format("image,kind\n1.png,%s\n2.png,%s\n", cases[c].cells[0], cases[c].cells[1]);
        folder_tree_begin(folder);
        folder_tree_image("1.png", 1);
        folder_tree_image("2.png", 2);
        folder_tree_text("list.csv", text);
        SM_TEST_OK(folder_tree_import("list.csv", &options));
        opened o = open_sample("train", "1");
        const sm_class_list *classes = sm_dataset_target(o.dataset, "kind")->classes;
        CU_ASSERT_FATAL(classes->count == cases[c].count);
        CU_ASSERT(strcmp(classes->names[1], cases[c].second) == 0);
        CU_ASSERT(*(const uint8_t *)data_of(&o, "kind") == cases[c].first_id);
        close_sample(&o);
        sm_free(folder);
        sm_free(text);
    }
}

static void images_alone_are_enough(void)
{
    const folder_tree_options options = {0};
    folder_tree_begin("alone");
    folder_tree_image("1.png", 1);
    folder_tree_png("labels/1.png", W, 1, 8, 1, id_at);
    SM_TEST_OK(folder_tree_import("", &options));
    sm_dataset *dataset = folder_tree_open("train");
    int count;
    sm_dataset_targets(dataset, &count);
    CU_ASSERT(sm_dataset_count(dataset) == 1 && count == 0);
    sm_dataset_close(dataset);
}

/* What an import without a description, that ends like this, prints on rank 0; the same on every rank. */
static char *suggested_for(const char *inner, sm_status expected)
{
    const folder_tree_options options = {0};
    char *path = folder_tree_path("suggested.ini"), *text = NULL;
    int is_root = sm_comm_rank(test_comm) == 0, saved = dup(STDOUT_FILENO);
    fflush(stdout);
    int file = is_root ? open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600) : -1;
    CU_ASSERT(!is_root || dup2(file, STDOUT_FILENO) >= 0);
    sm_log_set_quiet(0);
    sm_status status = folder_tree_import(inner, &options);
    sm_log_set_quiet(1);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    if (is_root) {
        close(file);
    }
    CU_ASSERT(status == expected);
    SM_TEST_OK(sm_file_read_text(path, &text));
    sm_free(path);
    return text;
}

static int few_at(int seed, int y, int x)
{
    return (x + y + seed) % 3;
}

static void a_suggested_description_works(void)
{
    folder_tree_begin("suggested");
    folder_tree_image("photos/1.png", 1);
    folder_tree_png("maps/ids.png", W, 1, 8, 0, few_at);
    folder_tree_png("maps/colours.png", W, 3, 8, 0, colour_at);
    folder_tree_png("maps/mm.png", W, 1, 16, 0, millimetres_at);
    folder_tree_png("maps/disp.png", W, 1, 16, 0, disparity_at);
    folder_tree_text("list.csv", "image,ids,paint,mm,disp,instances,speed,2nd word,empty\nphotos/1.png,maps/ids.png,"
                                 "maps/colours.png,maps/mm.png,maps/disp.png,maps/mm.png,1.5,fog,\n");
    char *text = suggested_for("list.csv", SM_OK);
    const folder_tree_options options = {.describe = text};
    SM_TEST_OK(folder_tree_import("list.csv", &options));
    opened o = open_sample("train", "photos/1");
    CU_ASSERT(((const uint8_t *)data_of(&o, "semantic"))[W] == few_at(0, 1, 0));
    CU_ASSERT(((const uint8_t *)data_of(&o, "paint"))[0] == 0 && ((const uint8_t *)data_of(&o, "paint"))[2] == 1);
    CU_ASSERT(((const float *)data_of(&o, "depth"))[1] == 1.1F);
    CU_ASSERT(((const float *)data_of(&o, "disparity"))[1] == 2);
    CU_ASSERT(((const uint16_t *)data_of(&o, "instance"))[0] == 0);
    CU_ASSERT(*(const float *)data_of(&o, "speed") == 1.5F);
    const sm_target *word = sm_dataset_target(o.dataset, "_2nd_word");
    CU_ASSERT(word && strcmp(word->classes->names[0], "fog") == 0);
    close_sample(&o);
    sm_free(text);
}

static int late_at(int seed, int y, int x)
{
    return seed == 2 && y == 1 && x == 2 ? 9 : 1;
}

static int late_colour_at(int seed, int y, int x)
{
    return late_at(seed, y, x) == 9 ? 0x3 : 0x2;
}

/* What only the last of the maps, and of the texts, shows. */
static void a_suggestion_looks_at_several_files(void)
{
    folder_tree_begin("several");
    for (int i = 0; i < 3; i++) {
        char *image = sm_format("images/%d.png", i), *ids = sm_format("ids/%d.png", i),
             *paint = sm_format("paint/%d.png", i), *word = sm_format("word/%d.txt", i);
        folder_tree_image(image, i);
        folder_tree_png(ids, W, 1, 8, i, late_at);
        folder_tree_png(paint, W, 3, 8, i, late_colour_at);
        folder_tree_text(word, i == 2 ? "many\n" : "1\n");
        sm_free(image);
        sm_free(ids);
        sm_free(paint);
        sm_free(word);
    }
    char *text = suggested_for("", SM_OK);
    const folder_tree_options options = {.describe = text};
    CU_ASSERT(strstr(text, "class9    ; of ids 0, 1, ...; the largest in 3 of 3 maps") != NULL);
    CU_ASSERT(strstr(text, "palette = 2 0 0, 3 0 0    ; R G B of each; those in 3 of 3 maps") != NULL);
    SM_TEST_OK(folder_tree_import("", &options));
    opened o = open_sample("train", "2");
    CU_ASSERT(((const uint8_t *)data_of(&o, "semantic"))[W + 2] == 9);
    CU_ASSERT(((const uint8_t *)data_of(&o, "paint"))[W + 2] == 1);
    CU_ASSERT(sm_dataset_target(o.dataset, "word")->type == SM_TARGET_CLASS);
    close_sample(&o);
    sm_free(text);
}

static void folders_that_look_like_classes_are_suggested(void)
{
    static const char *const roots[] = {"", "train/", "images/"};
    for (int r = 0; r < 3; r++) {
        static const char *const names[] = {"dog/1.png", "cat/1.png", "cat/2.png"};
        char *tree = sm_format("classes%d", r);
        folder_tree_begin(tree);
        for (int i = 0; i < 3; i++) {
            char *path = sm_format("%s%s", roots[r], names[i]);
            folder_tree_image(path, i);
            sm_free(path);
        }
        char *text = suggested_for("", r == 2 ? SM_OK : SM_ERR_INPUT);
        const folder_tree_options options = {.describe = text};
        SM_TEST_OK(folder_tree_import("", &options));
        opened o = open_sample("train", "dog/1");
        CU_ASSERT(*(const uint8_t *)data_of(&o, "class") == 1);
        CU_ASSERT(strcmp(sm_dataset_target(o.dataset, "class")->classes->names[1], "dog") == 0);
        close_sample(&o);
        sm_free(text);
        sm_free(tree);
    }
    folder_tree_begin("pairs"); /* of images and maps, of one name each */
    for (int i = 0; i < 4; i++) {
        char *path = sm_format("%s/%d.png", i < 2 ? "rgb" : "labels", i % 2);
        folder_tree_image(path, i);
        sm_free(path);
    }
    char *text = suggested_for("", SM_ERR_INPUT);
    SM_TEST_MESSAGE("holds labels/, rgb/");
    CU_ASSERT(*text == '\0');
    sm_free(text);
}

/* ---- splits and statistics ------------------------------------------------------------------------------------------ */

enum { MANY = 40 };

/* Bit i: image i is in val. */
static uint64_t val_of(const char *seed)
{
    const folder_tree_options options = {.split = "0.75,0.25", .seed = seed};
    SM_TEST_OK(folder_tree_import("", &options));
    sm_dataset *train = folder_tree_open("train"), *val = folder_tree_open("val");
    uint64_t found = 0;
    CU_ASSERT(sm_dataset_count(train) == MANY * 3 / 4 && sm_dataset_count(val) == MANY / 4);
    for (int64_t i = 0; i < sm_dataset_count(val); i++) {
        found |= (uint64_t)1 << atoi(sm_dataset_name(val, i));
    }
    sm_dataset_close(train);
    sm_dataset_close(val);
    return found;
}

static void splits_are_drawn_by_names_and_seed(void)
{
    folder_tree_begin("drawn");
    for (int i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "images/%02d.png", i);
        folder_tree_image(name, i % 5);
    }
    uint64_t one = val_of("1"), again = val_of(NULL), other = val_of("2");
    CU_ASSERT(one == again && one != other);
    uint64_t first_quarter = ((uint64_t)1 << MANY / 4) - 1;
    CU_ASSERT(one != first_quarter && one != first_quarter << MANY * 3 / 4);
}

/* What shares leave is the next split's. */
static void the_rest_of_shares_is_the_next_split(void)
{
    static const struct {
        const char *shares;
        int count[3];
    } rows[] = {{"0.75", {30, 10, 0}}, {"0.5,0.25", {20, 10, 10}}, {"1", {40, 0, 0}}, {"0.5,0,0.5", {20, 0, 20}}};
    static const char *const splits[] = {"train", "val", "test"};
    folder_tree_begin("drawn");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const folder_tree_options options = {.split = rows[r].shares};
        SM_TEST_OK(folder_tree_import("", &options));
        for (int s = 0; s < 3; s++) {
            if (rows[r].count[s] > 0) {
                sm_dataset *dataset = folder_tree_open(splits[s]);
                CU_ASSERT(sm_dataset_count(dataset) == rows[r].count[s]);
                sm_dataset_close(dataset);
            }
        }
    }
}

/* Those of the image and of a map each in a folder below the manifest's. */
static void paths_of_a_column_may_lie_in_a_folder(void)
{
    const folder_tree_options options = {.describe = "[image]\ncolumn = photo\nfolder = photos\n[target.semantic]\n"
                                                     "kind = class_map\nfolder = maps/ids/\nnames = a, b\nids = 7, "
                                                     "11|12\nignore = 33\n"};
    folder_tree_begin("below");
    folder_tree_image("photos/x/1.png", 1);
    folder_tree_png("maps/ids/1.png", W, 1, 8, 1, id_at);
    folder_tree_text("list.csv", "photo,semantic\nx/1.png,1.png\n");
    SM_TEST_OK(folder_tree_import("list.csv", &options));
    opened o = open_sample("train", "x/1");
    CU_ASSERT(((const uint8_t *)data_of(&o, "semantic"))[W] == class_of(id_at(1, 1, 0)));
    close_sample(&o);
}

static void statistics_are_those_of_the_images_of_train(void)
{
    const folder_tree_options options = {.measures = 1, .height = H, .width = W + 5, .fit = SM_FIT_LETTERBOX};
    double sum = 0, square = 0;
    folder_tree_begin("measured");
    folder_tree_image("images/train/1.png", 1);
    folder_tree_image("images/train/2.png", 4);
    folder_tree_image("images/val/3.png", 5);
    SM_TEST_OK(folder_tree_import("", &options));
    for (int i = 0; i < 2 * AREA; i++) {
        double red = (3 * (i % W) + 5 * (i % AREA / W) + 20 * (i < AREA ? 1 : 4)) / 255.0;
        sum += red;
        square += red * red;
    }
    double mean = sum / (2 * AREA), deviation = sqrt(square / (2 * AREA) - mean * mean);
    sm_dataset *dataset = folder_tree_open("val");
    const sm_input *input = sm_dataset_input(dataset);
    SM_TEST_AT_MOST(fabs(input->mean[0] - mean), 1e-12); /* sums in double against sums of whole numbers */
    SM_TEST_AT_MOST(fabs(input->std[0] - deviation), 1e-12);
    SM_TEST_AT_MOST(fabs(input->mean[2] - 200 / 255.0), 1e-12);
    SM_TEST_AT_MOST(fabs(input->std[2] - 1 / 255.0), 1e-12); /* of one colour: never 0 */
    sm_dataset_close(dataset);
}

static void the_file_says_how_images_were_fitted(void)
{
    const folder_tree_options options = {.height = H, .width = W, .fit = SM_FIT_CROP};
    char *path = NULL, *fit = NULL;
    sm_h5 *file = NULL;
    folder_tree_begin("fitted");
    folder_tree_image("a.png", 1);
    SM_TEST_OK(folder_tree_import("", &options));
    path = folder_tree_path("out.h5");
    SM_TEST_OK(sm_h5_open(path, &file));
    SM_TEST_OK(sm_h5_read_attribute_text(file, "/", "fit", &fit));
    CU_ASSERT(fit && strcmp(fit, "crop") == 0);
    sm_h5_close(file);
    sm_free(fit);
    sm_free(path);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_manifest_with_everything_is_exact);
    SM_TEST(a_letterbox_has_invalid_borders);
    SM_TEST(a_crop_keeps_the_middle);
    SM_TEST(a_crop_of_parts_of_pixels_keeps_the_camera);
    SM_TEST(sparse_maps_keep_their_only_values);
    SM_TEST(folders_of_splits_lie_either_way);
    SM_TEST(splits_have_synonyms_and_further_names);
    SM_TEST(classes_may_be_folders);
    SM_TEST(numbers_are_ids_but_for_those_with_zeros_in_front);
    SM_TEST(images_alone_are_enough);
    SM_TEST(a_suggested_description_works);
    SM_TEST(a_suggestion_looks_at_several_files);
    SM_TEST(folders_that_look_like_classes_are_suggested);
    SM_TEST(splits_are_drawn_by_names_and_seed);
    SM_TEST(the_rest_of_shares_is_the_next_split);
    SM_TEST(paths_of_a_column_may_lie_in_a_folder);
    SM_TEST(statistics_are_those_of_the_images_of_train);
    SM_TEST(the_file_says_how_images_were_fitted);
    return sm_test_end();
}
