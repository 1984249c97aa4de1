#include <sigmatic/io/safetensors.h>

#include <sigmatic/base/bf16.h>
#include <sigmatic/base/byte_order.h>
#include <sigmatic/base/half.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/json.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The limit of the format's own library; a header is parsed into many times its size. */
enum { LENGTH_BYTES = 8, HEADER_BYTES_MAX = 100000000, PIECE_BYTES = 65536 };

struct sm_safetensors {
    char *path;
    sm_file *file;
    json_t *header; /* owns names and metadata */
    sm_safetensor *tensors;
    size_t count;
};

/* ---- types --------------------------------------------------------------------------------------------------------- */

/* Numbers of a piece of the file to floats; `stored` is in host order. */
static void floats_of_f64(const void *stored, size_t count, float *out)
{
    const double *from = stored;
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)from[i];
    }
}

static void floats_of_f32(const void *stored, size_t count, float *out)
{
    memcpy(out, stored, count * sizeof *out);
}

static void floats_of_f16(const void *stored, size_t count, float *out)
{
    const uint16_t *from = stored;
    for (size_t i = 0; i < count; i++) {
        out[i] = sm_float_of_half(from[i]);
    }
}

static void floats_of_bf16(const void *stored, size_t count, float *out)
{
    const sm_bf16 *from = stored;
    for (size_t i = 0; i < count; i++) {
        out[i] = sm_float_of(from[i]);
    }
}

static const struct type {
    const char *name;
    size_t bytes;
    void (*floats_of)(const void *stored, size_t count, float *out); /* NULL: no real numbers */
} types[] = {
    {"F64", 8, floats_of_f64}, {"F32", 4, floats_of_f32}, {"F16", 2, floats_of_f16}, {"BF16", 2, floats_of_bf16},
    {"I64", 8, NULL},          {"I32", 4, NULL},          {"I16", 2, NULL},          {"I8", 1, NULL},
    {"U64", 8, NULL},          {"U32", 4, NULL},          {"U16", 2, NULL},          {"U8", 1, NULL},
    {"BOOL", 1, NULL},         {"F8_E5M2", 1, NULL},      {"F8_E4M3", 1, NULL},      {"F8_E8M0", 1, NULL},
    {"C64", 8, NULL},
};

static const struct type *type_of(const char *name)
{
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, name) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

/* ---- the header ---------------------------------------------------------------------------------------------------- */

static sm_status read_header(sm_safetensors *file, uint64_t file_bytes, uint64_t *data)
{
    sm_status status = SM_OK;
    uint8_t prefix[LENGTH_BYTES];
    char *text = NULL;
    uint64_t length = 0;
    json_error_t error;
    if (file_bytes < LENGTH_BYTES) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: not a safetensors file: %llu %s", file->path, (unsigned long long)file_bytes,
                       sm_plural((int64_t)file_bytes, "byte", "bytes")));
    }
    SM_TRY(sm_file_pread(file->file, prefix, sizeof prefix, 0));
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) {
        length = length << 8 | prefix[i];
    }
    if (length > file_bytes - LENGTH_BYTES || length > HEADER_BYTES_MAX) {
        SM_TRY(sm_fail(SM_ERR_INPUT,
                       "%s: not a safetensors file, or truncated: a header of %llu bytes in a file of %llu, at most %d "
                       "expected",
                       file->path, (unsigned long long)length, (unsigned long long)file_bytes, HEADER_BYTES_MAX));
    }
    text = sm_alloc(length + 1);
    SM_TRY(sm_file_pread(file->file, text, length, LENGTH_BYTES));
    file->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!file->header) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: the header of the safetensors is not JSON: %s (at byte %d)", file->path,
                       error.text, error.position));
    }
    if (!json_is_object(file->header)) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: the header of the safetensors is not a JSON object", file->path));
    }
    *data = LENGTH_BYTES + length;
done:
    sm_free(text);
    return status;
}

static sm_status check_metadata(const sm_safetensors *file, json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) {
        return sm_fail(SM_ERR_INPUT, "%s: __metadata__ is not a JSON object", file->path);
    }
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value)) {
            return sm_fail(SM_ERR_INPUT, "%s: __metadata__: '%s' is not text", file->path, key);
        }
    }
    return SM_OK;
}

/* \return 1 and the number if it is whole and not negative */
static int is_count(const json_t *value, uint64_t *out)
{
    *out = json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static sm_status read_shape(const sm_safetensors *file, const json_t *shape, sm_safetensor *tensor)
{
    if (!json_is_array(shape) || json_array_size(shape) > SM_SAFETENSORS_MAX_RANK) {
        return sm_fail(SM_ERR_INPUT, "%s: tensor '%s': a shape of at most %d dimensions expected", file->path,
                       tensor->name, SM_SAFETENSORS_MAX_RANK);
    }
    tensor->rank = (int)json_array_size(shape);
    tensor->count = 1;
    for (int d = 0; d < tensor->rank; d++) {
        uint64_t size;
        if (!is_count(json_array_get(shape, (size_t)d), &size) ||
            (tensor->count != 0 && size > SIZE_MAX / 8 / tensor->count)) {
            return sm_fail(SM_ERR_INPUT, "%s: tensor '%s': dimension %d of the shape is not a possible size",
                           file->path, tensor->name, d);
        }
        tensor->shape[d] = (size_t)size;
        tensor->count *= (size_t)size;
    }
    return SM_OK;
}

/* \param data, data_bytes  where the numbers of all tensors begin, and how many bytes they are */
static sm_status read_offsets(const sm_safetensors *file, const json_t *offsets, uint64_t data, uint64_t data_bytes,
                              size_t element, sm_safetensor *tensor)
{
    uint64_t begin = 0, end = 0;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !is_count(json_array_get(offsets, 0), &begin) ||
        !is_count(json_array_get(offsets, 1), &end) || end < begin) {
        return sm_fail(SM_ERR_INPUT, "%s: tensor '%s': data_offsets are not two numbers, the second the larger one",
                       file->path, tensor->name);
    }
    if (end > data_bytes) {
        return sm_fail(
            SM_ERR_INPUT,
            "%s: tensor '%s': data_offsets [%llu, %llu] lie outside of the %llu bytes of numbers: truncated?",
            file->path, tensor->name, (unsigned long long)begin, (unsigned long long)end,
            (unsigned long long)data_bytes);
    }
    if (end - begin != (uint64_t)tensor->count * element) {
        return sm_fail(SM_ERR_INPUT, "%s: tensor '%s': its shape and type take %llu bytes, data_offsets say %llu",
                       file->path, tensor->name, (unsigned long long)tensor->count * element,
                       (unsigned long long)(end - begin));
    }
    tensor->begin = data + begin;
    tensor->bytes = end - begin;
    return SM_OK;
}

static sm_status read_tensor(const sm_safetensors *file, const char *name, const json_t *entry, uint64_t data,
                             uint64_t data_bytes, sm_safetensor *tensor)
{
    sm_status status = SM_OK;
    const char *word = json_string_value(json_object_get(entry, "dtype"));
    const struct type *type = type_of(word);
    tensor->name = name;
    if (!type) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: tensor '%s': dtype %s%s%s is not known", file->path, name, word ? "'" : "",
                       word ? word : "is missing or", word ? "'" : ""));
    }
    tensor->type = type->name;
    tensor->is_real = type->floats_of != NULL;
    SM_TRY(read_shape(file, json_object_get(entry, "shape"), tensor));
    SM_TRY(read_offsets(file, json_object_get(entry, "data_offsets"), data, data_bytes, type->bytes, tensor));
done:
    return status;
}

static int by_place(const void *a, const void *b)
{
    const sm_safetensor *x = a, *y = b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

/* Tensors in the order of their numbers: each begins where the one before ends. */
static sm_status check_places(const sm_safetensors *file, uint64_t data, uint64_t end)
{
    uint64_t at = data;
    for (size_t i = 0; i < file->count; i++) {
        const sm_safetensor *tensor = &file->tensors[i];
        if (tensor->begin < at) {
            return sm_fail(SM_ERR_INPUT,
                           "%s: tensors '%s' and '%s' overlap: numbers of the one end at %llu, of the other "
                           "begin at %llu",
                           file->path, tensor[-1].name, tensor->name, (unsigned long long)(at - data),
                           (unsigned long long)(tensor->begin - data));
        }
        if (tensor->begin > at) {
            return sm_fail(
                SM_ERR_INPUT, "%s: tensor '%s' leaves a hole before it: its numbers begin at %llu, %llu expected",
                file->path, tensor->name, (unsigned long long)(tensor->begin - data), (unsigned long long)(at - data));
        }
        at += tensor->bytes;
    }
    return at == end ? SM_OK
                     : sm_fail(SM_ERR_INPUT, "%s: %llu %s to no tensor, behind the numbers of the last", file->path,
                               (unsigned long long)(end - at),
                               sm_plural((int64_t)(end - at), "byte belongs", "bytes belong"));
}

static sm_status read_tensors(sm_safetensors *file, uint64_t data, uint64_t file_bytes)
{
    sm_status status = SM_OK;
    const char *name;
    json_t *entry;
    file->tensors = sm_alloc_zeroed((json_object_size(file->header) + 1) * sizeof *file->tensors);
    json_object_foreach(file->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            SM_TRY(check_metadata(file, entry));
        } else {
            SM_TRY(read_tensor(file, name, entry, data, file_bytes - data, &file->tensors[file->count]));
            file->count++;
        }
    }
    qsort(file->tensors, file->count, sizeof *file->tensors, by_place);
    SM_TRY(check_places(file, data, file_bytes));
done:
    return status;
}

sm_status sm_safetensors_open(const char *path, sm_safetensors **out)
{
    sm_status status = SM_OK;
    sm_safetensors *file = sm_alloc_zeroed(sizeof *file);
    uint64_t bytes = 0, data = 0;
    *out = NULL;
    file->path = sm_strdup(path);
    SM_TRY(sm_file_size(path, &bytes));
    SM_TRY(sm_file_open_read(path, &file->file));
    SM_TRY(read_header(file, bytes, &data));
    SM_TRY(read_tensors(file, data, bytes));
    *out = file;
    file = NULL;
done:
    sm_safetensors_close(file);
    return status;
}

void sm_safetensors_close(sm_safetensors *file)
{
    if (file) {
        json_decref(file->header);
        sm_file_close(file->file);
        sm_free(file->tensors);
        sm_free(file->path);
        sm_free(file);
    }
}

/* ---- what is in it ------------------------------------------------------------------------------------------------- */

size_t sm_safetensors_count(const sm_safetensors *file)
{
    return file->count;
}

const sm_safetensor *sm_safetensors_get(const sm_safetensors *file, size_t index)
{
    return &file->tensors[index];
}

const char *sm_safetensors_metadata(const sm_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

static void swap_bytes(uint8_t *data, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t b = 0; b < bytes / 2; b++) {
            uint8_t *low = data + i * bytes + b, *high = data + (i + 1) * bytes - 1 - b, kept = *low;
            *low = *high;
            *high = kept;
        }
    }
}

sm_status sm_safetensors_read(const sm_safetensors *file, const sm_safetensor *tensor, float *values)
{
    sm_status status = SM_OK;
    const struct type *type = type_of(tensor->type);
    size_t at_once = PIECE_BYTES / type->bytes;
    uint8_t *piece = sm_alloc(PIECE_BYTES);
    for (size_t done = 0, now; done < tensor->count; done += now) {
        now = tensor->count - done < at_once ? tensor->count - done : at_once;
        SM_TRY(sm_file_pread(file->file, piece, now * type->bytes, tensor->begin + (uint64_t)done * type->bytes));
        if (!sm_host_is_little()) {
            swap_bytes(piece, now, type->bytes);
        }
        type->floats_of(piece, now, values + done);
    }
done:
    sm_free(piece);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static json_t *entry_of(const sm_safetensor_values *tensor, uint64_t begin)
{
    json_t *entry = json_object(), *shape = json_array(), *offsets = json_array();
    uint64_t end = begin + (uint64_t)sm_safetensor_values_count(tensor) * sizeof(float);
    for (int d = 0; d < tensor->rank; d++) {
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
    }
    json_array_append_new(offsets, json_integer((json_int_t)begin));
    json_array_append_new(offsets, json_integer((json_int_t)end));
    json_object_set_new(entry, "dtype", json_string("F32"));
    json_object_set_new(entry, "shape", shape);
    json_object_set_new(entry, "data_offsets", offsets);
    return entry;
}

/* Texts are for people to read, a name stands for its tensor: it may not change, nor replace another. */
static sm_status add_entry(const char *path, const sm_safetensor_values *tensor, uint64_t begin, json_t *header)
{
    return !json_object_get(header, tensor->name) &&
                   json_object_set_new(header, tensor->name, entry_of(tensor, begin)) == 0
               ? SM_OK
               : sm_fail(SM_ERR_INPUT, "%s: tensor '%s' cannot be written: a name in UTF-8 that no other has expected",
                         path, tensor->name);
}

/* \param [out] text  the header's, freed with free() \param [out] data_bytes  of all numbers */
static sm_status write_header(const char *path, const sm_safetensor_values *tensors, size_t count,
                              const sm_safetensors_text *texts, size_t text_count, char **text, uint64_t *data_bytes)
{
    sm_status status = SM_OK;
    json_t *header = json_object(), *metadata = json_object();
    for (size_t i = 0; i < text_count; i++) {
        char *readable = sm_json_utf8(texts[i].text);
        json_object_set_new(metadata, texts[i].key, json_string(readable));
        sm_free(readable);
    }
    json_object_set_new(header, "__metadata__", metadata);
    *data_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        SM_TRY(add_entry(path, &tensors[i], *data_bytes, header));
        *data_bytes += (uint64_t)sm_safetensor_values_count(&tensors[i]) * sizeof(float);
    }
    *text = json_dumps(header, JSON_COMPACT);
    if (!*text) {
        sm_abort("out of memory for the header of a safetensors file");
    }
done:
    json_decref(header);
    return status;
}

/* The numbers begin at a multiple of eight bytes, as other readers map them into memory: spaces behind the JSON. */
sm_status sm_safetensors_write(const char *path, const sm_safetensor_values *tensors, size_t count,
                               const sm_safetensors_text *texts, size_t text_count)
{
    uint64_t data_bytes;
    char *text;
    sm_status status = write_header(path, tensors, count, texts, text_count, &text, &data_bytes);
    if (status != SM_OK) {
        return status;
    }
    size_t text_bytes = strlen(text), length = sm_round_up(text_bytes, LENGTH_BYTES);
    uint8_t *bytes = sm_alloc(LENGTH_BYTES + length + data_bytes), *at = bytes + LENGTH_BYTES + length;
    for (int i = 0; i < LENGTH_BYTES; i++) {
        bytes[i] = (uint8_t)((uint64_t)length >> 8 * i);
    }
    memset(bytes + LENGTH_BYTES, ' ', length);
    memcpy(bytes + LENGTH_BYTES, text, text_bytes);
    for (size_t i = 0; i < count; i++) {
        size_t floats = sm_safetensor_values_count(&tensors[i]);
        if (floats > 0) {
            memcpy(at, tensors[i].values, floats * sizeof(float));
        }
        if (!sm_host_is_little()) {
            swap_bytes(at, floats, sizeof(float));
        }
        at += floats * sizeof(float);
    }
    status = sm_file_write_atomic(path, bytes, (size_t)(at - bytes));
    sm_free(bytes);
    free(text);
    return status;
}
