/* Reading and writing of the bytes; npy_header.c knows the header, npy_types.c the types. */
#include <sigmatic/io/npy.h>

#include "io/npy_private.h"

#include <sigmatic/base/byte_order.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <string.h>

enum { MAGIC_BYTES = 6, HEADER_ALIGNMENT = 64, MAX_HEADER_BYTES = 65536 };

static const char magic[] = "\x93NUMPY";

/* ---- reading ------------------------------------------------------------------------------------------------------- */

/* Finds the header: its text with a zero behind it, freed with sm_free(), and where the data begin. */
static sm_status read_header_text(const char *path, const sm_file *file, uint64_t bytes, char **text, uint64_t *end)
{
    sm_status status = SM_OK;
    uint8_t start[MAGIC_BYTES + 6] = {0};
    char *read = NULL;
    if (bytes >= MAGIC_BYTES + 4) {
        SM_TRY(sm_file_pread(file, start, bytes < sizeof start ? bytes : sizeof start, 0));
    }
    if (memcmp(start, magic, MAGIC_BYTES) != 0) {
        return sm_fail(SM_ERR_INPUT, "%s: not a NumPy array file (.npy)", path);
    }
    int major = start[MAGIC_BYTES], minor = start[MAGIC_BYTES + 1], wide = major > 1;
    if (major < 1 || major > 3 || minor != 0) {
        return sm_fail(SM_ERR_INPUT, "%s: NumPy file format %d.%d, expected 1.0, 2.0 or 3.0", path, major, minor);
    }
    const uint8_t *field = start + MAGIC_BYTES + 2;
    uint64_t length = field[0] | (uint64_t)field[1] << 8, begin = MAGIC_BYTES + 2 + (wide ? 4 : 2);
    length |= wide ? (uint64_t)field[2] << 16 | (uint64_t)field[3] << 24 : 0;
    if (length > MAX_HEADER_BYTES || bytes < begin || length > bytes - begin) {
        return sm_fail(SM_ERR_INPUT, "%s: a NumPy header of %llu bytes in a file of %llu, expected at most %d", path,
                       (unsigned long long)length, (unsigned long long)bytes, MAX_HEADER_BYTES);
    }
    read = sm_alloc(length + 1);
    SM_TRY(sm_file_pread(file, read, length, begin));
    read[length] = '\0';
    if (strlen(read) != length) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: NumPy header: a zero byte in it", path));
    }
    *text = read;
    *end = begin + length;
    read = NULL;
done:
    sm_free(read);
    return status;
}

static void swap_bytes(uint8_t *data, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++, data += bytes) {
        for (size_t low = 0, high = bytes - 1; low < high; low++, high--) {
            uint8_t byte = data[low];
            data[low] = data[high];
            data[high] = byte;
        }
    }
}

/* The order of Fortran, first index fastest, to that of C. */
static void turn_around(sm_npy *array)
{
    size_t bytes = sm_npy_types[array->type].bytes, shape[SM_NPY_MAX_RANK], stride[SM_NPY_MAX_RANK];
    int ahead = SM_NPY_MAX_RANK - array->rank; /* lengths of 1 in front make four of them */
    size_t step = bytes;
    for (int i = 0; i < SM_NPY_MAX_RANK; i++) {
        shape[i] = i < ahead ? 1 : array->shape[i - ahead];
        stride[i] = step;
        step *= shape[i];
    }
    char *turned = sm_alloc(array->count * bytes), *to = turned;
    for (size_t i = 0; i < shape[0]; i++) {
        for (size_t j = 0; j < shape[1]; j++) {
            for (size_t k = 0; k < shape[2]; k++) {
                const char *from = (const char *)array->data + i * stride[0] + j * stride[1] + k * stride[2];
                for (size_t l = 0; l < shape[3]; l++, to += bytes) {
                    memcpy(to, from + l * stride[3], bytes);
                }
            }
        }
    }
    sm_free(array->data);
    array->data = turned;
}

static sm_status read_data(const sm_npy_layout *layout, const sm_file *file, uint64_t begin, sm_npy *array)
{
    size_t bytes = sm_npy_types[array->type].bytes;
    array->data = sm_alloc(array->count * bytes);
    sm_status status = sm_file_pread(file, array->data, array->count * bytes, begin);
    if (status != SM_OK) {
        return status;
    }
    if (layout->is_big_endian == sm_host_is_little()) {
        swap_bytes(array->data, array->count, bytes);
    }
    if (layout->is_fortran && array->rank > 1 && array->count > 0) {
        turn_around(array);
    }
    for (size_t i = 0; array->type == SM_NPY_BOOL && i < array->count; i++) {
        ((uint8_t *)array->data)[i] = ((uint8_t *)array->data)[i] != 0;
    }
    return SM_OK;
}

/* \param [out] array  its data only if `has_data` */
static sm_status read_array(const char *path, int has_data, sm_npy *array)
{
    sm_status status = SM_OK;
    sm_file *file = NULL;
    char *text = NULL;
    uint64_t bytes = 0, begin = 0;
    sm_npy_layout layout = {0};

    *array = (sm_npy){0};
    SM_TRY(sm_file_size(path, &bytes));
    SM_TRY(sm_file_open_read(path, &file));
    SM_TRY(read_header_text(path, file, bytes, &text, &begin));
    SM_TRY(sm_npy_parse_header(path, text, bytes - begin, array, &layout));
    SM_TRY(has_data ? read_data(&layout, file, begin, array) : SM_OK);
done:
    if (status != SM_OK) {
        sm_npy_free(array);
    }
    sm_free(text);
    sm_file_close(file);
    return status;
}

sm_status sm_npy_read(const char *path, sm_npy *array)
{
    return read_array(path, 1, array);
}

sm_status sm_npy_read_type(const char *path, sm_npy_type *type)
{
    sm_npy array;
    sm_status status = read_array(path, 0, &array);
    *type = array.type;
    return status;
}

sm_status sm_npy_read_float(const char *path, sm_npy *array)
{
    sm_status status = sm_npy_read(path, array);
    if (status != SM_OK || array->type == SM_NPY_F32) {
        return status;
    }
    float *data = sm_alloc(array->count * sizeof *data);
    for (size_t i = 0; i < array->count; i++) {
        data[i] = sm_npy_types[array->type].float_of(array->data, i);
    }
    sm_free(array->data);
    array->data = data;
    array->type = SM_NPY_F32;
    return SM_OK;
}

sm_status sm_npy_read_int64(const char *path, sm_npy *array)
{
    sm_status status = sm_npy_read(path, array);
    if (status != SM_OK || array->type == SM_NPY_I64) {
        return status;
    }
    int64_t *data = sm_alloc(array->count * sizeof *data);
    for (size_t i = 0; i < array->count; i++) {
        if (!sm_npy_types[array->type].integer_of(array->data, i, data + i)) {
            status =
                sm_fail(SM_ERR_INPUT, "%s: element %zu (from 0, in C order) is %g, expected a whole number of 64 bits",
                        path, i, sm_shown((double)sm_npy_types[array->type].float_of(array->data, i)));
            sm_free(data);
            sm_npy_free(array);
            return status;
        }
    }
    sm_free(array->data);
    array->data = data;
    array->type = SM_NPY_I64;
    return SM_OK;
}

void sm_npy_free(sm_npy *array)
{
    sm_free(array->data);
    *array = (sm_npy){0};
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

/* \return the header's dictionary as numpy.save() writes it, freed with sm_free(). */
static char *header_of(const sm_npy *array)
{
    char *shape = sm_strdup("");
    for (int i = 0; i < array->rank; i++) {
        const char *behind = i + 1 < array->rank ? ", " : array->rank == 1 ? "," : "";
        char *longer = sm_format("%s%zu%s", shape, array->shape[i], behind);
        sm_free(shape);
        shape = longer;
    }
    char *text = sm_format("{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
                           sm_npy_types[array->type].bytes == 1 ? '|' : '<', sm_npy_types[array->type].code, shape);
    sm_free(shape);
    return text;
}

sm_status sm_npy_write(const sm_npy *array, const char *path)
{
    enum { BEGIN = MAGIC_BYTES + 4 };
    size_t element = sm_npy_types[array->type].bytes, data_bytes = array->count * element;
    char *text = header_of(array);
    size_t begin = sm_round_up(BEGIN + strlen(text) + 1, HEADER_ALIGNMENT), length = begin - BEGIN;
    uint8_t *file = sm_alloc(begin + data_bytes);
    memcpy(file, magic, MAGIC_BYTES);
    memcpy(file + MAGIC_BYTES, (uint8_t[]){1, 0, (uint8_t)length, (uint8_t)(length >> 8)}, 4);
    memset(file + BEGIN, ' ', length);
    memcpy(file + BEGIN, text, strlen(text));
    file[begin - 1] = '\n';
    if (data_bytes > 0) {
        memcpy(file + begin, array->data, data_bytes);
    }
    if (!sm_host_is_little()) {
        swap_bytes(file + begin, array->count, element);
    }
    sm_status status = sm_file_write_atomic(path, file, begin + data_bytes);
    sm_free(file);
    sm_free(text);
    return status;
}
