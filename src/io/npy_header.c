/* The header is a literal of a Python dictionary, {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, read by a
 * parser of exactly that: three keys in any order, each once. What it promises must be what the file has. */
#include "io/npy_private.h"

#include <sigmatic/base/byte_order.h>

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *path;
    const char *at; /* what is still to read; ends with a zero byte */
    sm_npy *array;
    sm_npy_layout *layout;
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
        for (int i = 0; i < sm_npy_type_count; i++) {
            if (memcmp(text + 1, sm_npy_types[i].code, 2) == 0 && (sm_npy_types[i].bytes == 1 || text[0] != '|')) {
                h->array->type = (sm_npy_type)i;
                h->layout->is_big_endian = text[0] == '>' || (is_native && !sm_host_is_little());
                return SM_OK;
            }
        }
    }
    return sm_fail(SM_ERR_INPUT, "%s: NumPy type '%.*s', expected a bool, an integer or a float of 16, 32 or 64 bits",
                   h->path, length < 40 ? (int)length : 40, text);
}

static sm_status take_order(header *h)
{
    h->layout->is_fortran = take(h, "True");
    return h->layout->is_fortran || take(h, "False") ? SM_OK : bad_header(h, "True or False for 'fortran_order'");
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
    uint64_t size = sm_npy_types[array->type].bytes, most = bytes / size;
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
                       sm_npy_types[array->type].name, (unsigned long long)bytes);
    }
    return SM_OK;
}

sm_status sm_npy_parse_header(const char *path, const char *text, uint64_t data_bytes, sm_npy *array,
                              sm_npy_layout *layout)
{
    header h = {.path = path, .at = text, .array = array, .layout = layout};
    sm_status status = parse_header(&h);
    return status == SM_OK ? count_elements(&h, data_bytes) : status;
}
