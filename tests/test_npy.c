/* ranks: 1 */
#include "harness.h"
#include "npy_bytes.h"

#include <sigmatic/base/half.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/npy.h>

#include <stdio.h>
#include <string.h>

static const char *in_folder(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", sm_test_folder(), name);
    return path;
}

typedef sm_status (*reader)(const char *path, sm_npy *array);

static sm_status read_bytes(reader read, const void *bytes, size_t count, sm_npy *array)
{
    FILE *file = fopen(in_folder("a.npy"), "wb"); /* thousands of files: not each is synced */
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT(fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
    return read(in_folder("a.npy"), array);
}

static int is_as_made(const sm_npy *array, size_t i, sm_npy_type type)
{
    int same = array->type == type && array->rank == npy_files[i].rank && array->count == npy_files[i].count;
    for (int k = 0; k < npy_files[i].rank; k++) {
        same &= array->shape[k] == npy_files[i].shape[k];
    }
    return same;
}

enum { FILES = sizeof npy_files / sizeof *npy_files };

/* Bits, so that a lost sign of zero shows. */
static void every_kind_is_read_as_numpy_reads_it(void)
{
    size_t before = sm_memory_held_bytes();
    sm_npy array;
    for (size_t i = 0; i < FILES; i++) {
        SM_TEST_OK(read_bytes(sm_npy_read, npy_files[i].file, npy_files[i].bytes, &array));
        CU_ASSERT(is_as_made(&array, i, npy_files[i].type));
        sm_npy_free(&array);
        SM_TEST_OK(read_bytes(sm_npy_read_float, npy_files[i].file, npy_files[i].bytes, &array));
        CU_ASSERT_FATAL(is_as_made(&array, i, SM_NPY_F32));
        CU_ASSERT(memcmp(array.data, npy_files[i].floats, array.count * sizeof(float)) == 0);
        sm_npy_free(&array);
        sm_npy_free(&array);
        if (npy_files[i].are_whole) {
            SM_TEST_OK(read_bytes(sm_npy_read_int64, npy_files[i].file, npy_files[i].bytes, &array));
            CU_ASSERT_FATAL(is_as_made(&array, i, SM_NPY_I64));
            CU_ASSERT(memcmp(array.data, npy_files[i].wholes, array.count * sizeof(int64_t)) == 0);
            sm_npy_free(&array);
        }
    }
    CU_ASSERT(sm_memory_held_bytes() == before);
}

static void raw_numbers_are_in_host_order(void)
{
    sm_npy array;
    SM_TEST_OK(read_bytes(sm_npy_read, int16_npy, sizeof int16_npy, &array));
    CU_ASSERT(((int16_t *)array.data)[5] == -128 && ((int16_t *)array.data)[0] == -3);
    sm_npy_free(&array);
    SM_TEST_OK(read_bytes(sm_npy_read, float16_npy, sizeof float16_npy, &array));
    CU_ASSERT(sm_float_of_half(((uint16_t *)array.data)[1]) == -1.25f);
    sm_npy_free(&array);
    SM_TEST_OK(read_bytes(sm_npy_read, bool_npy, sizeof bool_npy, &array));
    CU_ASSERT(((uint8_t *)array.data)[0] == 0 && ((uint8_t *)array.data)[2] == 1);
    sm_npy_free(&array);
}

static void what_is_written_are_numpys_bytes(void)
{
    for (size_t i = 0; i < FILES; i++) {
        int is_plain = strstr("int32 whole_float float32 scalar empty", npy_files[i].name) != NULL;
        sm_npy array;
        void *bytes = NULL;
        size_t count = 0;
        SM_TEST_OK(read_bytes(sm_npy_read, npy_files[i].file, npy_files[i].bytes, &array));
        SM_TEST_OK(sm_npy_write(&array, in_folder("out.npy")));
        SM_TEST_OK(sm_file_read(in_folder("out.npy"), &bytes, &count));
        CU_ASSERT(!is_plain || (count == npy_files[i].bytes && memcmp(bytes, npy_files[i].file, count) == 0));
        sm_free(bytes);
        sm_npy_free(&array);
        SM_TEST_OK(sm_npy_read_float(in_folder("out.npy"), &array));
        CU_ASSERT(memcmp(array.data, npy_files[i].floats, array.count * sizeof(float)) == 0);
        sm_npy_free(&array);
    }
    sm_npy none = {.type = SM_NPY_F32, .rank = 1};
    CU_ASSERT(sm_npy_write(&none, "/nowhere/x.npy") == SM_ERR_IO);
}

/* A file of format 1.0 with this header and `data_bytes` zeros. */
static sm_status read_header(const char *header, size_t data_bytes, sm_npy *array)
{
    char file[600] = "\x93NUMPY\x01";
    size_t length = strlen(header);
    file[8] = (char)(length & 255);
    file[9] = (char)(length >> 8);
    memcpy(file + 10, header, length);
    return read_bytes(sm_npy_read, file, 10 + length + data_bytes, array);
}

static void headers_are_read_in_any_layout(void)
{
    static const char *const headers[] = {
        "{'descr':'<f4','fortran_order':False,'shape':(2,3)}",
        "{ \"shape\" : ( 2 , 3 , ) , 'fortran_order' : False , 'descr' : '=f4' } \n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }   ",
        "{'descr': '<u8', 'fortran_order': True, 'shape': (3,), }",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        sm_npy array;
        SM_TEST_OK(read_header(headers[i], 24, &array));
        sm_npy_free(&array);
    }
}

static void hostile_headers_are_refused(void)
{
    static const struct {
        const char *header, *message;
    } cases[] = {
        {"", "a.npy: NumPy header: expected '{', found ''"},
        {"{}", "there is no key 'descr'"},
        {"{'descr': '<f4', 'shape': (6,)}", "there is no key 'fortran_order'"},
        {"{'descr': '<f4', 'descr': '<f4'}", "key 'descr' stands there twice"},
        {"{'other': 3}", "key 'other' is none of descr, fortran_order, shape"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (6,)}",
         "a.npy: NumPy type '|O', expected a bool, an integer"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (6,)}", "NumPy type '<c8'"},
        {"{'descr': '|f4', 'fortran_order': False, 'shape': (6,)}", "NumPy type '|f4'"},
        {"{'descr': '<f44', 'fortran_order': False, 'shape': (6,)}", "NumPy type '<f44'"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}",
         "expected a type such as '<f4', found '[("},
        {"{'descr': '<f4, 'fortran_order': 0}", "NumPy type '<f4, '"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (6,)}", "expected True or False for 'fortran_order', found '0"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6)}", "a ',' behind the only length"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 6}", "expected a shape such as (3, 4), found '6}'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-6,)}", "expected a length of the shape, found '-6,)}'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6 1)}", "expected ',' or ')' in the shape, found '1)}'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,,3)}", "expected a length of the shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,6)}",
         "more than 4 dimensions, expected at most 4"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)} x", "expected nothing behind '}', found 'x'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)", "expected ',' or '}', found ''"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (6,)}", "expected ',' or '}', found ''fortran"},
        {"{'descr'; '<f4'}", "expected ':', found ';"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (7,)}",
         "promises more than 24 bytes of float32, the file has 24"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (5,)}", "promises 20 bytes of float32, the file has 24"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 6)}", "promises 0 bytes of float32, the file has 24"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296, 6)}",
         "promises more than 24"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         "expected a length of the shape"},
    };
    size_t before = sm_memory_held_bytes();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sm_npy array;
        CU_ASSERT(read_header(cases[i].header, 24, &array) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(cases[i].message);
        CU_ASSERT(array.data == NULL && array.count == 0);
    }
    CU_ASSERT(sm_memory_held_bytes() == before);
}

static void every_truncation_is_noticed(void)
{
    for (size_t i = 0; i < FILES; i++) {
        for (size_t bytes = 0; bytes < npy_files[i].bytes; bytes++) {
            sm_npy array;
            CU_ASSERT(read_bytes(sm_npy_read, npy_files[i].file, bytes, &array) == SM_ERR_INPUT);
        }
    }
    uint8_t longer[sizeof bool_npy + 1] = {0};
    sm_npy array;
    memcpy(longer, bool_npy, sizeof bool_npy);
    CU_ASSERT(read_bytes(sm_npy_read, longer, sizeof longer, &array) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("a.npy: its NumPy header promises 12 bytes of bool, the file has 13");
}

static void other_files_and_formats_are_refused(void)
{
    sm_npy array;
    uint8_t copy[sizeof bool_npy];
    CU_ASSERT(sm_npy_read(in_folder("none.npy"), &array) == SM_ERR_IO);
    CU_ASSERT(read_bytes(sm_npy_read, "PK\3\4 an archive of arrays", 20, &array) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("a.npy: not a NumPy array file (.npy)");
    memcpy(copy, bool_npy, sizeof copy);
    copy[6] = 4;
    CU_ASSERT(read_bytes(sm_npy_read, copy, sizeof copy, &array) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("a.npy: NumPy file format 4.0, expected 1.0, 2.0 or 3.0");
    copy[6] = 2; /* of which the length of the header has four bytes: here text */
    CU_ASSERT(read_bytes(sm_npy_read, copy, sizeof copy, &array) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("in a file of 140, expected at most 65536");
    memcpy(copy, bool_npy, sizeof copy);
    copy[100] = 0;
    CU_ASSERT(read_bytes(sm_npy_read, copy, sizeof copy, &array) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("a.npy: NumPy header: a zero byte in it");
}

static void numbers_that_are_not_whole_are_named(void)
{
    sm_npy array;
    uint8_t copy[sizeof uint64_npy];
    CU_ASSERT(read_bytes(sm_npy_read_int64, float32_npy, sizeof float32_npy, &array) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("a.npy: element 0 (from 0, in C order) is 0.5, expected a whole number of 64 bits");
    CU_ASSERT(array.data == NULL);
    CU_ASSERT(read_bytes(sm_npy_read_int64, float64_npy, sizeof float64_npy, &array) == SM_ERR_INPUT);
    memcpy(copy, uint64_npy, sizeof copy);
    copy[sizeof copy - 1] = 0x80; /* the last number is now above 2^63 */
    CU_ASSERT(read_bytes(sm_npy_read_int64, copy, sizeof copy, &array) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("element 11 (from 0, in C order) is 9.22337e+18");
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(every_kind_is_read_as_numpy_reads_it);
    SM_TEST(raw_numbers_are_in_host_order);
    SM_TEST(what_is_written_are_numpys_bytes);
    SM_TEST(headers_are_read_in_any_layout);
    SM_TEST(hostile_headers_are_refused);
    SM_TEST(every_truncation_is_noticed);
    SM_TEST(other_files_and_formats_are_refused);
    SM_TEST(numbers_that_are_not_whole_are_named);
    return sm_test_end();
}
