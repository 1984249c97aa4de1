/* ranks: 1
 * Files in memory: what they are made of, and the memory that they are made in. */
#define _XOPEN_SOURCE 700
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

enum { LARGE_ROWS = 300, LARGE_COLUMNS = 1000, LARGE = LARGE_ROWS * LARGE_COLUMNS, DATASETS = 40 };
static float large[LARGE];

typedef enum how { COPIED, IN_PLACE } how;

static void write_large(sm_h5 *file, const char *object, how way, int rows)
{
    const size_t shape[2] = {(size_t)rows, LARGE_COLUMNS};
    size_t bytes = shape[0] * shape[1] * sizeof *large;
    void *values = NULL;
    if (way == COPIED) {
        SM_TEST_OK(sm_h5_write(file, object, SM_H5_FLOAT, 2, shape, large));
    } else {
        SM_TEST_OK(sm_h5_write_in_place(file, object, SM_H5_FLOAT, 2, shape, &values));
        CU_ASSERT((size_t)values % SM_ALIGNMENT_BYTES == 0);
        memcpy(values, large, bytes);
    }
}

/* Large ones of many sizes, small ones and attributes between them. More than HDF5 takes of memory at a time. */
static void write_all(sm_h5 *file, how way)
{
    static const float small[3] = {1, 2, 3};
    for (int i = 0; i < DATASETS; i++) {
        char object[64];
        snprintf(object, sizeof object, "/group/large%d", i);
        write_large(file, object, way, i < 3 ? i + 2 : LARGE_ROWS - i);
        SM_TEST_OK(sm_h5_write_attribute_int64(file, object, "crc32c", i));
        snprintf(object, sizeof object, "/group/small%d", i);
        SM_TEST_OK(sm_h5_write(file, object, SM_H5_FLOAT, 1, (size_t[]){3}, small));
    }
}

/* Groups keep the second in which they were made: HDF5 asks for it here, where it stands still when it should. */
static int has_stopped;

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec time = {.tv_sec = 1000000000};
    if (!has_stopped) {
        clock_gettime(CLOCK_REALTIME, &time);
    }
    *now = (struct timeval){.tv_sec = time.tv_sec, .tv_usec = time.tv_nsec / 1000};
    return 0;
}

/* \return 1 if they are alike, made in the same second */
static int are_made_alike(how way, sm_h5_memory *memory)
{
    sm_h5 *file = NULL, *other = NULL;
    const void *image, *expected;
    size_t bytes, expected_bytes;
    has_stopped = 1;
    SM_TEST_OK(sm_h5_create_in_memory("one", SM_H5_LATEST, NULL, &other));
    write_all(other, COPIED);
    SM_TEST_OK(sm_h5_create_in_memory("one", SM_H5_LATEST, memory, &file));
    write_all(file, way);
    SM_TEST_OK(sm_h5_image(file, &image, &bytes));
    SM_TEST_OK(sm_h5_image(other, &expected, &expected_bytes));
    int same = bytes == expected_bytes && memcmp(image, expected, bytes) == 0;
    SM_TEST_OK(sm_h5_close(file));
    SM_TEST_OK(sm_h5_close(other));
    has_stopped = 0;
    return same;
}

static void values_in_place_are_those_written(void)
{
    sm_test_fill(large, LARGE, 1);
    CU_ASSERT(are_made_alike(COPIED, NULL));
    CU_ASSERT(are_made_alike(IN_PLACE, NULL));
}

/* What one has left of its contents is not in the next. */
static void files_use_a_memory_one_after_the_other(void)
{
    size_t before = sm_memory_held_bytes();
    sm_h5_memory memory = {0};
    sm_h5_memory_reserve(&memory, 2 * DATASETS * sizeof large);
    const void *block = memory.block;
    CU_ASSERT(block != NULL && memory.bytes >= 2 * DATASETS * sizeof large);
    for (int i = 0; i < 2; i++) {
        memset(memory.block, 0xff, memory.bytes);
        CU_ASSERT(are_made_alike(IN_PLACE, &memory));
        sm_h5_memory_reserve(&memory, DATASETS * sizeof large);
        CU_ASSERT(memory.block == block);
    }
    sm_h5_memory_free(&memory);
    sm_h5_memory_reserve(&memory, 1); /* too little: it grows */
    CU_ASSERT(are_made_alike(IN_PLACE, &memory));
    CU_ASSERT(memory.bytes > DATASETS * sizeof large / 2);
    sm_h5_memory_free(&memory);
    sm_h5_memory_free(&memory);
    CU_ASSERT(sm_memory_held_bytes() == before);
}

/* HDF5 knows its files by their names, and opens what has a name before it makes anew what has it. */
static void the_name_is_that_of_no_other_file(void)
{
    static const float value = 7;
    sm_h5 *file = NULL, *other = NULL;
    char path[512];
    float found = 0;
    snprintf(path, sizeof path, "%s/there.h5", sm_test_folder());
    SM_TEST_OK(sm_h5_create(path, SM_H5_EARLIEST, &other));
    SM_TEST_OK(sm_h5_write(other, "/x", SM_H5_FLOAT, 0, NULL, &value));
    for (int i = 0; i < 2; i++) { /* while it is open, and when it is there */
        SM_TEST_OK(sm_h5_create_in_memory(path, SM_H5_LATEST, NULL, &file));
        CU_ASSERT_STRING_EQUAL(sm_h5_path(file), path);
        CU_ASSERT(!sm_h5_has_dataset(file, "/x"));
        SM_TEST_OK(sm_h5_read(other, "/x", SM_H5_FLOAT, 0, NULL, &found));
        CU_ASSERT(found == value);
        SM_TEST_OK(sm_h5_close(other));
        other = file;
        SM_TEST_OK(sm_h5_write(other, "/x", SM_H5_FLOAT, 0, NULL, &value));
    }
    SM_TEST_OK(sm_h5_close(other));
}

/* So much that no system has it: the file stays failed, nothing ends. */
static void memory_that_is_not_to_be_had_is_a_failed_write(void)
{
#ifdef __SANITIZE_ADDRESS__
    sm_test_skip("memory", "AddressSanitizer itself refuses so much");
    return;
#endif
    sm_h5 *file = NULL;
    void *values = NULL;
    const size_t shape[2] = {(size_t)1 << 30, (size_t)1 << 20};
    SM_TEST_OK(sm_h5_create_in_memory("memory", SM_H5_LATEST, NULL, &file));
    CU_ASSERT(sm_h5_write_in_place(file, "/x", SM_H5_FLOAT, 2, shape, &values) == SM_ERR_WRITE);
    SM_TEST_MESSAGE("memory: /x: cannot be written (HDF5: ");
    CU_ASSERT(sm_h5_write_attribute_int64(file, "/", "step", 1) == SM_ERR_WRITE);
    CU_ASSERT(sm_h5_close(file) == SM_ERR_WRITE);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(values_in_place_are_those_written);
    SM_TEST(files_use_a_memory_one_after_the_other);
    SM_TEST(the_name_is_that_of_no_other_file);
    SM_TEST(memory_that_is_not_to_be_had_is_a_failed_write);
    return sm_test_end();
}
