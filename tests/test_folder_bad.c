/* ranks: 1 4 */
/* `data folder` of what users may bring by mistake: a message that names file, row and what was expected; nothing under the
 * output's name. */
#include "folder_tree.h"
#include "harness.h"
#include "image_bytes.h"

#include <sigmatic/data/dataset.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { W = TREE_W, H = TREE_H };

static int zero_at(int seed, int y, int x)
{
    (void)seed;
    (void)y;
    (void)x;
    return 0;
}

static int odd_at(int seed, int y, int x)
{
    return y == 3 && x == 5 ? seed : 0; /* one pixel that is not like the others */
}

static void check_no_output(void)
{
    char *output = folder_tree_path("out.h5");
    CU_ASSERT(!sm_file_exists(output));
    sm_free(output);
}

static void refuse(const char *inner, const folder_tree_options *options, const char *const *parts)
{
    sm_status status = folder_tree_import(inner, options);
    CU_ASSERT(status == SM_ERR_INPUT || status == SM_ERR_IO || status == SM_ERR_CONFIG || status == SM_ERR_USAGE);
    for (; *parts; parts++) {
        SM_TEST_MESSAGE(*parts);
    }
    check_no_output();
}

/* ---- files of a row -------------------------------------------------------------------------------------------------- */

static const char describe[] = "[target.semantic]\nkind = class_map\ncolumn = labels\nnames = a, b\nignore = 255\n"
                               "[target.instance]\nkind = instance_map\n"
                               "[target.depth]\nkind = depth_map\nscale = 0.001\n"
                               "[target.flow]\nkind = value_map\ncomponents = 2\n"
                               "[target.speed]\nkind = value\n"
                               "[target.weather]\nkind = class\nnames = sun, rain\n"
                               "[target.tags]\nkind = labels\nnames = day, wet\n";

/* Row `line` 4 of list.csv, the third sample, has these cells; the others are good. */
typedef struct cells {
    const char *image, *labels, *instance, *depth, *flow, *speed, *weather, *tags;
} cells;

static const cells good = {"3.png", "ids.png", "none.png", "mm.png", "flow.npy", "1", "sun", "wet"};

static void write_good(void)
{
    static const size_t shape[3] = {H, W, 2};
    static const float flow[H * W * 2];
    for (int i = 1; i <= 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d.png", i);
        folder_tree_image(name, i);
    }
    folder_tree_png("ids.png", W, 1, 8, 1, odd_at);
    folder_tree_png("none.png", W, 1, 16, 0, zero_at); /* no instance at all */
    folder_tree_png("mm.png", W, 1, 16, 2000, odd_at);
    folder_tree_npy("flow.npy", 3, shape, flow);
}

static void write_manifest(const cells *third)
{
    char text[2048] = "image,labels,instance,depth,flow,speed,weather,tags\n";
    for (int i = 1; i <= 5; i++) {
        const cells *c = i == 3 ? third : &good;
        char image[16];
        snprintf(image, sizeof image, "%d.png", i);
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s,%s,%s,%s,%s,%s,%s,%s\n", i == 3 ? c->image : image, c->labels,
                 c->instance, c->depth, c->flow, c->speed, c->weather, c->tags);
    }
    folder_tree_text("list.csv", text);
}

/* One bad cell: which, its text, and what the message must have beside the row. */
typedef struct bad_cell {
    size_t place; /* in `cells` */
    const char *text, *parts[3];
} bad_cell;

#define CELL(name) (offsetof(cells, name))

static const bad_cell bad_cells[] = {
    {CELL(image), "absent.png", {"absent.png", NULL}},
    {CELL(image), "cut.png", {"cut.png", "truncated", NULL}},
    {CELL(image), "cut.jpg", {"cut.jpg", NULL}},
    {CELL(image), "cmyk.jpg", {"cmyk.jpg", "CMYK", NULL}},
    {CELL(image), "text.png", {"text.png", "PNG", NULL}},
    {CELL(image), "wide.png", {"wide.png: 8 x 13 pixels", "the first image has 8 x 12", "--size"}},
    {CELL(labels), "absent.png", {"absent.png", NULL}},
    {CELL(labels), "wide_ids.png", {"wide_ids.png: 8 x 13 pixels", "its image has 8 x 12", NULL}},
    {CELL(labels), "odd.png", {"odd.png: id 2 at row 3, column 5", "[target.semantic]", "2 classes"}},
    {CELL(labels), "rgb.png", {"rgb.png: an RGB image", "no palette", NULL}},
    {CELL(labels), "photo.jpg", {"photo.jpg: a JPEG", "PNG or .npy", NULL}},
    {CELL(labels), "cut.png", {"cut.png", "truncated", NULL}},
    {CELL(labels), "half.npy", {"half.npy", "0.5", NULL}},
    {CELL(labels), "short.npy", {"short.npy: shape (4, 12)", "(8, 12)", NULL}},
    {CELL(instance), "rgb16.png", {"rgb16.png: RGB of 16 bits", NULL}},
    {CELL(depth), "rgb.png", {"rgb.png: 3 channels, expected 1", NULL}},
    {CELL(depth), "hostile.npy", {"hostile.npy", NULL}},
    {CELL(depth), "inf.npy", {"inf.npy: floats, but whole numbers of 16 bits", "mm.png, the first", NULL}},
    {CELL(depth), "list.csv", {"list.csv", NULL}},
    {CELL(flow), "short.npy", {"short.npy: shape (4, 12)", "(8, 12, 2)", NULL}},
    {CELL(flow), "mm.png", {"mm.png: 1 channel, expected 2 (as .npy)", NULL}},
    {CELL(speed), "fast", {"'fast' is no number", "[target.speed]", NULL}},
    {CELL(speed), "1 2", {"'1 2' has 2 numbers, expected 1", NULL}},
    {CELL(speed), "\"1,5\"", {"'1,5' is no number", NULL}},
    {CELL(weather), "fog", {"'fog' is neither a name nor an id of [target.weather]", NULL}},
    {CELL(tags), "wet|fog", {"'fog' is neither a name nor an id of [target.tags]", NULL}},
};

static void write_bad_files(void)
{
    static const size_t shape[2] = {H, W}, short_shape[2] = {4, W};
    float values[H * W] = {0};
    static const char hostile[] = "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, "
                                  "'shape': (99999999999, 99999999999), }";
    folder_tree_bytes("cut.png", grey_16_png, sizeof grey_16_png - 20);
    folder_tree_bytes("cut.jpg", rgb_jpeg, sizeof rgb_jpeg / 2);
    folder_tree_bytes("cmyk.jpg", cmyk_jpeg, sizeof cmyk_jpeg);
    folder_tree_bytes("photo.jpg", rgb_jpeg, sizeof rgb_jpeg);
    folder_tree_text("text.png", "no image");
    folder_tree_bytes("hostile.npy", hostile, sizeof hostile);
    folder_tree_png("wide.png", W + 1, 3, 8, 0, zero_at);
    folder_tree_png("wide_ids.png", W + 1, 1, 8, 0, zero_at);
    folder_tree_png("odd.png", W, 1, 8, 2, odd_at);
    folder_tree_png("rgb.png", W, 3, 8, 0, zero_at);
    folder_tree_png("rgb16.png", W, 3, 16, 0, zero_at);
    folder_tree_npy("short.npy", 2, short_shape, values);
    values[0] = 0.5F;
    folder_tree_npy("half.npy", 2, shape, values);
    values[0] = 1;
    values[1] = (float)INFINITY;
    folder_tree_npy("inf.npy", 2, shape, values);
}

static void a_bad_cell_is_named_with_its_row(void)
{
    const folder_tree_options options = {.describe = describe};
    folder_tree_begin("rows");
    write_good();
    write_bad_files();
    for (size_t b = 0; b < sizeof bad_cells / sizeof *bad_cells; b++) {
        const bad_cell *bad = &bad_cells[b];
        cells third = good;
        memcpy((char *)&third + bad->place, &bad->text, sizeof bad->text);
        write_manifest(&third);
        const char *parts[] = {"list.csv:4: ", bad->parts[0], bad->parts[1], bad->parts[1] ? bad->parts[2] : NULL,
                               NULL};
        refuse("list.csv", &options, parts);
    }
    write_manifest(&good);
    SM_TEST_OK(folder_tree_import("list.csv", &options));
}

static void bad_rows_may_be_left_out(void)
{
    const folder_tree_options options = {.describe = describe, .skip_bad = 1, .measures = 1};
    cells third = good;
    char **left_out = NULL, *path;
    size_t count = 0;
    sm_h5 *file = NULL;
    folder_tree_begin("skipped");
    write_good();
    write_bad_files();
    third.image = "cut.png";
    write_manifest(&third);
    SM_TEST_OK(folder_tree_import("list.csv", &options));
    sm_dataset *dataset = folder_tree_open("train");
    CU_ASSERT(sm_dataset_count(dataset) == 4 && strcmp(sm_dataset_name(dataset, 2), "4") == 0);
    sm_dataset_close(dataset);
    path = folder_tree_path("out.h5");
    SM_TEST_OK(sm_h5_open(path, &file));
    SM_TEST_OK(sm_h5_read_texts(file, "/left_out", &left_out, &count));
    CU_ASSERT(count == 1 && strstr(left_out[0], "list.csv:4: ") && strstr(left_out[0], "cut.png"));
    sm_h5_close(file);
    sm_free(left_out);
    sm_free(path);
}

/* ---- numbers stored in two ways ----------------------------------------------------------------------------------- */

static int ten_at(int seed, int y, int x)
{
    (void)y;
    return seed + x;
}

static void one_target_stores_its_numbers_in_one_way(void)
{
    static const size_t shape[2] = {TREE_H, TREE_W};
    static float metres[TREE_H * TREE_W];
    const folder_tree_options options = {.describe = "[target.depth]\nkind = depth_map\nscale = 0.001\n"};
    folder_tree_begin("storage");
    for (int i = 0; i < TREE_H * TREE_W; i++) {
        metres[i] = 2;
    }
    folder_tree_image("1.png", 1);
    folder_tree_image("2.png", 2);
    folder_tree_image("3.png", 3);
    folder_tree_png("16.png", TREE_W, 1, 16, 1000, ten_at);
    folder_tree_png("8.png", TREE_W, 1, 8, 100, ten_at);
    folder_tree_npy("floats.npy", 2, shape, metres);
    folder_tree_text("bits.csv", "image,depth\n1.png,16.png\n2.png,16.png\n3.png,8.png\n");
    folder_tree_text("types.csv", "image,depth\n1.png,\n2.png,floats.npy\n3.png,16.png\n");
    folder_tree_text("whole.csv", "image,depth\n1.png,8.png\n2.png,8.png\n");
    refuse("bits.csv", &options,
           (const char *const[]){"bits.csv:4: ", "8.png: whole numbers of 8 bits, but ", "16 bits", "16.png, the first",
                                 "[target.depth]", NULL});
    refuse("types.csv", &options,
           (const char *const[]){"types.csv:4: ", "16.png: whole numbers of 16 bits", "but floats in ",
                                 "floats.npy, the first", NULL});
    metres[1] = INFINITY;
    folder_tree_npy("inf.npy", 2, shape, metres);
    folder_tree_text("inf.csv", "image,depth\n1.png,floats.npy\n2.png,inf.npy\n");
    refuse("inf.csv", &options,
           (const char *const[]){"inf.csv:3: ", "inf.npy: inf m at row 0, column 1", "[target.depth]", NULL});
    SM_TEST_OK(folder_tree_import("whole.csv", &options));

    /* the first is the odd one */
    const folder_tree_options skip = {.describe = options.describe, .skip_bad = 1};
    folder_tree_text("first.csv", "image,depth\n1.png,8.png\n2.png,16.png\n3.png,16.png\n");
    char *output = folder_tree_path("out.h5");
    SM_TEST_OK(sm_comm_rank(test_comm) == 0 ? sm_remove_tree(output) : SM_OK);
    sm_free(output);
    refuse("first.csv", &skip,
           (const char *const[]){"2 of 3 samples have bad files, the first: ", "first.csv:3: ", "8.png, the first file",
                                 "--skip-bad", NULL});
}

/* ---- manifests ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *split, *parts[3];
} manifests[] = {
    {"image,label\n1.png,ids.png\n", NULL, {"list.csv", "'labels'", "label"}},
    {"file,labels\n1.png,ids.png\n", NULL, {"list.csv", "'image'", "file"}},
    {"image,labels\n", NULL, {"list.csv: no rows", NULL}},
    {"", NULL, {"list.csv", NULL}},
    {"image,labels\n1.png,ids.png,7\n", NULL, {"list.csv:2", NULL}},
    {"image,labels\n1.png\n", NULL, {"list.csv:2", NULL}},
    {"image,labels\n\"1.png,ids.png\n", NULL, {"list.csv:2", NULL}},
    {"image,labels\n,ids.png\n", NULL, {"list.csv:2: column 'image' is empty", NULL}},
    {"image,labels\n1.png,ids.png\n2.png,\n1.png,\n", NULL, {"list.csv:2 and ", "list.csv:4", "'1' is twice in split"}},
    {"image,labels,split\n1.png,ids.png,train\n2.png,,\n", NULL, {"list.csv:3: column 'split' is empty", NULL}},
    {"image,labels,split\n1.png,ids.png,train\n2.png,,trian\n",
     NULL,
     {"list.csv:3: column 'split' is 'trian', expected train, training, val, validation,", "key splits of [image]",
      NULL}},
    {"image,labels,split\n1.png,ids.png,train\n", "0.5,0.5", {"--split is for samples without splits", NULL}},
    {"image,labels\n1.png,ids.png\n", "0.5,half", {"--split '0.5,half'", "0.8,0.1,0.1", NULL}},
    {"image,labels\n1.png,ids.png\n", "0.5,0.5", {"none of 1 sample", NULL}},
    {"image,labels\n1.png,ids.png\n", "0.8", {"--split gives val none of 1 sample", NULL}},
    {"image,labels\n1.png,ids.png\n", "0.8,0.5", {"--split '0.8,0.5'", "add up to 1.3", NULL}},
    {"image,labels\n1.png,ids.png\n", "0.3,0.3,0.3", {"add up to 0.9, expected 1", NULL}},
    {"image,labels\nphotos/9.png,ids.png\n", NULL, {"list.csv:2: ", "photos/9.png: no such file", "[image]"}},
    {"image,labels\n1.png,absent.png\n", NULL, {"list.csv:2: ", "absent.png: no such file", "[target.semantic]"}},
};

static void a_bad_manifest_is_refused(void)
{
    folder_tree_begin("manifests");
    write_good();
    for (size_t m = 0; m < sizeof manifests / sizeof *manifests; m++) {
        const folder_tree_options options = {.describe =
                                                 "[target.semantic]\nkind = class_map\ncolumn = labels\nnames = a, b\n",
                                             .split = manifests[m].split};
        const char *const *p = manifests[m].parts;
        const char *parts[] = {p[0], p[1], p[1] ? p[2] : NULL, NULL};
        folder_tree_text("list.csv", manifests[m].text);
        refuse("list.csv", &options, parts);
    }
}

/* ---- descriptions ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *parts[3];
} descriptions[] = {
    {"[target.semantic]\nkind = classes\n", {"describe.ini:2", "class_map", NULL}},
    {"[target.semantic]\nkind = class_map\nname = a, b\n", {"describe.ini:3", "did you mean 'names'", NULL}},
    {"[target.semantic]\nnames = a, b\n", {"describe.ini", "kind", NULL}},
    {"[targets]\n", {"describe.ini:1", "target", NULL}},
    {"[target.semantic]\nkind = class_map\n", {"[target.semantic] names", "0 names", NULL}},
    {"[target.semantic]\nkind = class_map\nnames = a, b, a\n", {"describe.ini:3", "'a' stands twice", NULL}},
    {"[target.semantic]\nkind = class_map\nnames = a, b\nids = 1\n", {"describe.ini:4", "1 item for 2 names", NULL}},
    {"[target.semantic]\nkind = class_map\nnames = a, b\nids = 1, x\n", {"describe.ini:4", "'x'", "a number"}},
    {"[target.semantic]\nkind = class_map\nnames = a, b\nids = 1, 1\n", {"describe.ini:4", "1 has two meanings", NULL}},
    {"[target.semantic]\nkind = class_map\nnames = a, b\nignore = 1\n", {"1 has two meanings", NULL}},
    {"[target.semantic]\nkind = class_map\nnames = a, b\npalette = 1 2 3, 1 2 256\n", {":4", "'1 2 256'", "R G B"}},
    {"[target.semantic]\nkind = class_map\nnames = a, b\nthing = c\n",
     {"describe.ini:4", "'c' is none of the names", NULL}},
    {"[target.semantic]\nkind = depth_map\nscale = 1\n", {"describe.ini:2", "'semantic' is class", NULL}},
    {"[target.image]\nkind = value\n", {"describe.ini:2", "'image' is no target's name", NULL}},
    {"[target.v]\nkind = value_map\nscaling = axes\n", {"describe.ini:3", "takes 2 components", NULL}},
    {"[target.v]\nkind = value_map\nflip_negates = 1\n", {"describe.ini:3", "component 1 of 1", NULL}},
    {"[target.v]\nkind = value_map\nturning = y_up\n", {"describe.ini:3", "2 components", NULL}},
    {"[target.v]\nkind = value_map\ninvalid = 0, none\n", {"describe.ini:3", "numbers", NULL}},
    {"[target.m]\nkind = depth_map\ncolumn = a, b\nscale = 1\n", {"describe.ini:3", "2 columns", NULL}},
    {"[target.depth]\nkind = depth_map\ncolumn = mm\n", {"list.csv:2: ", "mm.png: whole numbers", "0.001"}},
    {"[image]\nsplits = extra, Valid\n", {"describe.ini:2", "'Valid' is known already: it means 'val'", NULL}},
    {"[image]\nsplits = a, b, a\n", {"describe.ini:2", "'a' is known already", NULL}},
    {"[image]\nsplits = a/b\n", {"describe.ini:2", "'a/b': expected up to 31 letters", NULL}},
    {"[image]\nfolder = {split}\n", {"describe.ini:2", "{split}", "without a manifest"}},
    {"[image]\nsplits = a, b, c, d, e, f\n", {"describe.ini:2", "6 names, at most 5", NULL}},
    {"[camera]\nfx_pixels = 700\n", {"describe.ini:2", "both", NULL}},
    {"[camera]\nfx_pixels = 700\nbaseline_metres = base\n", {"list.csv", "'base'", NULL}},
    {"[camera]\nfx_pixels = 700\nbaseline_metres = word\n", {"list.csv:2: ", "two positive numbers", NULL}},
    {"[target.word]\nkind = value\n", {"list.csv:2: 'sun' is no number", NULL}},
    {"[target.said]\nkind = class\n", {"list.csv:4: 'a \"b\"'", "[target.said]", "a quote"}},
    {"[target.lines]\nkind = class\n", {"list.csv:2: 'a\nb'", "[target.lines]", "a line end"}},
    {"[target.none]\nkind = class\n", {"list.csv", "no sample has a name of a class for [target.none]", NULL}},
};

static void a_bad_description_is_refused(void)
{
    folder_tree_begin("descriptions");
    write_good();
    folder_tree_text("list.csv", "image,mm,word,said,lines,none\n1.png,mm.png,sun,a,\"a\nb\",\n"
                                 "2.png,mm.png,rain,\"a \"\"b\"\"\",b,\n");
    for (size_t d = 0; d < sizeof descriptions / sizeof *descriptions; d++) {
        const folder_tree_options options = {.describe = descriptions[d].text};
        const char *const *p = descriptions[d].parts;
        const char *parts[] = {p[0], p[1], p[1] ? p[2] : NULL, NULL};
        refuse("list.csv", &options, parts);
    }
}

/* ---- folders --------------------------------------------------------------------------------------------------------- */

static void a_folder_without_images_says_where_it_looked(void)
{
    const folder_tree_options options = {0};
    static const char *const parts[] = {"no images", "images/<split>/", "pictures", NULL};
    static const char *const absent[] = {"absent", "no such file or folder", NULL};
    folder_tree_begin("nothing");
    folder_tree_image("pictures/1.png", 1);
    refuse("", &options, parts);
    refuse("absent", &options, absent);
}

static const struct {
    const char *text, *parts[3];
} folders[] = {
    {"[target.depth]\nkind = depth_map\nfolder = rnage\n",
     {"describe.ini:3: [target.depth] folder", "'rnage'", "'range'"}},
    {"[target.depth]\nkind = depth_map\nfolder = {split}/gruond\n", {"describe.ini:3: ", "'{split}/ground'", NULL}},
    {"[target.depth]\nkind = depth_map\n",
     {"describe.ini:2: [target.depth] kind", "'depth'", "images/, range/, train/"}},
    {"[image]\nfolder = imagse\n", {"describe.ini:2: [image] folder", "'imagse'", "did you mean 'images'?"}},
    {"[target.speed]\nkind = value\n", {"describe.ini:2: ", "values of an image come from a column", "'speed'"}},
    {"[target.tags]\nkind = labels\nnames = a, b\n", {"describe.ini:2: ", "a column of a manifest", "'tags'"}},
    {"[target.weather]\nkind = class\n", {"describe.ini:2: ", "a column of a manifest", "in which the image lies"}},
};

static void a_folder_that_is_not_there_is_named(void)
{
    folder_tree_begin("folders");
    folder_tree_image("images/1.png", 1);
    folder_tree_png("range/1.png", TREE_W, 1, 16, 1000, ten_at);
    folder_tree_png("train/ground/1.png", TREE_W, 1, 16, 1000, ten_at);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        const folder_tree_options options = {.describe = folders[i].text};
        const char *const *p = folders[i].parts;
        refuse("", &options, (const char *const[]){p[0], p[1], p[2], NULL});
    }
}

static void two_images_of_one_name_are_refused(void)
{
    const folder_tree_options options = {0};
    static const char *const parts[] = {"1.jpg", "1.png", "two images of one name", NULL};
    folder_tree_begin("twins");
    folder_tree_image("images/1.png", 1);
    folder_tree_bytes("images/1.jpg", rgb_jpeg, sizeof rgb_jpeg);
    refuse("", &options, parts);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_bad_cell_is_named_with_its_row);
    SM_TEST(bad_rows_may_be_left_out);
    SM_TEST(one_target_stores_its_numbers_in_one_way);
    SM_TEST(a_bad_manifest_is_refused);
    SM_TEST(a_bad_description_is_refused);
    SM_TEST(a_folder_without_images_says_where_it_looked);
    SM_TEST(a_folder_that_is_not_there_is_named);
    SM_TEST(two_images_of_one_name_are_refused);
    return sm_test_end();
}
