/* The header is a literal of a Python dictionary, {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, read by a
 * parser of exactly that: three keys in any order, each once. What it promises must be what the file has. */
#include <sigmatic/io/npy.h>

#include <sigmatic/base/half.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC_BYTES = 6, HEADER_ALIGNMENT = 64, MAX_HEADER_BYTES = 65536 };

static const char magic[] = "\x93NUMPY";

/* ---- element types ------------------------------------------------------------------------------------------------- */

#define INTEGER_ROW(type)                                                                                              \
    static float float_of_##type(const void *data, size_t i)                                                           \
    {                                                                                                                  \
        return (float)((const type *)data)[i];                                                                         \
    }                                                                                                                  \
    static int integer_of_##type(const void *data, size_t i, int64_t *value)                                           \
    {                                                                                                                  \
        *value = (int64_t)((const type *)data)[i];                                                                     \
        return 1;                                                                                                      \
    }
INTEGER_ROW(int8_t)
INTEGER_ROW(uint8_t)
INTEGER_ROW(int16_t)
INTEGER_ROW(uint16_t)
INTEGER_ROW(int32_t)
INTEGER_ROW(uint32_t)
INTEGER_ROW(int64_t)

/* \return whether the number is whole and fits. */
static int integer_of_real(double number, int64_t *value)
{
    const double limit = 0x1p63;
    if (!(number >= -limit && number < limit && number == floor(number))) {
        return 0;
    }
    *value = (int64_t)number;
    return 1;
}

static float float_of_uint64_t(const void *data, size_t i)
{
    return (float)((const uint64_t *)data)[i];
}

static int integer_of_uint64_t(const void *data, size_t i, int64_t *value)
{
    uint64_t number = ((const uint64_t *)data)[i];
    *value = (int64_t)(number & INT64_MAX);
    return number <= INT64_MAX;
}

static float float_of_half(const void *data, size_t i)
{
    return sm_float_of_half(((const uint16_t *)data)[i]);
}

static float float_of_float(const void *data, size_t i)
{
    return ((const float *)data)[i];
}

static float float_of_double(const void *data, size_t i)
{
    return (float)((const double *)data)[i];
}

static int integer_of_half(const void *data, size_t i, int64_t *value)
{
    return integer_of_real((double)float_of_half(data, i), value);
}

static int integer_of_float(const void *data, size_t i, int64_t *value)
{
    return integer_of_real((double)((const float *)data)[i], value);
}

static int integer_of_double(const void *data, size_t i, int64_t *value)
{
    return integer_of_real(((const double *)data)[i], value);
}

static const struct {
    const char *name, *code; /* the code stands behind the byte order in a file */
    size_t bytes;
    float (*float_of)(const void *data, size_t i);
    int (*integer_of)(const void *data, size_t i, int64_t *value); /* 0: it is none */
} types[] = {
    [SM_NPY_BOOL] = {"bool", "b1", 1, float_of_uint8_t, integer_of_uint8_t},
    [SM_NPY_I8] = {"int8", "i1", 1, float_of_int8_t, integer_of_int8_t},
    [SM_NPY_U8] = {"uint8", "u1", 1, float_of_uint8_t, integer_of_uint8_t},
    [SM_NPY_I16] = {"int16", "i2", 2, float_of_int16_t, integer_of_int16_t},
    [SM_NPY_U16] = {"uint16", "u2", 2, float_of_uint16_t, integer_of_uint16_t},
    [SM_NPY_I32] = {"int32", "i4", 4, float_of_int32_t, integer_of_int32_t},
    [SM_NPY_U32] = {"uint32", "u4", 4, float_of_uint32_t, integer_of_uint32_t},
    [SM_NPY_I64] = {"int64", "i8", 8, float_of_int64_t, integer_of_int64_t},
    [SM_NPY_U64] = {"uint64", "u8", 8, float_of_uint64_t, integer_of_uint64_t},
    [SM_NPY_F16] = {"float16", "f2", 2, float_of_half, integer_of_half},
    [SM_NPY_F32] = {"float32", "f4", 4, float_of_float, integer_of_float},
    [SM_NPY_F64] = {"float64", "f8", 8, float_of_double, integer_of_double},
};

enum { TYPE_COUNT = sizeof types / sizeof *types };

const char *sm_npy_type_name(sm_npy_type type)
{
    return types[type].name;
}

static int host_is_little(void)
{
    const uint16_t probe = 1;
    return *(const uint8_t *)&probe == 1;
}

/* ---- the header ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *path;
    const char *at; /* what is still to read; ends with a zero byte */
    sm_npy *array;
    int is_swapped, is_fortran;
} header;

static sm_status bad_header(const header *h, const char *expected)
{
    return sm_fail(SM_ERR_INPUT, "%s: NumPy header: expected %s, found '%.24s'", h->path, expected, h->at);
}

static void skip_blanks(header *h)
{
    h->at += strspn(h->at, " \t\n");
}

/* Takes a mark after blanks. \return whether it was there */
static int take(header *h, const char *mark)
{
    skip_blanks(h);
    size_t length = strlen(mark);
    if (strncmp(h->at, mark, length) != 0) {
        return 0;
    }
    h->at += length;
    return 1;
}

/* Takes a text in single or double quotes, without escapes.
 * \param [out] text  inside the header, not ended by a zero */
static sm_status take_text(header *h, const char *expected, const char **text, size_t *length)
{
    skip_blanks(h);
    char quote = *h->at;
    const char *end = quote == '\'' || quote == '"' ? strchr(h->at + 1, quote) : NULL;
    if (!end) {
        return bad_header(h, expected);
    }
    *text = h->at + 1;
    *length = (size_t)(end - *text);
    h->at = end + 1;
    return SM_OK;
}

static sm_status take_type(header *h)
{
    const char *text = NULL;
    size_t length = 0;
    sm_status status = take_text(h, "a type such as '<f4'", &text, &length);
    if (status != SM_OK) {
        return status;
    }
    int is_native = length == 3 && (text[0] == '|' || text[0] == '=');
    if (length == 3 && (is_native || text[0] == '<' || text[0] == '>')) {
        for (int i = 0; i < TYPE_COUNT; i++) {
            if (memcmp(text + 1, types[i].code, 2) == 0 && (types[i].bytes == 1 || text[0] != '|')) {
                h->array->type = (sm_npy_type)i;
                h->is_swapped = !is_native && types[i].bytes > 1 && (text[0] == '<') != host_is_little();
                return SM_OK;
            }
        }
    }
    return sm_fail(SM_ERR_INPUT, "%s: NumPy type '%.*s', expected a bool, an integer or a float of 16, 32 or 64 bits",
                   h->path, length < 40 ? (int)length : 40, text);
}

static sm_status take_order(header *h)
{
    h->is_fortran = take(h, "True");
    return h->is_fortran || take(h, "False") ? SM_OK : bad_header(h, "True or False for 'fortran_order'");
}

/* A length; digits only (NumPy on Python 2 wrote an L behind them). */
static sm_status take_length(header *h, size_t *length)
{
    enum { MOST_DIGITS = 18 };
    skip_blanks(h);
    size_t digits = strspn(h->at, "0123456789");
    if (digits == 0 || digits > MOST_DIGITS) {
        return bad_header(h, "a length of the shape");
    }
    *length = strtoull(h->at, NULL, 10);
    h->at += digits;
    h->at += *h->at == 'L';
    return SM_OK;
}

static sm_status take_shape(header *h)
{
    sm_npy *array = h->array;
    int is_open = 1; /* a comma or the start is behind us */
    if (!take(h, "(")) {
        return bad_header(h, "a shape such as (3, 4)");
    }
    while (!take(h, ")")) {
        if (!is_open) {
            return bad_header(h, "',' or ')' in the shape");
        }
        if (array->rank == SM_NPY_MAX_RANK) {
            return sm_fail(SM_ERR_INPUT, "%s: an array of more than %d dimensions, expected at most %d", h->path,
                           SM_NPY_MAX_RANK, SM_NPY_MAX_RANK);
        }
        sm_status status = take_length(h, &array->shape[array->rank++]);
        if (status != SM_OK) {
            return status;
        }
        is_open = take(h, ",");
    }
    return array->rank == 1 && !is_open ? bad_header(h, "a ',' behind the only length of the shape") : SM_OK;
}

static const struct {
    const char *name;
    sm_status (*take)(header *h);
} keys[] = {{"descr", take_type}, {"fortran_order", take_order}, {"shape", take_shape}};

enum { KEY_COUNT = sizeof keys / sizeof *keys };

static sm_status take_entry(header *h, int *seen)
{
    const char *name = NULL;
    size_t length = 0;
    int key = -1;
    sm_status status = take_text(h, "a key in quotes", &name, &length);
    if (status != SM_OK) {
        return status;
    }
    for (int i = 0; i < KEY_COUNT; i++) {
        if (length == strlen(keys[i].name) && memcmp(name, keys[i].name, length) == 0) {
            key = i;
        }
    }
    if (key < 0 || seen[key]++) {
        return sm_fail(SM_ERR_INPUT, "%s: NumPy header: key '%.*s' %s", h->path, length < 40 ? (int)length : 40, name,
                       key < 0 ? "is none of descr, fortran_order, shape" : "stands there twice");
    }
    return take(h, ":") ? keys[key].take(h) : bad_header(h, "':'");
}

static sm_status parse_header(header *h)
{
    sm_status status = SM_OK;
    int seen[KEY_COUNT] = {0}, is_open = 1;
    if (!take(h, "{")) {
        return bad_header(h, "'{'");
    }
    while (!take(h, "}")) {
        if (!is_open) {
            return bad_header(h, "',' or '}'");
        }
        SM_TRY(take_entry(h, seen));
        is_open = take(h, ",");
    }
    for (int i = 0; i < KEY_COUNT; i++) {
        if (!seen[i]) {
            return sm_fail(SM_ERR_INPUT, "%s: NumPy header: there is no key '%s'", h->path, keys[i].name);
        }
    }
    skip_blanks(h);
    if (*h->at) {
        return bad_header(h, "nothing behind '}'");
    }
done:
    return status;
}

/* Counts the elements. The product of the lengths is compared with `bytes` before each step, so that it cannot overflow. */
static sm_status count_elements(const header *h, uint64_t bytes)
{
    sm_npy *array = h->array;
    uint64_t size = types[array->type].bytes, most = bytes / size;
    int has_zero = 0, is_more = 0;
    array->count = 1;
    for (int i = 0; i < array->rank; i++) {
        has_zero |= array->shape[i] == 0;
    }
    for (int i = 0; i < array->rank && !has_zero && !is_more; i++) {
        is_more = array->shape[i] > most / array->count;
        array->count *= is_more ? 1 : array->shape[i];
    }
    array->count = has_zero ? 0 : array->count;
    if (is_more || array->count * size != bytes) {
        return sm_fail(SM_ERR_INPUT, "%s: its NumPy header promises %s%llu bytes of %s, the file has %llu", h->path,
                       is_more ? "more than " : "", (unsigned long long)(is_more ? bytes : array->count * size),
                       types[array->type].name, (unsigned long long)bytes);
    }
    return SM_OK;
}

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
    size_t bytes = types[array->type].bytes, shape[SM_NPY_MAX_RANK], stride[SM_NPY_MAX_RANK];
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

static sm_status read_data(const header *h, const sm_file *file, uint64_t begin)
{
    sm_npy *array = h->array;
    size_t bytes = types[array->type].bytes;
    array->data = sm_alloc(array->count * bytes);
    sm_status status = sm_file_pread(file, array->data, array->count * bytes, begin);
    if (status != SM_OK) {
        return status;
    }
    if (h->is_swapped) {
        swap_bytes(array->data, array->count, bytes);
    }
    if (h->is_fortran && array->rank > 1 && array->count > 0) {
        turn_around(array);
    }
    for (size_t i = 0; array->type == SM_NPY_BOOL && i < array->count; i++) {
        ((uint8_t *)array->data)[i] = ((uint8_t *)array->data)[i] != 0;
    }
    return SM_OK;
}

sm_status sm_npy_read(const char *path, sm_npy *array)
{
    sm_status status = SM_OK;
    sm_file *file = NULL;
    char *text = NULL;
    uint64_t bytes = 0, begin = 0;
    header h = {.path = path, .array = array};

    *array = (sm_npy){0};
    SM_TRY(sm_file_size(path, &bytes));
    SM_TRY(sm_file_open_read(path, &file));
    SM_TRY(read_header_text(path, file, bytes, &text, &begin));
    h.at = text;
    SM_TRY(parse_header(&h));
    SM_TRY(count_elements(&h, bytes - begin));
    SM_TRY(read_data(&h, file, begin));
done:
    if (status != SM_OK) {
        sm_npy_free(array);
    }
    sm_free(text);
    sm_file_close(file);
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
        data[i] = types[array->type].float_of(array->data, i);
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
        if (!types[array->type].integer_of(array->data, i, data + i)) {
            status =
                sm_fail(SM_ERR_INPUT, "%s: element %zu (from 0, in C order) is %g, expected a whole number of 64 bits",
                        path, i, sm_shown((double)types[array->type].float_of(array->data, i)));
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
                           types[array->type].bytes == 1 ? '|' : '<', types[array->type].code, shape);
    sm_free(shape);
    return text;
}

sm_status sm_npy_write(const sm_npy *array, const char *path)
{
    enum { BEGIN = MAGIC_BYTES + 4 };
    size_t element = types[array->type].bytes, data_bytes = array->count * element;
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
    if (!host_is_little()) {
        swap_bytes(file + begin, array->count, element);
    }
    sm_status status = sm_file_write_atomic(path, file, begin + data_bytes);
    sm_free(file);
    sm_free(text);
    return status;
}
