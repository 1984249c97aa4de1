/* ranks: 1 */
#define _XOPEN_SOURCE 700
#include "golden.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <fcntl.h>
#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The path of a file in the scratch folder, in one of a few buffers in turn. */
static const char *in_folder(const char *name)
{
    static char paths[4][512];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", sm_test_folder(), name);
    return paths[next];
}

static void fails(sm_status found, sm_status expected, const char *part)
{
    CU_ASSERT(found == expected);
    SM_TEST_MESSAGE(part);
}

static const char *const names[] = {"road", "", "caf\xC3\xA9 au lait"};
static const float matrix[2][3] = {{1, -2, 3.5f}, {0, 1e-30f, 7}};
static const size_t matrix_shape[2] = {2, 3};

static void write_everything(sm_h5 *file)
{
    static const double doubles[2] = {0.1, -1e300};
    static const int64_t integers[2] = {INT64_MIN, INT64_MAX};
    static const uint8_t bytes[4] = {0, 1, 254, 255};
    static const uint16_t words[4] = {0, 1, 65534, 65535};
    SM_TEST_OK(sm_h5_write(file, "/model/deep/a.weight", SM_H5_FLOAT, 2, matrix_shape, matrix));
    SM_TEST_OK(sm_h5_write(file, "/model/doubles", SM_H5_DOUBLE, 1, (size_t[]){2}, doubles));
    SM_TEST_OK(sm_h5_write(file, "/model/integers", SM_H5_INT64, 1, (size_t[]){2}, integers));
    SM_TEST_OK(sm_h5_write(file, "/model/bytes", SM_H5_U8, 3, (size_t[]){1, 2, 2}, bytes));
    SM_TEST_OK(sm_h5_write(file, "/model/words", SM_H5_U16, 1, (size_t[]){4}, words));
    SM_TEST_OK(sm_h5_write(file, "/model/scalar", SM_H5_FLOAT, 0, NULL, &matrix[0][2]));
    SM_TEST_OK(sm_h5_write(file, "/model/empty", SM_H5_FLOAT, 2, (size_t[]){0, 3}, NULL));
    SM_TEST_OK(sm_h5_write_texts(file, "/names", names, 3));
    SM_TEST_OK(sm_h5_write_texts(file, "/no_names", NULL, 0));
    SM_TEST_OK(sm_h5_make_group(file, "/group/inner"));
    SM_TEST_OK(sm_h5_make_group(file, "/group/inner"));
    SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "format", "something else"));
    SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-test"));
    SM_TEST_OK(sm_h5_write_attribute_int64(file, "/", "step", INT64_MAX));
    SM_TEST_OK(sm_h5_write_attribute_double(file, "/model/words", "best", 0.1));
    SM_TEST_OK(sm_h5_write_attribute_doubles(file, "/group/inner", "mean", doubles, 2));
    SM_TEST_OK(sm_h5_write_attribute_int64s(file, "/group/inner", "counts", integers, 2));
    SM_TEST_OK(sm_h5_write_attribute_texts(file, "/model/words", "class_names", names, 3));
    SM_TEST_OK(sm_h5_write_attribute_texts(file, "/", "no_names", NULL, 0));
}

static void read_everything(const sm_h5 *file)
{
    float values[2][3], scalar;
    double doubles[2], *mean, best;
    int64_t integers[2], step, *counts;
    uint8_t bytes[4];
    uint16_t words[4];
    char **texts, *text;
    size_t count;
    SM_TEST_OK(sm_h5_read(file, "/model/deep/a.weight", SM_H5_FLOAT, 2, matrix_shape, values));
    CU_ASSERT(memcmp(values, matrix, sizeof matrix) == 0);
    SM_TEST_OK(sm_h5_read(file, "/model/doubles", SM_H5_DOUBLE, 1, (size_t[]){2}, doubles));
    CU_ASSERT(doubles[0] == 0.1 && doubles[1] == -1e300);
    SM_TEST_OK(sm_h5_read(file, "/model/integers", SM_H5_INT64, 1, (size_t[]){2}, integers));
    CU_ASSERT(integers[0] == INT64_MIN && integers[1] == INT64_MAX);
    SM_TEST_OK(sm_h5_read(file, "/model/bytes", SM_H5_U8, 3, (size_t[]){1, 2, 2}, bytes));
    CU_ASSERT(bytes[1] == 1 && bytes[3] == 255);
    SM_TEST_OK(sm_h5_read(file, "/model/words", SM_H5_U16, 1, (size_t[]){4}, words));
    CU_ASSERT(words[2] == 65534);
    SM_TEST_OK(sm_h5_read(file, "/model/scalar", SM_H5_FLOAT, 0, NULL, &scalar));
    CU_ASSERT(scalar == 3.5f);
    SM_TEST_OK(sm_h5_read(file, "/model/empty", SM_H5_FLOAT, 2, (size_t[]){0, 3}, values));
    SM_TEST_OK(sm_h5_read_texts(file, "/names", &texts, &count));
    CU_ASSERT(count == 3 && !strcmp(texts[0], names[0]) && !strcmp(texts[1], "") && !strcmp(texts[2], names[2]));
    sm_free(texts);
    SM_TEST_OK(sm_h5_read_texts(file, "/no_names", &texts, &count));
    CU_ASSERT(count == 0);
    sm_free(texts);
    SM_TEST_OK(sm_h5_read_attribute_text(file, "/", "format", &text));
    CU_ASSERT_STRING_EQUAL(text, "sigmatic-test");
    sm_free(text);
    SM_TEST_OK(sm_h5_read_attribute_int64(file, "/", "step", &step));
    CU_ASSERT(step == INT64_MAX);
    SM_TEST_OK(sm_h5_read_attribute_double(file, "/model/words", "best", &best));
    CU_ASSERT(best == 0.1);
    SM_TEST_OK(sm_h5_read_attribute_doubles(file, "/group/inner", "mean", &mean, &count));
    CU_ASSERT(count == 2 && mean[1] == -1e300);
    sm_free(mean);
    SM_TEST_OK(sm_h5_read_attribute_int64s(file, "/group/inner", "counts", &counts, &count));
    CU_ASSERT(count == 2 && counts[0] == INT64_MIN);
    sm_free(counts);
    SM_TEST_OK(sm_h5_read_attribute_texts(file, "/model/words", "class_names", &texts, &count));
    CU_ASSERT(count == 3 && !strcmp(texts[2], names[2]));
    sm_free(texts);
    SM_TEST_OK(sm_h5_read_attribute_texts(file, "/", "no_names", &texts, &count));
    CU_ASSERT(count == 0);
    sm_free(texts);
}

static void everything_written_is_read_back(void)
{
    size_t before = sm_memory_held_bytes();
    for (int kind = 0; kind < 4; kind++) {
        sm_h5_format format = kind % 2 ? SM_H5_LATEST : SM_H5_EARLIEST;
        char name[32];
        snprintf(name, sizeof name, "all%d.h5", kind);
        const char *path = in_folder(name);
        sm_h5 *file = NULL;
        if (kind < 2) {
            SM_TEST_OK(sm_h5_create(path, format, &file));
            write_everything(file);
        } else {
            SM_TEST_OK(sm_h5_create_in_memory("memory", format, NULL, &file));
            write_everything(file);
            SM_TEST_OK(sm_h5_write_image(file, path));
        }
        read_everything(file);
        SM_TEST_OK(sm_h5_close(file));
        file = NULL;
        SM_TEST_OK(sm_h5_open(path, &file));
        CU_ASSERT_STRING_EQUAL(sm_h5_path(file), path);
        read_everything(file);
        SM_TEST_OK(sm_h5_close(file));
    }
    SM_TEST_OK(sm_h5_close(NULL));
    CU_ASSERT(sm_memory_held_bytes() == before);
}

static void groups_are_listed_and_told_from_datasets(void)
{
    sm_h5 *file = NULL;
    char **list;
    size_t count;
    SM_TEST_OK(sm_h5_open(in_folder("all0.h5"), &file));
    SM_TEST_OK(sm_h5_list(file, "/", &list, &count));
    CU_ASSERT(count == 4 && !strcmp(list[0], "group") && !strcmp(list[3], "no_names"));
    sm_free(list);
    SM_TEST_OK(sm_h5_list(file, "/group/inner", &list, &count));
    CU_ASSERT(count == 0);
    sm_free(list);
    CU_ASSERT(sm_h5_has_group(file, "/") && sm_h5_has_group(file, "/model/deep"));
    CU_ASSERT(sm_h5_has_dataset(file, "/model/words") && !sm_h5_has_group(file, "/model/words"));
    CU_ASSERT(!sm_h5_has_group(file, "/nowhere/at/all") && !sm_h5_has_dataset(file, "/model"));
    CU_ASSERT(sm_h5_has_attribute(file, "/model/words", "best") && !sm_h5_has_attribute(file, "/", "best"));
    CU_ASSERT(!sm_h5_has_attribute(file, "/nowhere", "best"));
    fails(sm_h5_list(file, "/model/words", &list, &count), SM_ERR_INPUT, "/model/words: there is no such group");
    sm_h5_info info;
    SM_TEST_OK(sm_h5_query(file, "/model/bytes", &info));
    CU_ASSERT(info.type == SM_H5_U8 && info.rank == 3 && info.shape[2] == 2 && info.count == 4);
    SM_TEST_OK(sm_h5_query(file, "/names", &info));
    CU_ASSERT(info.type == SM_H5_TEXT && info.rank == 1 && info.shape[0] == 3);
    SM_TEST_OK(sm_h5_query(file, "/model/scalar", &info));
    CU_ASSERT(info.type == SM_H5_FLOAT && info.rank == 0 && info.count == 1);
    fails(sm_h5_query(file, "/model", &info), SM_ERR_INPUT, "/model: there is no such dataset");
    SM_TEST_OK(sm_h5_close(file));
}

static void mismatches_name_file_object_expected_and_found(void)
{
    sm_h5 *file = NULL;
    float values[6];
    uint8_t bytes[16];
    int64_t integer, integers[4];
    double number;
    char *text, **texts;
    size_t count;
    SM_TEST_OK(sm_h5_open(in_folder("all0.h5"), &file));
    fails(sm_h5_read(file, "/model/deep/a.weight", SM_H5_FLOAT, 2, (size_t[]){3, 2}, values), SM_ERR_INPUT,
          "all0.h5: /model/deep/a.weight: expected float32 (3, 2), found float32 (2, 3)");
    fails(sm_h5_read(file, "/model/deep/a.weight", SM_H5_FLOAT, 1, (size_t[]){6}, values), SM_ERR_INPUT,
          "expected float32 (6), found float32 (2, 3)");
    fails(sm_h5_read(file, "/model/words", SM_H5_U8, 1, (size_t[]){4}, bytes), SM_ERR_INPUT,
          "expected uint8 (4), found uint16 (4)");
    fails(sm_h5_read(file, "/model/words", SM_H5_FLOAT, 1, (size_t[]){4}, values), SM_ERR_INPUT,
          "expected float32 (4), found uint16 (4)");
    fails(sm_h5_read(file, "/model/integers", SM_H5_U16, 1, (size_t[]){2}, bytes), SM_ERR_INPUT, "found int64 (2)");
    fails(sm_h5_read(file, "/names", SM_H5_FLOAT, 1, (size_t[]){3}, values), SM_ERR_INPUT, "found text (3)");
    fails(sm_h5_read(file, "/model/scalar", SM_H5_FLOAT, 1, (size_t[]){1}, values), SM_ERR_INPUT,
          "expected float32 (1), found float32 (scalar)");
    fails(sm_h5_read(file, "/nowhere/x", SM_H5_FLOAT, 1, (size_t[]){1}, values), SM_ERR_INPUT,
          "/nowhere/x: there is no such dataset");
    fails(sm_h5_read_texts(file, "/model/words", &texts, &count), SM_ERR_INPUT,
          "/model/words: expected a list of texts, found uint16 (4)");
    SM_TEST_OK(sm_h5_read(file, "/model/words", SM_H5_INT64, 1, (size_t[]){4}, integers));
    CU_ASSERT(integers[3] == 65535);

    fails(sm_h5_read_attribute_int64(file, "/", "steps", &integer), SM_ERR_INPUT,
          "all0.h5: /: attribute 'steps' is missing, expected an integer");
    fails(sm_h5_read_attribute_int64(file, "/model/words", "best", &integer), SM_ERR_INPUT,
          "/model/words: attribute 'best': expected an integer, found float64 (scalar)");
    fails(sm_h5_read_attribute_double(file, "/", "format", &number), SM_ERR_INPUT,
          "attribute 'format': expected a number, found text (scalar)");
    fails(sm_h5_read_attribute_double(file, "/group/inner", "mean", &number), SM_ERR_INPUT,
          "attribute 'mean': expected a number, found float64 (2)");
    fails(sm_h5_read_attribute_text(file, "/", "step", &text), SM_ERR_INPUT,
          "attribute 'step': expected text, found int64 (scalar)");
    fails(sm_h5_read_attribute_texts(file, "/", "step", &texts, &count), SM_ERR_INPUT,
          "attribute 'step': expected a list: each text, found int64");
    SM_TEST_OK(sm_h5_read_attribute_double(file, "/", "step", &number));
    CU_ASSERT(number == 0x1p63);
    SM_TEST_OK(sm_h5_close(file));
}

static void files_that_are_none_are_told_apart(void)
{
    sm_h5 *file = NULL;
    void *data;
    size_t bytes;
    fails(sm_h5_open(in_folder("none.h5"), &file), SM_ERR_IO, "none.h5: cannot be opened: No such file or directory");
    fails(sm_h5_open(sm_test_folder(), &file), SM_ERR_IO, "a folder, expected a file");
    SM_TEST_OK(sm_file_write_atomic(in_folder("text.h5"), "hello", 5));
    fails(sm_h5_open(in_folder("text.h5"), &file), SM_ERR_INPUT, "text.h5: not an HDF5 file");
    SM_TEST_OK(sm_file_write_atomic(in_folder("zero.h5"), "", 0));
    fails(sm_h5_open(in_folder("zero.h5"), &file), SM_ERR_INPUT, "zero.h5: not an HDF5 file");
    for (int kind = 0; kind < 2; kind++) {
        SM_TEST_OK(sm_file_read(in_folder(kind ? "all1.h5" : "all0.h5"), &data, &bytes));
        SM_TEST_OK(sm_file_write_atomic(in_folder("cut.h5"), data, bytes / 2));
        fails(sm_h5_open(in_folder("cut.h5"), &file), SM_ERR_INPUT, "cut.h5: truncated HDF5 file (HDF5: ");
        SM_TEST_OK(sm_file_write_atomic(in_folder("cut.h5"), data, 20));
        CU_ASSERT(sm_h5_open(in_folder("cut.h5"), &file) == SM_ERR_INPUT);
        SM_TEST_MESSAGE("cut.h5: ");
        sm_free(data);
    }
    fails(sm_h5_create("/nowhere/x.h5", SM_H5_EARLIEST, &file), SM_ERR_IO, "/nowhere/x.h5: cannot be created");
    CU_ASSERT(file == NULL);
}

/* The latest format keeps a checksum of its metadata: every byte of a header that is changed is noticed. */
static void a_flipped_bit_in_metadata_is_noticed(void)
{
    sm_h5 *file = NULL;
    char *data, *text;
    size_t bytes;
    int found = 0;
    SM_TEST_OK(sm_h5_create_in_memory("memory", SM_H5_LATEST, NULL, &file));
    SM_TEST_OK(sm_h5_write_attribute_int64(file, "/", "step", 0x1234567890abcdef));
    SM_TEST_OK(sm_h5_write_image(file, in_folder("flip.h5")));
    SM_TEST_OK(sm_h5_close(file));
    SM_TEST_OK(sm_file_read(in_folder("flip.h5"), (void **)&data, &bytes));
    for (size_t i = 0; i + 8 <= bytes; i++) {
        int64_t value;
        memcpy(&value, data + i, 8);
        if (value == 0x1234567890abcdef) {
            data[i] ^= 1;
            found++;
        }
    }
    CU_ASSERT(found == 1);
    SM_TEST_OK(sm_file_write_atomic(in_folder("flip.h5"), data, bytes));
    sm_free(data);
    sm_status status = sm_h5_open(in_folder("flip.h5"), &file);
    if (status == SM_OK) {
        status = sm_h5_read_attribute_text(file, "/", "step", &text);
        sm_h5_close(file);
    }
    fails(status, SM_ERR_INPUT, "flip.h5: ");
}

/* What another process sees (in ours HDF5 would share what is open): this program again, see main(). \return how many rows
 * of /steps/loss count upwards from 0 */
static int rows_seen_by_another_process(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_h5", "--count-rows", path, (char *)NULL);
        _exit(255);
    }
    int how;
    return waitpid(child, &how, 0) == child && WIFEXITED(how) ? WEXITSTATUS(how) : 255;
}

static int count_rows(const char *path)
{
    sm_h5 *file = NULL;
    sm_h5_info info;
    double rows[250];
    if (sm_h5_open(path, &file) || sm_h5_query(file, "/steps/loss", &info) || info.count > 250 ||
        sm_h5_read(file, "/steps/loss", SM_H5_DOUBLE, 1, info.shape, rows)) {
        return 254;
    }
    int good = 0;
    while (good < (int)info.count && rows[good] == good) {
        good++;
    }
    sm_h5_close(file);
    return good;
}

/* HDF5's lock is flock(): a reader that asks for one (h5py does) must get it while we write. */
static int is_locked(const char *path)
{
    int descriptor = open(path, O_RDONLY);
    int locked = flock(descriptor, LOCK_EX | LOCK_NB) != 0;
    close(descriptor);
    return locked;
}

static void rows_are_appended_by_blocks_and_seen_after_a_flush(void)
{
    sm_h5 *file = NULL;
    double losses[25], read[25];
    float pairs[25][2], read_pairs[25][2];
    sm_h5_info info;
    for (int i = 0; i < 25; i++) {
        losses[i] = i;
        pairs[i][0] = (float)i;
        pairs[i][1] = (float)-i;
    }
    SM_TEST_OK(sm_h5_create(in_folder("rows.h5"), SM_H5_EARLIEST, &file));
    SM_TEST_OK(sm_h5_create_rows(file, "/steps/loss", SM_H5_DOUBLE, 0, 10));
    SM_TEST_OK(sm_h5_create_rows(file, "/steps/pair", SM_H5_FLOAT, 2, 10));
    static const size_t blocks[] = {7, 0, 3, 14};
    size_t rows = 0;
    for (int b = 0; b < 4; b++) {
        SM_TEST_OK(sm_h5_append_rows(file, "/steps/loss", SM_H5_DOUBLE, blocks[b], losses + rows));
        SM_TEST_OK(sm_h5_append_rows(file, "/steps/pair", SM_H5_FLOAT, blocks[b], pairs + rows));
        SM_TEST_OK(sm_h5_flush(file));
        rows += blocks[b];
        CU_ASSERT(rows_seen_by_another_process(in_folder("rows.h5")) == (int)rows);
        CU_ASSERT(!is_locked(in_folder("rows.h5")));
        SM_TEST_OK(sm_h5_query(file, "/steps/pair", &info));
        CU_ASSERT(info.rank == 2 && info.shape[0] == rows && info.shape[1] == 2);
    }
    SM_TEST_OK(sm_h5_append_rows(file, "/steps/loss", SM_H5_DOUBLE, 1, losses + rows));
    SM_TEST_OK(sm_h5_append_rows(file, "/steps/pair", SM_H5_FLOAT, 1, pairs + rows));
    SM_TEST_OK(sm_h5_close(file));
    SM_TEST_OK(sm_h5_open(in_folder("rows.h5"), &file));
    SM_TEST_OK(sm_h5_read_rows(file, "/steps/pair", SM_H5_FLOAT, 0, 25, 2, read_pairs));
    CU_ASSERT(memcmp(read_pairs, pairs, sizeof pairs) == 0);
    SM_TEST_OK(sm_h5_read_rows(file, "/steps/loss", SM_H5_DOUBLE, 20, 5, 1, read));
    CU_ASSERT(read[0] == 20 && read[4] == 24);
    SM_TEST_OK(sm_h5_read_rows(file, "/steps/loss", SM_H5_DOUBLE, 25, 0, 1, read));
    fails(sm_h5_read_rows(file, "/steps/loss", SM_H5_DOUBLE, 20, 6, 1, read), SM_ERR_INPUT,
          "/steps/loss: rows 20 .. 25 expected, found float64 (25)");
    fails(sm_h5_read_rows(file, "/steps/pair", SM_H5_FLOAT, 0, 1, 3, read), SM_ERR_INPUT,
          "/steps/pair: expected float32 (25, 3), found float32 (25, 2)");
    SM_TEST_OK(sm_h5_close(file));
}

/* A child writes rows, flushes, writes more, and is killed: what was flushed is readable. */
static void flushed_rows_survive_kill_9(void)
{
    const char *path = in_folder("killed.h5");
    for (int round = 0; round < 5; round++) {
        pid_t child = fork();
        if (child == 0) {
            sm_h5 *file = NULL;
            double rows[64];
            sm_h5_create(path, SM_H5_EARLIEST, &file);
            sm_h5_create_rows(file, "/steps/loss", SM_H5_DOUBLE, 0, 16);
            for (int i = 0; i < 64; i++) {
                rows[i] = i;
            }
            sm_h5_append_rows(file, "/steps/loss", SM_H5_DOUBLE, 20 + (size_t)round, rows);
            sm_h5_flush(file);
            sm_h5_append_rows(file, "/steps/loss", SM_H5_DOUBLE, 30, rows);
            kill(getpid(), SIGKILL);
        }
        int how;
        CU_ASSERT(waitpid(child, &how, 0) == child && WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        sm_h5 *file = NULL;
        double rows[64];
        SM_TEST_OK(sm_h5_open(path, &file));
        SM_TEST_OK(sm_h5_read_rows(file, "/steps/loss", SM_H5_DOUBLE, 0, 20 + (size_t)round, 1, rows));
        CU_ASSERT(rows[19 + round] == 19 + round);
        SM_TEST_OK(sm_h5_close(file));
    }
}

static void raw_bytes_lie_where_the_file_says(void)
{
    sm_h5 *file = NULL;
    sm_file *raw = NULL;
    uint64_t small = 0, image = 0, depth = 0, found = 0;
    const size_t image_shape[4] = {3, 20, 30, 3}, depth_shape[3] = {3, 20, 30}, small_shape[1] = {5};
    enum { DEPTHS = 3 * 20 * 30 };
    static float depths[DEPTHS], read[DEPTHS];
    sm_test_fill(depths, DEPTHS, 1);
    SM_TEST_OK(sm_h5_create(in_folder("raw.h5"), SM_H5_EARLIEST, &file));
    SM_TEST_OK(sm_h5_create_contiguous(file, "/train/small", SM_H5_U16, 1, small_shape, &small));
    SM_TEST_OK(sm_h5_create_contiguous(file, "/train/image", SM_H5_U8, 4, image_shape, &image));
    SM_TEST_OK(sm_h5_create_contiguous(file, "/train/depth", SM_H5_FLOAT, 3, depth_shape, &depth));
    SM_TEST_OK(sm_h5_create_rows(file, "/train/chunked", SM_H5_FLOAT, 0, 4));
    SM_TEST_OK(sm_h5_close(file));
    CU_ASSERT(image % 4096 == 0 && depth % 4096 == 0 && image > 0 && depth > 0 && image != depth);

    SM_TEST_OK(sm_file_open_write(in_folder("raw.h5"), &raw));
    SM_TEST_OK(sm_file_pwrite(raw, depths, sizeof depths, depth));
    sm_file_close(raw);
    SM_TEST_OK(sm_h5_open(in_folder("raw.h5"), &file));
    SM_TEST_OK(sm_h5_locate(file, "/train/depth", SM_H5_FLOAT, 3, depth_shape, &found));
    CU_ASSERT(found == depth);
    SM_TEST_OK(sm_h5_read(file, "/train/depth", SM_H5_FLOAT, 3, depth_shape, read));
    CU_ASSERT(memcmp(read, depths, sizeof read) == 0);
    SM_TEST_OK(sm_h5_locate(file, "/train/small", SM_H5_U16, 1, small_shape, &found));
    CU_ASSERT(found == small);
    fails(sm_h5_locate(file, "/train/depth", SM_H5_DOUBLE, 3, depth_shape, &found), SM_ERR_INPUT,
          "raw.h5: /train/depth: expected float64 (3, 20, 30), found float32 (3, 20, 30)");
    fails(sm_h5_locate(file, "/train/depth", SM_H5_FLOAT, 3, image_shape + 1, &found), SM_ERR_INPUT,
          "expected float32 (20, 30, 3), found float32 (3, 20, 30)");
    fails(sm_h5_locate(file, "/train/chunked", SM_H5_FLOAT, 1, (size_t[]){0}, &found), SM_ERR_INPUT,
          "/train/chunked: expected a contiguous dataset, but it is stored in chunks");
    SM_TEST_OK(sm_h5_close(file));
}

/* Files with a link of each kind to /x, and with values kept elsewhere, as others may write them. */
static void write_links(void)
{
    static const float inside[10] = {142}, outside[10] = {200};
    const hsize_t shape[1] = {10};
    sm_h5 *file = NULL;
    SM_TEST_OK(sm_h5_create(in_folder("outside.h5"), SM_H5_EARLIEST, &file));
    SM_TEST_OK(sm_h5_write(file, "/group/x", SM_H5_FLOAT, 1, (size_t[]){10}, outside));
    SM_TEST_OK(sm_h5_close(file));
    SM_TEST_OK(sm_h5_create(in_folder("links.h5"), SM_H5_EARLIEST, &file));
    SM_TEST_OK(sm_h5_write(file, "/x", SM_H5_FLOAT, 1, (size_t[]){10}, inside));
    SM_TEST_OK(sm_h5_close(file));
    hid_t id = H5Fopen(in_folder("links.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    CU_ASSERT(H5Lcreate_soft("/x", id, "soft", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    CU_ASSERT(H5Lcreate_hard(id, "/x", id, "hard", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    CU_ASSERT(H5Lcreate_external("outside.h5", "/group/x", id, "external", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    CU_ASSERT(H5Lcreate_external("outside.h5", "/group", id, "group", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    hid_t space = H5Screate_simple(1, shape, NULL), raw = H5Pcreate(H5P_DATASET_CREATE);
    hid_t virtual = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(raw, in_folder("values.raw"), 0, sizeof outside);
    H5Pset_virtual(virtual, space, "outside.h5", "/group/x", space);
    H5Dclose(H5Dcreate2(id, "raw", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, raw, H5P_DEFAULT));
    H5Dclose(H5Dcreate2(id, "virtual", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, virtual, H5P_DEFAULT));
    H5Pclose(virtual);
    H5Pclose(raw);
    H5Sclose(space);
    CU_ASSERT(H5Fclose(id) >= 0);
}

/* The place of an object of another file is no place in this one: there lie other bytes. */
static void what_lies_in_another_file_is_refused_by_name(void)
{
    static const struct {
        const char *object, *part;
    } others[] = {
        {"/external", "links.h5: /external: lies in another file, "},
        {"/external", "outside.h5, where a link leads"},
        {"/group/x", "links.h5: /group/x: lies in another file, "},
        {"/raw", "links.h5: /raw: its values are kept in other files (external storage)"},
        {"/virtual", "links.h5: /virtual: its values are kept in other files (a virtual dataset)"},
    };
    static const char *const own[] = {"/x", "/soft", "/hard"};
    sm_h5 *file = NULL;
    sm_file *raw = NULL;
    float values[10];
    uint64_t offset;
    write_links();
    SM_TEST_OK(sm_h5_open(in_folder("links.h5"), &file));
    SM_TEST_OK(sm_file_open_read(in_folder("links.h5"), &raw));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        SM_TEST_OK(sm_h5_locate(file, own[i], SM_H5_FLOAT, 1, (size_t[]){10}, &offset));
        SM_TEST_OK(sm_file_pread(raw, values, sizeof values, offset));
        CU_ASSERT(values[0] == 142);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const char *object = others[i].object;
        sm_h5_info info;
        fails(sm_h5_locate(file, object, SM_H5_FLOAT, 1, (size_t[]){10}, &offset), SM_ERR_INPUT, others[i].part);
        fails(sm_h5_read(file, object, SM_H5_FLOAT, 1, (size_t[]){10}, values), SM_ERR_INPUT, others[i].part);
        fails(sm_h5_query(file, object, &info), SM_ERR_INPUT, others[i].part);
    }
    sm_file_close(raw);
    SM_TEST_OK(sm_h5_close(file));
}

/* Replaces each 8-byte number `from` of a file by `to`. */
static void replace_numbers(const char *path, uint64_t from, uint64_t to)
{
    char *data;
    size_t bytes;
    int found = 0;
    SM_TEST_OK(sm_file_read(path, (void **)&data, &bytes));
    for (size_t i = 0; i + sizeof from <= bytes; i++) {
        if (memcmp(data + i, &from, sizeof from) == 0) {
            memcpy(data + i, &to, sizeof to);
            found++;
        }
    }
    CU_ASSERT(found >= 1);
    SM_TEST_OK(sm_file_write_atomic(path, data, bytes));
    sm_free(data);
}

/* The earliest format, h5py's default, has no checksums: a damaged size must not become a request for memory. */
static void a_damaged_size_is_bad_input(void)
{
    enum { COUNT = 7777 };
    sm_h5 *file = NULL;
    sm_h5_info info;
    char **texts = NULL;
    const char **written = sm_alloc(COUNT * sizeof *written);
    double *numbers = sm_alloc_zeroed(COUNT * sizeof *numbers);
    for (int i = 0; i < COUNT; i++) {
        written[i] = "name";
    }
    SM_TEST_OK(sm_h5_create(in_folder("size.h5"), SM_H5_EARLIEST, &file));
    SM_TEST_OK(sm_h5_write_texts(file, "/names", written, COUNT));
    SM_TEST_OK(sm_h5_write(file, "/numbers", SM_H5_DOUBLE, 1, (size_t[]){COUNT}, numbers));
    SM_TEST_OK(sm_h5_create_rows(file, "/rows", SM_H5_DOUBLE, 0, 1000));
    SM_TEST_OK(sm_h5_append_rows(file, "/rows", SM_H5_DOUBLE, COUNT, numbers));
    SM_TEST_OK(sm_h5_write_attribute_doubles(file, "/", "list", numbers, COUNT));
    SM_TEST_OK(sm_h5_close(file));
    replace_numbers(in_folder("size.h5"), COUNT, (uint64_t)1 << 45);
    SM_TEST_OK(sm_h5_open(in_folder("size.h5"), &file));
    size_t count = 0;
    fails(sm_h5_read_texts(file, "/names", &texts, &count), SM_ERR_INPUT,
          "size.h5: /names: found text (35184372088832), but only ");
    fails(sm_h5_query(file, "/numbers", &info), SM_ERR_INPUT,
          "size.h5: /numbers: found float64 (35184372088832), but only 62216 bytes are stored (in a file of ");
    fails(sm_h5_query(file, "/rows", &info), SM_ERR_INPUT,
          "size.h5: /rows: found float64 (35184372088832), but only 64000 bytes are stored (in a file of ");
    double *list = NULL;
    fails(sm_h5_read_attribute_doubles(file, "/", "list", &list, &count), SM_ERR_INPUT, "size.h5: /: attribute 'list'");
    SM_TEST_OK(sm_h5_close(file));
    sm_free(written);
    sm_free(numbers);
}

/* A file that was cut between opening and reading its places, which HDF5's own check at opening cannot see. */
static void a_dataset_beyond_the_end_is_truncated(void)
{
    sm_h5 *file = NULL;
    uint64_t offset = 0;
    const size_t shape[1] = {10000};
    SM_TEST_OK(sm_h5_create(in_folder("short.h5"), SM_H5_EARLIEST, &file));
    SM_TEST_OK(sm_h5_create_contiguous(file, "/x", SM_H5_FLOAT, 1, shape, &offset));
    SM_TEST_OK(sm_h5_close(file));
    SM_TEST_OK(sm_h5_open(in_folder("short.h5"), &file));
    CU_ASSERT(truncate(in_folder("short.h5"), (off_t)offset + 39999) == 0);
    fails(sm_h5_locate(file, "/x", SM_H5_FLOAT, 1, shape, &offset), SM_ERR_INPUT, "short.h5: /x: truncated: bytes ");
    CU_ASSERT(truncate(in_folder("short.h5"), (off_t)offset + 40000) == 0);
    SM_TEST_OK(sm_h5_locate(file, "/x", SM_H5_FLOAT, 1, shape, &offset));
    SM_TEST_OK(sm_h5_close(file));
}

/* A limit on the size of files refuses writes as a full disk does; in a child, since the limit cannot be told to spare the
 * rest. Exit code 0: the failure was a status with a message, each later call said the same, and nothing crashed. */
static void a_full_disk_is_a_message_and_the_first_failure_stays(void)
{
    for (int kind = 0; kind < 2; kind++) {
        pid_t child = fork();
        if (child == 0) {
            struct rlimit limit = {100000, 100000};
            setrlimit(RLIMIT_FSIZE, &limit);
            signal(SIGXFSZ, SIG_IGN);
            sm_h5 *file = NULL;
            double rows[1000] = {0};
            char first[512] = "";
            sm_status status = kind ? sm_h5_create_in_memory("memory", SM_H5_LATEST, NULL, &file)
                                    : sm_h5_create(in_folder("full.h5"), SM_H5_EARLIEST, &file);
            status = status ? status : sm_h5_create_rows(file, "/loss", SM_H5_DOUBLE, 0, 1000);
            for (int i = 0; i < 100 && status == SM_OK; i++) {
                status = sm_h5_append_rows(file, "/loss", SM_H5_DOUBLE, 1000, rows);
                status = status ? status : sm_h5_flush(file);
            }
            if (kind) {
                int good = status == SM_OK && sm_h5_write_image(file, in_folder("image.h5")) == SM_ERR_WRITE &&
                           strstr(sm_error_message(), "File too large") && !sm_file_exists(in_folder("image.h5"));
                _exit(good && sm_h5_close(file) == SM_OK ? 0 : 1);
            }
            snprintf(first, sizeof first, "%s", sm_error_message());
            int good = status == SM_ERR_WRITE && strstr(first, "full.h5: ") && strstr(first, "(HDF5: File too large)");
            good = good && sm_h5_append_rows(file, "/loss", SM_H5_DOUBLE, 1, rows) == SM_ERR_WRITE;
            good = good && sm_h5_write_attribute_int64(file, "/", "step", 1) == SM_ERR_WRITE;
            good = good && sm_h5_close(file) == SM_ERR_WRITE && strcmp(first, sm_error_message()) == 0;
            _exit(good ? 0 : 1);
        }
        int how;
        CU_ASSERT(waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
}

static void a_name_taken_twice_is_refused(void)
{
    sm_h5 *file = NULL;
    SM_TEST_OK(sm_h5_create_in_memory("memory", SM_H5_EARLIEST, NULL, &file));
    SM_TEST_OK(sm_h5_write(file, "/x", SM_H5_FLOAT, 2, matrix_shape, matrix));
    fails(sm_h5_write(file, "/x", SM_H5_FLOAT, 2, matrix_shape, matrix), SM_ERR_WRITE,
          "memory: /x: the dataset cannot be made (HDF5: ");
    fails(sm_h5_write(file, "/y", SM_H5_FLOAT, 2, matrix_shape, matrix), SM_ERR_WRITE, "memory: /x: ");
    fails(sm_h5_close(file), SM_ERR_WRITE, "memory: /x: ");
}

static void attributes_by_h5py_are_understood(void)
{
    sm_h5 *file = golden_open("h5py.h5");
    char *text, **texts;
    int64_t integer, *integers;
    double number, *numbers;
    size_t count;
    SM_TEST_OK(sm_h5_read_attribute_text(file, "/", "text", &text));
    CU_ASSERT_STRING_EQUAL(text, "caf\xC3\xA9");
    sm_free(text);
    SM_TEST_OK(sm_h5_read_attribute_text(file, "/", "fixed", &text));
    CU_ASSERT_STRING_EQUAL(text, "abc");
    sm_free(text);
    SM_TEST_OK(sm_h5_read_attribute_texts(file, "/", "padded", &texts, &count));
    CU_ASSERT(count == 3 && !strcmp(texts[0], "ab") && !strcmp(texts[1], "abcd") && !strcmp(texts[2], ""));
    sm_free(texts);
    SM_TEST_OK(sm_h5_read_attribute_texts(file, "/", "texts", &texts, &count));
    CU_ASSERT(count == 2 && !strcmp(texts[1], "side walk"));
    sm_free(texts);
    SM_TEST_OK(sm_h5_read_attribute_int64(file, "/", "bool", &integer));
    CU_ASSERT(integer == 1);
    SM_TEST_OK(sm_h5_read_attribute_int64s(file, "/", "bools", &integers, &count));
    CU_ASSERT(count == 3 && integers[0] == 1 && integers[1] == 0 && integers[2] == 1);
    sm_free(integers);
    SM_TEST_OK(sm_h5_read_attribute_int64(file, "/", "small", &integer));
    CU_ASSERT(integer == -5);
    SM_TEST_OK(sm_h5_read_attribute_int64(file, "/", "one", &integer));
    CU_ASSERT(integer == 7);
    SM_TEST_OK(sm_h5_read_attribute_double(file, "/", "half", &number));
    CU_ASSERT(number == 0.5);
    SM_TEST_OK(sm_h5_read_attribute_doubles(file, "/", "swapped", &numbers, &count));
    CU_ASSERT(count == 2 && numbers[0] == 1.5 && numbers[1] == -2);
    sm_free(numbers);
    SM_TEST_OK(sm_h5_read_attribute_int64s(file, "/", "palette", &integers, &count));
    CU_ASSERT(count == 6 && integers[5] == 5);
    sm_free(integers);
    fails(sm_h5_read_attribute_double(file, "/", "empty", &number), SM_ERR_INPUT,
          "attribute 'empty': expected a number");
    SM_TEST_OK(sm_h5_close(file));
}

static void datasets_by_h5py_are_understood_or_refused(void)
{
    sm_h5 *file = golden_open("h5py.h5");
    float values[1000];
    uint16_t words[2];
    int64_t integers[10];
    uint8_t bytes[2];
    uint64_t offset = 0;
    char **texts;
    size_t count;
    SM_TEST_OK(sm_h5_read(file, "/half", SM_H5_FLOAT, 2, (size_t[]){2, 2}, values));
    CU_ASSERT(values[1] == -2 && values[3] == 65504);
    SM_TEST_OK(sm_h5_read(file, "/swapped", SM_H5_FLOAT, 1, (size_t[]){3}, values));
    CU_ASSERT(values[0] == 1 && values[2] == 3e5f);
    SM_TEST_OK(sm_h5_read(file, "/swapped_words", SM_H5_U16, 1, (size_t[]){2}, words));
    CU_ASSERT(words[0] == 1 && words[1] == 65535);
    SM_TEST_OK(sm_h5_read(file, "/bytes", SM_H5_INT64, 1, (size_t[]){2}, integers));
    CU_ASSERT(integers[0] == -1 && integers[1] == 127);
    SM_TEST_OK(sm_h5_read(file, "/chunked", SM_H5_INT64, 1, (size_t[]){10}, integers));
    CU_ASSERT(integers[9] == 9);
    SM_TEST_OK(sm_h5_read_texts(file, "/names", &texts, &count));
    CU_ASSERT(count == 2 && !strcmp(texts[0], "one") && !strcmp(texts[1], "three"));
    sm_free(texts);
    SM_TEST_OK(sm_h5_read_texts(file, "/texts", &texts, &count));
    CU_ASSERT(count == 2 && !strcmp(texts[1], "caf\xC3\xA9"));
    sm_free(texts);
    CU_ASSERT(sm_h5_has_dataset(file, "/linked") && !sm_h5_has_dataset(file, "/dangling"));

    fails(sm_h5_read(file, "/bytes", SM_H5_U8, 1, (size_t[]){2}, bytes), SM_ERR_INPUT, "found int8 (2)");
    fails(sm_h5_read(file, "/large", SM_H5_INT64, 1, (size_t[]){1}, integers), SM_ERR_INPUT, "found uint64 (1)");
    fails(sm_h5_read(file, "/flags", SM_H5_U8, 1, (size_t[]){2}, bytes), SM_ERR_INPUT, "found enum (2)");
    fails(sm_h5_read(file, "/null", SM_H5_FLOAT, 0, NULL, values), SM_ERR_INPUT, "/null: ");

    /* Places: behind the user block of 512 bytes; and what has none. */
    SM_TEST_OK(sm_h5_locate(file, "/plain", SM_H5_FLOAT, 1, (size_t[]){1000}, &offset));
    sm_file *raw = NULL;
    SM_TEST_OK(sm_file_open_read(sm_h5_path(file), &raw));
    SM_TEST_OK(sm_file_pread(raw, values, sizeof values, offset));
    CU_ASSERT(values[0] == 0 && values[1] == 1 && values[999] == 999);
    sm_file_close(raw);
    fails(sm_h5_locate(file, "/late", SM_H5_FLOAT, 2, (size_t[]){4, 5}, &offset), SM_ERR_INPUT,
          "h5py.h5: /late: expected a contiguous dataset, but its space was never allocated");
    fails(sm_h5_locate(file, "/swapped", SM_H5_FLOAT, 1, (size_t[]){3}, &offset), SM_ERR_INPUT,
          "/swapped: expected float32 (3), found byte-swapped float32 (3)");
    fails(sm_h5_locate(file, "/chunked", SM_H5_INT32, 1, (size_t[]){10}, &offset), SM_ERR_INPUT, "stored in chunks");
    SM_TEST_OK(sm_h5_close(file));
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--count-rows") == 0) {
        return count_rows(argv[2]);
    }
    sm_test_begin(&argc, &argv);
    SM_TEST(everything_written_is_read_back);
    SM_TEST(groups_are_listed_and_told_from_datasets);
    SM_TEST(mismatches_name_file_object_expected_and_found);
    SM_TEST(files_that_are_none_are_told_apart);
    SM_TEST(a_flipped_bit_in_metadata_is_noticed);
    SM_TEST(rows_are_appended_by_blocks_and_seen_after_a_flush);
    SM_TEST(flushed_rows_survive_kill_9);
    SM_TEST(raw_bytes_lie_where_the_file_says);
    SM_TEST(a_dataset_beyond_the_end_is_truncated);
    SM_TEST(what_lies_in_another_file_is_refused_by_name);
    SM_TEST(a_damaged_size_is_bad_input);
    SM_TEST(a_full_disk_is_a_message_and_the_first_failure_stays);
    SM_TEST(a_name_taken_twice_is_refused);
    SM_TEST(attributes_by_h5py_are_understood);
    SM_TEST(datasets_by_h5py_are_understood_or_refused);
    return sm_test_end();
}
