/* ranks: 1 2 4 */
/* What all importers share, by a small one: interruptions, bad files, numbers of ranks. */
#include "harness.h"
#include "png_file.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/import.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include "data/importer.h"

#include <stdio.h>
#include <string.h>

enum { H = 6, W = 9, TRAIN = 21, VAL = 4 };

/* ---- an importer: {root}/{train,val}/{n}.png and {n}_labels.png, {n}_disparity.png ---------------------------------- */

enum { IMAGE, LABELS, DISPARITY, KINDS };

static int reads; /* of this rank */

static sm_status list_numbers(const char *root, sm_import_list *list)
{
    static const char *const suffix[KINDS] = {".png", "_labels.png", "_disparity.png"};
    static const struct {
        const char *name;
        int count;
    } splits[] = {{"train", TRAIN}, {"val", VAL}};
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < splits[s].count; i++) {
            char *paths[KINDS], *name = sm_format("%02d", i);
            for (int k = 0; k < KINDS; k++) {
                paths[k] = sm_format("%s/%s/%s%s", root, splits[s].name, name, suffix[k]);
            }
            sm_import_add(list, splits[s].name, name, (const char *const *)paths);
            for (int k = 0; k < KINDS; k++) {
                sm_free(paths[k]);
            }
            sm_free(name);
        }
    }
    return SM_OK;
}

static float pixels_of(int stored)
{
    return stored > 0 ? (float)stored / 256 : NAN;
}

static sm_status read_number(sm_import *import, const char *const *paths, sm_sample *sample)
{
    sm_status status = SM_OK;
    uint8_t class_of[256];
    (void)sample;
    reads++;
    for (int i = 0; i < 256; i++) {
        class_of[i] = i < 2 ? (uint8_t)i : SM_CLASS_IGNORED;
    }
    SM_TRY(sm_import_image(import, paths[IMAGE]));
    if (paths[LABELS]) {
        SM_TRY(sm_import_classes(import, LABELS, paths[LABELS], class_of));
    }
    if (paths[DISPARITY]) {
        SM_TRY(sm_import_disparity(import, DISPARITY, paths[DISPARITY], pixels_of));
    }
done:
    return status;
}

static const char *const class_names[] = {"even", "odd"};
static const sm_class_list classes = {.count = 2, .names = class_names};
static const sm_import_flag no_flags[] = {{.name = NULL}};
static const sm_import_kind kinds[KINDS] = {
    [IMAGE] = {.what = "image"},
    [LABELS] = {.what = "labels", .target = "semantic", .classes = &classes},
    [DISPARITY] = {.what = "disparity", .target = "disparity"},
};

static const sm_importer importer = {
    .name = "numbers",
    .summary = "",
    .title = "numbers",
    .root_help = "",
    .flags = no_flags,
    .kinds = kinds,
    .kind_count = KINDS,
    .list = list_numbers,
    .read = read_number,
};

/* ---- its tree ------------------------------------------------------------------------------------------------------ */

static char *file_of(const char *root, const char *split, int i, const char *suffix)
{
    return sm_format("%s/%s/%02d%s.png", root, split, i, suffix);
}

static void write_image(const char *root, const char *split, int i, int seed)
{
    uint8_t image[H * W * 3];
    for (int p = 0; p < H * W * 3; p++) {
        image[p] = (uint8_t)(p * 7 + seed);
    }
    char *path = file_of(root, split, i, "");
    png_write(path, H, W, 3, 8, image);
    sm_free(path);
}

static void write_labels(const char *root, const char *split, int i, int width)
{
    uint8_t labels[H * W];
    for (int p = 0; p < H * W; p++) {
        labels[p] = (uint8_t)((p + i) % 3);
    }
    char *path = file_of(root, split, i, "_labels");
    png_write(path, H, width, 1, 8, labels);
    sm_free(path);
}

static void write_disparity(const char *root, const char *split, int i, int bits)
{
    uint16_t disparity[H * W];
    for (int p = 0; p < H * W; p++) {
        disparity[p] = (uint16_t)(p % 5 * 300 + i);
    }
    char *path = file_of(root, split, i, "_disparity");
    png_write(path, H, W, 1, bits, disparity);
    sm_free(path);
}

/* A fresh tree; returns its root. */
static char *make_tree(const char *name)
{
    char *root = sm_format("%s/%s", sm_test_folder(), name);
    if (sm_comm_rank(test_comm) == 0) {
        for (int s = 0; s < 2; s++) {
            const char *split = s ? "val" : "train";
            char *folder = sm_format("%s/%s", root, split);
            SM_TEST_OK(sm_make_folders(folder));
            sm_free(folder);
            for (int i = 0; i < (s ? VAL : TRAIN); i++) {
                write_image(root, split, i, 31 * i + s);
                write_labels(root, split, i, W);
                write_disparity(root, split, i, 16);
            }
        }
    }
    sm_comm_barrier(test_comm);
    return root;
}

/* ---- importing ----------------------------------------------------------------------------------------------------- */

static int patience; /* samples of this rank until it is asked to stop */

static int is_stopped(void)
{
    return reads >= patience;
}

static sm_import_options options_of(const char *root, const char *output)
{
    sm_import_options options = {.root = root, .output = output, .overwrite = 1};
    return options;
}

/* Imports on the first `ranks` ranks; what they return. Collective over all. */
static sm_status import_on(int ranks, const sm_import_options *options)
{
    sm_comm *part = sm_comm_part_new(test_comm, ranks);
    int64_t status = 0;
    reads = 0;
    if (part) {
        status = sm_import_dataset(part, &importer, options);
        sm_comm_part_free(part);
    }
    sm_comm_max_int64(test_comm, &status, 1);
    return (sm_status)status;
}

/* Leaves an import unfinished after `samples` of every rank. */
static void interrupt(int ranks, sm_import_options options, int samples)
{
    options.stop = is_stopped;
    patience = samples;
    CU_ASSERT(import_on(ranks, &options) == SM_PREEMPTED);
    CU_ASSERT(!sm_file_exists(options.output));
    sm_comm_barrier(test_comm);
}

static int64_t reads_of_all(void)
{
    int64_t total = reads;
    sm_comm_sum_int64(test_comm, &total, 1);
    return total;
}

static void check_same_bytes(const char *one, const char *other)
{
    void *a = NULL, *b = NULL;
    size_t a_bytes = 0, b_bytes = 0;
    SM_TEST_OK(sm_file_read(one, &a, &a_bytes));
    SM_TEST_OK(sm_file_read(other, &b, &b_bytes));
    CU_ASSERT(a && b && a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0);
    sm_free(a);
    sm_free(b);
}

static char *beside(const char *path, const char *suffix)
{
    return sm_format("%s%s", path, suffix);
}

static void check_nothing_left(const char *output)
{
    static const char *const suffixes[] = {".partial", ".partial.journal", ".partial.new", ".packed.partial"};
    for (int i = 0; i < 4; i++) {
        char *path = beside(output, suffixes[i]);
        CU_ASSERT(!sm_file_exists(path));
        sm_free(path);
    }
}

static int ranks_at(int which)
{
    int most = sm_comm_size(test_comm);
    return which == 0 ? 1 : which == 1 ? (most + 1) / 2 : most;
}

static void remove_on_root(const char *path)
{
    sm_comm_barrier(test_comm);
    if (sm_comm_rank(test_comm) == 0) {
        SM_TEST_OK(sm_remove_tree(path));
    }
    sm_comm_barrier(test_comm);
}

/* A tree, the file that an undisturbed import makes of it, and where the test's own goes. */
typedef struct fixture {
    char *root, *whole, *output;
    sm_import_options options;
} fixture;

static fixture begin(const char *name)
{
    fixture f = {.root = make_tree(name)};
    f.whole = sm_format("%s/%s_whole.h5", sm_test_folder(), name);
    f.output = sm_format("%s/%s.h5", sm_test_folder(), name);
    f.options = options_of(f.root, f.whole);
    SM_TEST_OK(import_on(sm_comm_size(test_comm), &f.options));
    f.options.output = f.output;
    return f;
}

static void end(fixture *f)
{
    sm_comm_barrier(test_comm);
    sm_free(f->root);
    sm_free(f->whole);
    sm_free(f->output);
}

/* ---- interruptions ------------------------------------------------------------------------------------------------- */

static void any_number_of_ranks_writes_the_same_bytes(void)
{
    fixture f = begin("ranks");
    for (int which = 0; which < 3; which++) {
        SM_TEST_OK(import_on(ranks_at(which), &f.options));
        check_same_bytes(f.whole, f.output);
        check_nothing_left(f.output);
        sm_comm_barrier(test_comm);
    }
    end(&f);
}

static void an_interrupted_import_goes_on(void)
{
    fixture f = begin("stop");
    for (int stop = 0; stop < 3; stop++) {
        for (int go_on = 0; go_on < 3; go_on++) {
            interrupt(ranks_at(stop), f.options, 2);
            int64_t made = reads_of_all();
            CU_ASSERT(made > 0 && made < TRAIN + VAL);
            SM_TEST_OK(import_on(ranks_at(go_on), &f.options));
            CU_ASSERT(reads_of_all() == TRAIN + VAL - made); /* nothing is made twice */
            check_same_bytes(f.whole, f.output);
            check_nothing_left(f.output);
            remove_on_root(f.output);
        }
    }
    end(&f);
}

/* What a lost node leaves: records of samples that never reached the disk. */
static void samples_that_are_not_whole_are_made_again(void)
{
    fixture f = begin("torn");
    char *partial = beside(f.output, ".partial");
    interrupt(ranks_at(2), f.options, 5);
    int64_t made = reads_of_all();
    if (sm_comm_rank(test_comm) == 0) {
        sm_h5 *h5 = NULL;
        sm_file *file = NULL;
        uint64_t image = 0, size = 0;
        const size_t images[4] = {TRAIN, H, W, 3}, sizes[2] = {TRAIN, 2};
        SM_TEST_OK(sm_h5_open(partial, &h5));
        SM_TEST_OK(sm_h5_locate(h5, "/train/image", SM_H5_U8, 4, images, &image));
        SM_TEST_OK(sm_h5_locate(h5, "/train/original_size", SM_H5_INT32, 2, sizes, &size));
        sm_h5_close(h5);
        SM_TEST_OK(sm_file_open_write(partial, &file));
        SM_TEST_OK(sm_file_pwrite(file, "torn", 4, image + 17));   /* of sample 0 */
        SM_TEST_OK(sm_file_pwrite(file, "\0\0\0\0", 4, size + 8)); /* of sample 1 */
        sm_file_close(file);
    }
    sm_comm_barrier(test_comm);
    SM_TEST_OK(import_on(ranks_at(2), &f.options));
    CU_ASSERT(reads_of_all() == TRAIN + VAL - made + 2);
    check_same_bytes(f.whole, f.output);
    sm_free(partial);
    end(&f);
}

static void changed_files_are_read_again(void)
{
    fixture f = begin("changed");
    interrupt(ranks_at(2), f.options, 5);
    int64_t made = reads_of_all();
    if (sm_comm_rank(test_comm) == 0) {
        write_image(f.root, "train", 1, 200);
    }
    sm_comm_barrier(test_comm);
    SM_TEST_OK(import_on(ranks_at(0), &f.options));
    CU_ASSERT(reads_of_all() == TRAIN + VAL - made + 1);
    f.options.output = f.whole;
    SM_TEST_OK(import_on(ranks_at(2), &f.options));
    check_same_bytes(f.whole, f.output);
    end(&f);
}

static void other_options_or_files_begin_anew(void)
{
    fixture f = begin("other");
    sm_import_options other = f.options;
    other.height = H / 2;
    other.width = W;
    interrupt(ranks_at(2), other, 3);
    SM_TEST_OK(import_on(ranks_at(2), &f.options));
    CU_ASSERT(reads_of_all() == TRAIN + VAL);
    check_same_bytes(f.whole, f.output);
    remove_on_root(f.output);

    interrupt(ranks_at(2), f.options, 3);
    char *gone = file_of(f.root, "val", 1, "_labels");
    remove_on_root(gone);
    SM_TEST_OK(import_on(ranks_at(2), &f.options));
    CU_ASSERT(reads_of_all() == TRAIN + VAL);
    sm_free(gone);
    end(&f);
}

static void put(const char *path, const char *text, size_t bytes)
{
    sm_comm_barrier(test_comm);
    if (sm_comm_rank(test_comm) == 0) {
        SM_TEST_OK(sm_file_write_atomic(path, text, bytes));
    }
    sm_comm_barrier(test_comm);
}

static void check_text(const char *path, const char *text)
{
    char *found = NULL;
    SM_TEST_OK(sm_file_read_text(path, &found));
    CU_ASSERT(found && strcmp(found, text) == 0);
    sm_free(found);
    sm_comm_barrier(test_comm);
}

static void what_is_not_ours_stays(void)
{
    fixture f = begin("foreign");
    static const char *const suffixes[] = {".partial", ".partial.journal"};
    for (int i = 0; i < 2; i++) {
        char *path = beside(f.output, suffixes[i]);
        put(path, "a letter", 8);
        CU_ASSERT(import_on(ranks_at(2), &f.options) == SM_ERR_USAGE);
        SM_TEST_MESSAGE("exists and is no ");
        CU_ASSERT(!sm_file_exists(f.output));
        check_text(path, "a letter");
        remove_on_root(path);
        sm_free(path);
    }
    end(&f);
}

static void what_is_damaged_begins_anew(void)
{
    fixture f = begin("damaged");
    static const struct {
        const char *suffix, *contents;
        size_t bytes;
    } damages[] = {
        {".partial", "no HDF5", 7},
        {".partial", "\211HDF\r\n\032\n", 8},
        {".partial.journal", "SMJOURN1\xff\xff\xff\xff", 12},
        {".partial.journal", "SMJOURN1\xff\xff\xff\xff\0\0\0\0", 16},
        {".partial.journal", "", 0},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        interrupt(ranks_at(2), f.options, 3);
        char *path = beside(f.output, damages[i].suffix);
        put(path, damages[i].contents, damages[i].bytes);
        SM_TEST_OK(import_on(ranks_at(2), &f.options));
        CU_ASSERT(reads_of_all() == TRAIN + VAL);
        check_same_bytes(f.whole, f.output);
        check_nothing_left(f.output);
        remove_on_root(f.output);
        sm_free(path);
    }
    end(&f);
}

static void one_writes_at_a_time(void)
{
    fixture f = begin("lock");
    interrupt(ranks_at(2), f.options, 3);
    char *journal = beside(f.output, ".partial.journal");
    sm_file *lock = NULL;
    if (sm_comm_rank(test_comm) == 0) {
        SM_TEST_OK(sm_file_lock(journal, &lock));
    }
    CU_ASSERT(import_on(ranks_at(2), &f.options) == SM_ERR_USAGE);
    SM_TEST_MESSAGE("is being written by another process");
    sm_file_close(lock);
    sm_comm_barrier(test_comm);
    SM_TEST_OK(import_on(ranks_at(2), &f.options));
    check_same_bytes(f.whole, f.output);
    sm_free(journal);
    end(&f);
}

/* ---- bad files ----------------------------------------------------------------------------------------------------- */

static void the_first_bad_file_ends_the_import(void)
{
    fixture f = begin("bad");
    char *bad = file_of(f.root, "train", 9, "");
    put(bad, "no image", 8);
    CU_ASSERT(import_on(ranks_at(2), &f.options) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("train/09.png");
    CU_ASSERT(!sm_file_exists(f.output));
    sm_comm_barrier(test_comm);
    if (sm_comm_rank(test_comm) == 0) {
        write_image(f.root, "train", 9, 31 * 9);
    }
    sm_comm_barrier(test_comm);
    SM_TEST_OK(import_on(ranks_at(2), &f.options)); /* once it is mended, only the rest is done */
    CU_ASSERT(reads_of_all() < TRAIN + VAL);
    check_same_bytes(f.whole, f.output);
    sm_free(bad);
    end(&f);
}

/* Bad: an image; labels and disparity of one sample; all of val but sample 2. */
static void spoil(const fixture *f, int whole_val)
{
    if (sm_comm_rank(test_comm) == 0) {
        char *image = file_of(f->root, "train", 0, "");
        SM_TEST_OK(sm_file_write_atomic(image, "no image", 8));
        sm_free(image);
        write_labels(f->root, "train", 13, W - 1);
        write_disparity(f->root, "train", 13, 8);
        for (int i = 0; i < VAL; i++) {
            if (whole_val || i != 2) {
                write_disparity(f->root, "val", i, 8);
            }
        }
    }
    sm_comm_barrier(test_comm);
}

static void check_left_out(const char *path, size_t count)
{
    sm_h5 *file = NULL;
    int64_t counted = 0;
    char **texts = NULL;
    size_t listed = 0;
    SM_TEST_OK(sm_h5_open(path, &file));
    SM_TEST_OK(sm_h5_read_attribute_int64(file, "/", "left_out", &counted));
    SM_TEST_OK(sm_h5_read_texts(file, "/left_out", &texts, &listed));
    CU_ASSERT(counted == (int64_t)count && listed == count);
    CU_ASSERT(strncmp(texts[0], "train/00: ", 10) == 0 && strstr(texts[0], "train/00.png"));
    CU_ASSERT(strncmp(texts[1], "train/13: ", 10) == 0 && strstr(texts[1], "13_labels.png: 6 x 8 pixels") &&
              strstr(texts[1], "13_disparity.png: 1 channel of 8 bits")); /* each bad file of it */
    CU_ASSERT(strncmp(texts[2], "val/00: ", 8) == 0);
    sm_free(texts);
    sm_h5_close(file);
}

static void check_good_samples(const fixture *f, const char *split, int good)
{
    sm_dataset *whole = NULL, *left = NULL;
    const char *paths[] = {f->whole, f->output};
    SM_TEST_OK(sm_dataset_open(&paths[0], 1, split, &whole));
    SM_TEST_OK(sm_dataset_open(&paths[1], 1, split, &left));
    CU_ASSERT_FATAL(whole && left && sm_dataset_count(left) == good);
    sm_sample_storage *a = sm_sample_storage_new(whole), *b = sm_sample_storage_new(left);
    int64_t at = 0;
    for (int64_t i = 0; i < good; i++, at++) {
        while (strcmp(sm_dataset_name(whole, at), sm_dataset_name(left, i)) != 0) {
            at++;
        }
        sm_sample x, y;
        SM_TEST_OK(sm_dataset_read(whole, at, a, &x));
        SM_TEST_OK(sm_dataset_read(left, i, b, &y));
        CU_ASSERT(memcmp(x.input, y.input, H * W * 3) == 0 && y.original_width == W);
        CU_ASSERT(memcmp(sm_sample_find(&x, "semantic")->data, sm_sample_find(&y, "semantic")->data, H * W) == 0);
        CU_ASSERT(memcmp(sm_sample_find(&x, "disparity")->data, sm_sample_find(&y, "disparity")->data, H * W * 4) == 0);
    }
    sm_sample_storage_free(a);
    sm_sample_storage_free(b);
    sm_dataset_close(whole);
    sm_dataset_close(left);
}

static void samples_with_bad_files_are_left_out(void)
{
    fixture f = begin("skip");
    char *again = sm_format("%s/skip_again.h5", sm_test_folder());
    spoil(&f, 0);
    f.options.skip_bad = 1;
    SM_TEST_OK(import_on(ranks_at(2), &f.options));
    check_good_samples(&f, "train", TRAIN - 2);
    check_good_samples(&f, "val", 1);
    check_left_out(f.output, 5);
    check_nothing_left(f.output);
    f.options.output = again;
    for (int which = 0; which < 3; which++) {
        interrupt(ranks_at(which), f.options, 2);
        SM_TEST_OK(import_on(ranks_at(2 - which), &f.options));
        check_same_bytes(f.output, again);
        check_nothing_left(again);
        remove_on_root(again);
    }
    spoil(&f, 1); /* then there is no val */
    CU_ASSERT(import_on(ranks_at(2), &f.options) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("every sample of 'val' has bad files, the first: ");
    SM_TEST_MESSAGE("val/00_disparity.png");
    CU_ASSERT(!sm_file_exists(again));
    check_nothing_left(again);
    sm_free(again);
    end(&f);
}

static void without_bad_files_all_stay(void)
{
    fixture f = begin("all_good");
    f.options.skip_bad = 1;
    SM_TEST_OK(import_on(ranks_at(2), &f.options));
    check_same_bytes(f.whole, f.output);
    end(&f);
}

/* 12 of 25 are left out, 13 are too many. */
static void more_than_half_are_not_left_out(void)
{
    fixture f = begin("half");
    f.options.skip_bad = 1;
    for (int bad = 12; bad <= 13; bad++) {
        if (sm_comm_rank(test_comm) == 0) {
            for (int i = 0; i < bad; i++) {
                write_disparity(f.root, "train", i, 8);
            }
        }
        sm_comm_barrier(test_comm);
        CU_ASSERT(import_on(ranks_at(2), &f.options) == (bad == 12 ? SM_OK : SM_ERR_INPUT));
        check_nothing_left(f.output);
        remove_on_root(f.output);
    }
    SM_TEST_MESSAGE("13 of 25 samples have bad files, the first: ");
    SM_TEST_MESSAGE("train/00_disparity.png");
    end(&f);
}

/* Of another size no sample that is there is any good: nothing stays to go on with. */
static void a_size_that_is_missing_leaves_nothing(void)
{
    fixture f = begin("size");
    char *last = file_of(f.root, "val", VAL - 1, "");
    static const uint8_t wide[H * (W + 1) * 3];
    if (sm_comm_rank(test_comm) == 0) {
        png_write(last, H, W + 1, 3, 8, wide);
    }
    sm_comm_barrier(test_comm);
    CU_ASSERT(import_on(ranks_at(2), &f.options) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("--size HxW");
    sm_comm_barrier(test_comm);
    CU_ASSERT(!sm_file_exists(f.output));
    check_nothing_left(f.output);
    sm_free(last);
    end(&f);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(any_number_of_ranks_writes_the_same_bytes);
    SM_TEST(an_interrupted_import_goes_on);
    SM_TEST(samples_that_are_not_whole_are_made_again);
    SM_TEST(changed_files_are_read_again);
    SM_TEST(other_options_or_files_begin_anew);
    SM_TEST(what_is_not_ours_stays);
    SM_TEST(what_is_damaged_begins_anew);
    SM_TEST(one_writes_at_a_time);
    SM_TEST(the_first_bad_file_ends_the_import);
    SM_TEST(samples_with_bad_files_are_left_out);
    SM_TEST(without_bad_files_all_stay);
    SM_TEST(more_than_half_are_not_left_out);
    SM_TEST(a_size_that_is_missing_leaves_nothing);
    return sm_test_end();
}
