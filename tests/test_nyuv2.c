/* ranks: 1 4 */
/* The file is h5py's: nyuv2_mat.py writes it as MATLAB would. */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/import.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { H = 28, W = 32, IMAGES = 4, LABELS = 894 }; /* H * W = 896: every label occurs */

enum { CLASSES, SPLIT, BORDER, RAW_DEPTH }; /* the importer's options */

static const sm_importer *importer(void)
{
    const sm_importer *const *row = sm_importers;
    while (strcmp((*row)->name, "nyuv2") != 0) {
        row++;
    }
    return *row;
}

/* By rank 0, for all. */
static void write_mat(const char *path, int images, int width, int height, const char *flaw)
{
    sm_comm_barrier(test_comm);
    if (sm_comm_rank(test_comm) == 0) {
        const char *tests = getenv("SIGMATIC_TESTS");
        char *command = sm_format("'%s' '%s/nyuv2_mat.py' '%s' %d %d %d %s", sm_test_python(), tests ? tests : "tests",
                                  path, images, width, height, flaw);
        CU_ASSERT(system(command) == 0);
        sm_free(command);
    }
    sm_comm_barrier(test_comm);
}

static void put_text(const char *path, const char *text)
{
    sm_comm_barrier(test_comm);
    if (sm_comm_rank(test_comm) == 0) {
        SM_TEST_OK(sm_file_write_atomic(path, text, strlen(text)));
    }
    sm_comm_barrier(test_comm);
}

static sm_dataset *opened(const char *path, const char *split)
{
    sm_dataset *dataset = NULL;
    SM_TEST_OK(sm_dataset_open(&path, 1, split, &dataset));
    CU_ASSERT_FATAL(dataset != NULL);
    return dataset;
}

/* ---- what the script writes ---------------------------------------------------------------------------------------- */

static int label_at(int n, int y, int x)
{
    return (y * W + x + n) % (LABELS + 1);
}

static double metres_at(int n, int y, int x, int is_raw)
{
    return is_raw && (x + y) % 5 == 0 ? 0 : 1 + n + x / 8.0 + y / 4.0;
}

static void check_image(const sm_sample *sample, int n, int border, int is_raw)
{
    int wrong = 0;
    const float *depth = sm_sample_find(sample, "depth")->data;
    CU_ASSERT_FATAL(sample->height == H - 2 * border && sample->width == W - 2 * border);
    for (int i = 0; i < sample->height * sample->width; i++) {
        int y = i / sample->width + border, x = i % sample->width + border;
        double metres = metres_at(n, y, x, is_raw);
        for (int c = 0; c < 3; c++) {
            wrong += ((const uint8_t *)sample->input)[3 * i + c] != (n * 31 + 7 * x + 11 * y + 50 * c) % 256;
        }
        wrong += metres > 0 ? depth[i] != (float)metres : !isnan(depth[i]);
    }
    CU_ASSERT(wrong == 0);
}

/* Instances are pairs of a label of a thing and a number in it, in this order. */
static void check_instances(const sm_sample *sample, const sm_class_list *classes, int n)
{
    enum { NUMBERS = 3 };
    const uint8_t *semantic = sm_sample_find(sample, "semantic")->data;
    const uint16_t *instance = sm_sample_find(sample, "instance")->data;
    static int number[(LABELS + 1) * NUMBERS];
    int used = 0, wrong = 0;
    memset(number, 0, sizeof number);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < H * W; i++) {
            int label = label_at(n, i / W, i % W), k = (i % W / 4 + i / W / 3) % NUMBERS;
            int is_instance = label > 0 && k > 0 && classes->thing[semantic[i]];
            if (pass == 0) {
                number[label * NUMBERS + k] = is_instance;
            } else {
                wrong += instance[i] != (is_instance ? number[label * NUMBERS + k] : 0);
            }
        }
        for (int p = 0; pass == 0 && p < (LABELS + 1) * NUMBERS; p++) {
            number[p] = number[p] ? ++used : 0;
        }
    }
    CU_ASSERT(wrong == 0 && used > 100);
}

/* Sums over the tables as SciPy reads them from classMapping40.mat and class13Mapping.mat: label number times class, both
 * from 1. */
static void check_classes(const sm_sample *sample, int n, int64_t sum)
{
    const uint8_t *semantic = sm_sample_find(sample, "semantic")->data;
    int is_seen[LABELS + 1] = {0};
    for (int i = 0; i < H * W; i++) {
        int label = label_at(n, i / W, i % W);
        CU_ASSERT(label > 0 || semantic[i] == SM_CLASS_IGNORED);
        if (label > 0 && !is_seen[label]) {
            is_seen[label] = 1;
            sum -= (int64_t)label * (semantic[i] + 1);
        }
    }
    CU_ASSERT(sum == 0);
}

static void axes_labels_and_instances_are_exact(void)
{
    SM_TEST_NEEDS("h5py");
    static const struct {
        const char *classes;
        int count;
        int64_t sum;
        const char *name;
    } cases[] = {{NULL, 40, 15853453, "wall"}, {"40", 40, 15853453, "wall"}, {"13", 13, 2762405, "bed"}};
    char *mat = sm_format("%s/exact.mat", sm_test_folder()), *output = sm_format("%s.h5", mat);
    write_mat(mat, IMAGES, W, H, "");
    for (int c = 0; c < 3; c++) {
        sm_import_options options = {
            .root = mat, .output = output, .overwrite = 1, .flags = (unsigned)(c == 2) << RAW_DEPTH};
        options.values[CLASSES] = cases[c].classes;
        SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
        sm_dataset *dataset = opened(output, "train"); /* of no official split: all */
        CU_ASSERT_FATAL(sm_dataset_count(dataset) == IMAGES);
        const sm_class_list *classes = sm_dataset_target(dataset, "semantic")->classes;
        CU_ASSERT(classes->count == cases[c].count && strcmp(classes->names[0], cases[c].name) == 0);
        sm_sample_storage *storage = sm_sample_storage_new(dataset);
        for (int n = 0; n < IMAGES; n++) {
            sm_sample sample;
            char *name = sm_format("%04d", n + 1);
            CU_ASSERT(strcmp(sm_dataset_name(dataset, n), name) == 0);
            SM_TEST_OK(sm_dataset_read(dataset, n, storage, &sample));
            check_image(&sample, n, 0, c == 2);
            check_classes(&sample, n, cases[c].sum);
            check_instances(&sample, classes, n);
            sm_free(name);
        }
        sm_sample_storage_free(storage);
        sm_dataset_close(dataset);
        sm_comm_barrier(test_comm);
    }
    sm_free(mat);
    sm_free(output);
}

static void the_border_is_cut_off(void)
{
    SM_TEST_NEEDS("h5py");
    char *mat = sm_format("%s/border.mat", sm_test_folder()), *output = sm_format("%s.h5", mat);
    write_mat(mat, 1, W, H, "");
    sm_import_options options = {.root = mat, .output = output, .values = {[BORDER] = "3"}};
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    sm_dataset *dataset = opened(output, "train");
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    SM_TEST_OK(sm_dataset_read(dataset, 0, storage, &sample));
    check_image(&sample, 0, 3, 0);
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    options.overwrite = 1;
    static const char *const wrong[][2] = {{"14", "--border 14 leaves nothing of 28 x 32 pixels"},
                                           {"x", "--border 'x': expected a number"}};
    for (int i = 0; i < 2; i++) {
        options.values[BORDER] = wrong[i][0];
        CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_USAGE);
        SM_TEST_MESSAGE(wrong[i][1]);
    }
    options.values[BORDER] = NULL;
    options.values[CLASSES] = "41";
    CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_USAGE);
    SM_TEST_MESSAGE("--classes '41': expected 40 or 13");
    sm_free(mat);
    sm_free(output);
}

/* Sums over the official training images' numbers, as SciPy reads them from splits.mat. */
static void the_official_split_is_taken(void)
{
    SM_TEST_NEEDS("h5py");
    enum { ALL = 1449, TRAIN = 795 };
    char *mat = sm_format("%s/official.mat", sm_test_folder()), *output = sm_format("%s.h5", mat);
    int64_t sum = 0, squares = 0;
    write_mat(mat, ALL, 3, 2, "");
    sm_import_options options = {.root = mat, .output = output};
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    sm_dataset *train = opened(output, "train"), *val = opened(output, "val");
    CU_ASSERT_FATAL(sm_dataset_count(train) == TRAIN && sm_dataset_count(val) == ALL - TRAIN);
    for (int i = 0; i < TRAIN; i++) {
        int64_t number = atoi(sm_dataset_name(train, i));
        sum += number;
        squares += number * number;
    }
    CU_ASSERT(sum == 551687 && squares == 518068113);
    CU_ASSERT(strcmp(sm_dataset_name(train, 0), "0003") == 0 && strcmp(sm_dataset_name(val, 653), "1449") == 0);
    sm_dataset_close(train);
    sm_dataset_close(val);
    sm_free(mat);
    sm_free(output);
}

static void a_split_comes_from_a_file(void)
{
    SM_TEST_NEEDS("h5py");
    static const struct {
        const char *text, *names[3]; /* NULL: no such split */
    } good[] = {
        {"2\r\n4\r\n", {"0002 0004 ", "0001 0003 ", NULL}},
        {"index,split\n4,train\n1,test\n2,train\n", {"0002 0004 ", NULL, "0001 "}},
    };
    static const char *const bad[][2] = {
        {"2\n5\n", "split.txt:2: image '5': expected a number from 1 to 4"},
        {"2\n\n2\n", "split.txt:3: image 2 has a split already"},
        {"two", "split.txt:1: image 'two': expected a number"},
        {"index,split\n1,dev\n", "split.txt:2: split 'dev': expected train, val or test"},
        {"number,split\n1,train\n", "index"},
        {"MATLAB 5.0 MAT-file, Platform: GLNXA64", "split.txt: a MATLAB file; expected text"},
    };
    static const char *const splits[] = {"train", "val", "test"};
    char *mat = sm_format("%s/split.mat", sm_test_folder()), *output = sm_format("%s.h5", mat);
    char *path = sm_format("%s/split.txt", sm_test_folder());
    write_mat(mat, IMAGES, 3, 2, "");
    sm_import_options options = {.root = mat, .output = output, .overwrite = 1, .values = {[SPLIT] = path}};
    for (int g = 0; g < 2; g++) {
        put_text(path, good[g].text);
        SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
        for (int s = 0; s < 3; s++) {
            char found[64] = "";
            sm_dataset *dataset = good[g].names[s] ? opened(output, splits[s]) : NULL;
            for (int64_t i = 0; dataset && i < sm_dataset_count(dataset); i++) {
                strcat(strcat(found, sm_dataset_name(dataset, i)), " ");
            }
            CU_ASSERT(strcmp(found, good[g].names[s] ? good[g].names[s] : "") == 0);
            sm_dataset_close(dataset);
        }
        sm_comm_barrier(test_comm);
    }
    for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
        put_text(path, bad[b][0]);
        CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(bad[b][1]);
    }
    sm_free(mat);
    sm_free(output);
    sm_free(path);
}

/* ---- malformed files ----------------------------------------------------------------------------------------------- */

static void malformed_arrays_are_named(void)
{
    SM_TEST_NEEDS("h5py");
    static const char *const flaws[][2] = {
        {"no-images", "/images: there is no such dataset"},
        {"turned-images", "/images: expected the shape (images, 3, width, height)"},
        {"narrow-labels", "/labels: expected the shape (4, 32, 28), that of the images"},
        {"float-labels", "/labels: expected int32"},
        {"unknown-label", "/labels: image 4: label 895 in row 1, column 2: expected 0 to 894"},
        {"negative-depth", "/depths: image 4: -1 in row 1, column 2: expected metres, 0 for none"},
        {"no-names", "/names: there is no such dataset"},
        {"few-names", "/names: 100 names of labels, expected 894"},
        {"other-names", "/names: label 5 is 'table', expected 'chair'"},
        {"number-names", "/names: expected a cell array of MATLAB, found float64"},
        {"bad-reference", "/names: cell 7: its reference leads nowhere"},
        {"group-reference", "/names: cell 7: found no array, expected characters"},
        {"truncated", "truncated"},
    };
    char *mat = sm_format("%s/flawed.mat", sm_test_folder()), *output = sm_format("%s.h5", mat);
    sm_import_options options = {.root = mat, .output = output};
    char *list = sm_strdup("no-labels");
    for (size_t f = 0; f < sizeof flaws / sizeof *flaws; f++) {
        char *more = sm_format("%s %s", list, flaws[f][0]);
        sm_free(list);
        list = more;
    }
    write_mat(mat, IMAGES, W, H, list);
    for (size_t f = 0; f < sizeof flaws / sizeof *flaws; f++) {
        char *flawed = sm_format("%s.%s", mat, flaws[f][0]);
        options.root = flawed;
        CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(flaws[f][1]);
        CU_ASSERT(!sm_file_exists(output));
        sm_free(flawed);
    }
    char *no_labels = sm_format("%s.no-labels", mat), *unknown = sm_format("%s.unknown-label", mat);
    options.root = no_labels; /* then there are no instances either */
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    sm_dataset *dataset = opened(output, "train");
    CU_ASSERT(!sm_dataset_target(dataset, "semantic") && !sm_dataset_target(dataset, "instance"));
    CU_ASSERT(sm_dataset_target(dataset, "depth") != NULL);
    sm_dataset_close(dataset);
    sm_comm_barrier(test_comm);

    options.root = unknown;
    options.skip_bad = 1;
    options.overwrite = 1;
    SM_TEST_OK(sm_import_dataset(test_comm, importer(), &options));
    dataset = opened(output, "train");
    CU_ASSERT(sm_dataset_count(dataset) == IMAGES - 1);
    sm_dataset_close(dataset);
    sm_free(list);
    sm_free(no_labels);
    sm_free(unknown);
    sm_free(mat);
    sm_free(output);
}

static void what_is_no_hdf5_is_called_what_it_is(void)
{
    static const char *const files[][2] = {
        {"MATLAB 5.0 MAT-file, Platform: GLNXA64", "a MATLAB file from before version 7.3, which is no HDF5"},
        {"PK\3\4", "a ZIP archive"},
        {"<!DOCTYPE html>", "a page of the web"},
        {"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"},
        {"anything", "not an HDF5 file"},
        {"", "not an HDF5 file"},
    };
    char *mat = sm_format("%s/other.mat", sm_test_folder()), *output = sm_format("%s.h5", mat);
    sm_import_options options = {.root = mat, .output = output};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        put_text(mat, files[f][0]);
        CU_ASSERT(sm_import_dataset(test_comm, importer(), &options) == SM_ERR_INPUT);
        SM_TEST_MESSAGE("other.mat: not ");
        SM_TEST_MESSAGE(files[f][1]);
    }
    CU_ASSERT(!sm_file_exists(output));
    sm_free(mat);
    sm_free(output);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(axes_labels_and_instances_are_exact);
    SM_TEST(the_border_is_cut_off);
    SM_TEST(the_official_split_is_taken);
    SM_TEST(a_split_comes_from_a_file);
    SM_TEST(malformed_arrays_are_named);
    SM_TEST(what_is_no_hdf5_is_called_what_it_is);
    return sm_test_end();
}
