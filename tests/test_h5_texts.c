/* ranks: 1
 * Texts in HDF5 files: ours have a fixed length; those of others may lie in the global heap, of which nothing is believed. */
#define _XOPEN_SOURCE 700
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES = 300, LONG_BYTES = 70000, USER_BLOCK = 512 };

static char path[600], long_text[LONG_BYTES + 1];

static const char *name_of(size_t i)
{
    static char name[48];
    snprintf(name, sizeof name, i % 7 == 3 ? "" : "street/image %05u caf\xC3\xA9", (unsigned)i);
    return name;
}

static void begin(void)
{
    snprintf(path, sizeof path, "%s/texts.h5", sm_test_folder());
    memset(long_text, 'x', LONG_BYTES);
}

/* ---- files of others ----------------------------------------------------------------------------------------------- */

static void write_attribute(hid_t owner, const char *name, hid_t type, const char *const *texts, hsize_t count)
{
    hid_t space = count ? H5Screate_simple(1, &count, NULL) : H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(owner, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, texts);
    H5Aclose(attribute);
    H5Sclose(space);
}

/* As h5py writes them, several collections of the heap full, behind a user block.
 * \param chunk  0: contiguous; else /name is packed in such chunks */
static void write_foreign(hsize_t names, hsize_t chunk)
{
    static const char *const words[] = {"road", NULL, "car"}, *const long_one = long_text, *const format = "theirs";
    char **list = malloc(names * sizeof *list);
    for (size_t i = 0; i < names; i++) {
        list[i] = strdup(name_of(i));
    }
    hid_t created = H5Pcreate(H5P_FILE_CREATE), plan = H5Pcreate(H5P_DATASET_CREATE), type = H5Tcopy(H5T_C_S1);
    H5Pset_userblock(created, USER_BLOCK);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    if (chunk > 0) {
        H5Pset_chunk(plan, 1, &chunk);
        H5Pset_deflate(plan, 6);
    }
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, created, H5P_DEFAULT), space = H5Screate_simple(1, &names, NULL);
    write_attribute(file, "format", type, &format, 0);
    write_attribute(file, "words", type, words, 3);
    write_attribute(file, "long", type, &long_one, 0);
    hid_t dataset = H5Dcreate2(file, "name", type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, list);
    hid_t late = H5Dcreate2(file, "never_written", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dclose(late);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Fclose(file);
    H5Tclose(type);
    H5Pclose(plan);
    H5Pclose(created);
    for (size_t i = 0; i < names; i++) {
        free(list[i]);
    }
    free(list);
}

static void texts_of_variable_length_are_read(void)
{
    for (hsize_t chunk = 0; chunk <= 64; chunk += 64) {
        sm_h5 *file = NULL;
        char *text, **texts;
        size_t count, right = 0;
        write_foreign(NAMES, chunk);
        SM_TEST_OK(sm_h5_open(path, &file));
        SM_TEST_OK(sm_h5_read_attribute_text(file, "/", "format", &text));
        CU_ASSERT_STRING_EQUAL(text, "theirs");
        sm_free(text);
        SM_TEST_OK(sm_h5_read_attribute_text(file, "/", "long", &text));
        CU_ASSERT_STRING_EQUAL(text, long_text);
        sm_free(text);
        SM_TEST_OK(sm_h5_read_attribute_texts(file, "/", "words", &texts, &count));
        CU_ASSERT(count == 3 && !strcmp(texts[0], "road") && !strcmp(texts[1], "") && !strcmp(texts[2], "car"));
        sm_free(texts);
        SM_TEST_OK(sm_h5_read_texts(file, "/name", &texts, &count));
        for (size_t i = 0; i < count; i++) {
            right += strcmp(texts[i], name_of(i)) == 0;
        }
        CU_ASSERT(count == NAMES && right == NAMES);
        sm_free(texts);
        SM_TEST_OK(sm_h5_read_texts(file, "/never_written", &texts, &count));
        CU_ASSERT(count == NAMES && !strcmp(texts[0], "") && !strcmp(texts[NAMES - 1], ""));
        sm_free(texts);
        SM_TEST_OK(sm_h5_close(file));
    }
}

/* ---- damage ---------------------------------------------------------------------------------------------------------- */

static void read_all(size_t *refused)
{
    sm_h5 *file = NULL;
    char *text = NULL, **texts = NULL;
    size_t count, before = sm_memory_held_bytes();
    if (sm_h5_open(path, &file) == SM_OK) {
        for (int what = 0; what < 3; what++) {
            text = NULL, texts = NULL;
            sm_status status = what == 0   ? sm_h5_read_attribute_text(file, "/", "format", &text)
                               : what == 1 ? sm_h5_read_attribute_texts(file, "/", "words", &texts, &count)
                                           : sm_h5_read_texts(file, "/name", &texts, &count);
            *refused += status == SM_ERR_INPUT;
            CU_ASSERT(status == SM_OK || (status == SM_ERR_INPUT && strstr(sm_error_message(), path)));
            sm_free(text);
            sm_free(texts);
        }
    }
    sm_h5_close(file);
    CU_ASSERT(sm_memory_held_bytes() == before);
}

/* All of its bytes that HDF5 would believe: each in turn, by a few values. */
static void no_wrong_byte_of_heap_or_references_is_believed(void)
{
    enum { FEW = 24 };
    static const uint8_t flips[] = {0xff, 0x01, 0x80};
    sm_h5 *file = NULL;
    uint64_t offset = 0;
    void *whole = NULL;
    size_t bytes = 0, heaps = 0, refused = 0;
    write_foreign(FEW, 0);
    SM_TEST_OK(sm_file_read(path, &whole, &bytes));
    uint8_t *data = whole;
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    CU_ASSERT(descriptor >= 0);
    for (size_t at = 0; at + 16 < bytes; at++) {
        if (memcmp(data + at, "GCOL", 4) != 0) {
            continue;
        }
        heaps++;
        for (size_t i = at; i < at + 2048 && i < bytes; i += i < at + 256 ? 1 : 5) {
            uint8_t wrong = data[i] ^ flips[i % sizeof flips];
            CU_ASSERT(pwrite(descriptor, &wrong, 1, (off_t)i) == 1);
            read_all(&refused);
            CU_ASSERT(pwrite(descriptor, &data[i], 1, (off_t)i) == 1);
        }
    }
    CU_ASSERT(heaps >= 1 && refused > 20);
    refused = 0;
    /* of the references of /name: a length, an address, an index each */
    hid_t plain = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), dataset = H5Dopen2(plain, "name", H5P_DEFAULT);
    offset = H5Dget_offset(dataset);
    H5Dclose(dataset);
    H5Fclose(plain);
    for (size_t i = (size_t)offset; i < offset + (size_t)FEW * 16; i++) {
        uint8_t wrong = data[i] ^ flips[i % sizeof flips];
        size_t before = refused, place = (i - (size_t)offset) % 16;
        CU_ASSERT(pwrite(descriptor, &wrong, 1, (off_t)i) == 1);
        read_all(&refused);
        CU_ASSERT(pwrite(descriptor, &data[i], 1, (off_t)i) == 1);
        CU_ASSERT(place < 1 || place > 3 || refused > before); /* a length of 256 bytes and more */
    }
    CU_ASSERT(refused > 200);
    close(descriptor);
    sm_free(whole);
    SM_TEST_OK(sm_h5_open(path, &file));
    SM_TEST_OK(sm_h5_close(file));
}

/* Texts of nothing, packed: as many as would be in a file of a thousand times the size. */
static void more_texts_than_bytes_are_refused_before_they_are_read(void)
{
    enum { CHUNKS = 50 };
    sm_h5 *file = NULL;
    char **texts;
    size_t count;
    hsize_t chunk = 1000000, names = CHUNKS * chunk;
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE), fixed = H5Tcopy(H5T_C_S1);
    H5Pset_chunk(plan, 1, &chunk);
    H5Pset_deflate(plan, 1);
    hid_t plain = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), space = H5Screate_simple(1, &names, NULL);
    hid_t dataset = H5Dcreate2(plain, "name", fixed, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    char *zeros = calloc(1, names);
    H5Dwrite(dataset, fixed, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros);
    free(zeros);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Fclose(plain);
    H5Tclose(fixed);
    H5Pclose(plan);
    SM_TEST_OK(sm_h5_open(path, &file));
    CU_ASSERT(sm_h5_read_texts(file, "/name", &texts, &count) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("/name: found text (50000000), but only ");
    SM_TEST_OK(sm_h5_close(file));
}

/* ---- files of ours --------------------------------------------------------------------------------------------------- */

static int has_heap(void)
{
    void *data = NULL;
    size_t bytes = 0;
    int has = 0;
    SM_TEST_OK(sm_file_read(path, &data, &bytes));
    for (size_t i = 0; i + 4 <= bytes; i++) {
        has |= memcmp((char *)data + i, "GCOL", 4) == 0;
    }
    sm_free(data);
    return has;
}

static void files_of_ours_need_no_heap(void)
{
    static const char *const words[] = {"", "road", "caf\xC3\xA9"};
    for (int format = SM_H5_EARLIEST; format <= SM_H5_LATEST; format++) {
        for (int is_long = 0; is_long < 2; is_long++) {
            sm_h5 *file = NULL;
            char *text, **texts;
            size_t count;
            SM_TEST_OK(sm_h5_create(path, (sm_h5_format)format, &file));
            SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "text", is_long ? long_text : "short"));
            SM_TEST_OK(sm_h5_write_attribute_texts(file, "/", "words", words, 3));
            SM_TEST_OK(sm_h5_write_texts(file, "/words", words, 3));
            SM_TEST_OK(sm_h5_read_attribute_text(file, "/", "text", &text)); /* before it is closed, too */
            CU_ASSERT_STRING_EQUAL(text, is_long ? long_text : "short");
            sm_free(text);
            SM_TEST_OK(sm_h5_close(file));
            CU_ASSERT(has_heap() == (is_long && format == SM_H5_EARLIEST));
            SM_TEST_OK(sm_h5_open(path, &file));
            SM_TEST_OK(sm_h5_read_attribute_text(file, "/", "text", &text));
            CU_ASSERT_STRING_EQUAL(text, is_long ? long_text : "short");
            sm_free(text);
            SM_TEST_OK(sm_h5_read_attribute_texts(file, "/", "words", &texts, &count));
            CU_ASSERT(count == 3 && !strcmp(texts[0], "") && !strcmp(texts[2], words[2]));
            sm_free(texts);
            SM_TEST_OK(sm_h5_read_texts(file, "/words", &texts, &count));
            CU_ASSERT(count == 3 && !strcmp(texts[1], "road") && !strcmp(texts[2], words[2]));
            sm_free(texts);
            SM_TEST_OK(sm_h5_close(file));
        }
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    begin();
    SM_TEST(texts_of_variable_length_are_read);
    SM_TEST(no_wrong_byte_of_heap_or_references_is_believed);
    SM_TEST(more_texts_than_bytes_are_refused_before_they_are_read);
    SM_TEST(files_of_ours_need_no_heap);
    return sm_test_end();
}
