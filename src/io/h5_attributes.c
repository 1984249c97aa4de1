#include "io/h5_private.h"

#include <sigmatic/base/memory.h>

#include <stdio.h>
#include <string.h>

/* "object: attribute 'name'", the name of an attribute in messages. */
typedef struct {
    char text[512];
} label;

static label label_of(const char *object, const char *name)
{
    label l;
    snprintf(l.text, sizeof l.text, "%s: attribute '%s'", object, name);
    return l;
}

int sm_h5_has_attribute(const sm_h5 *file, const char *object, const char *name)
{
    SM_H5_LOCKED;
    return H5Aexists_by_name(file->id, object, name, H5P_DEFAULT) > 0;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* `rank` 0: one value; 1: `count` values. */
static sm_status write_attribute(sm_h5 *file, const char *object, const char *name, hid_t type, int rank, size_t count,
                                 const void *data)
{
    sm_status status = sm_h5_writable(file);
    if (status != SM_OK) {
        return status;
    }
    hsize_t shape[1] = {count};
    hid_t space = rank ? H5Screate_simple(1, shape, NULL) : H5Screate(H5S_SCALAR);
    if (sm_h5_has_attribute(file, object, name)) {
        H5Adelete_by_name(file->id, object, name, H5P_DEFAULT);
    }
    hid_t id = H5Acreate_by_name(file->id, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (id < 0 || (count > 0 && H5Awrite(id, type, data) < 0)) {
        status = sm_h5_fail_write(file, label_of(object, name).text, "cannot be written");
    }
    if (id >= 0 && H5Aclose(id) < 0 && status == SM_OK) {
        status = sm_h5_fail_write(file, label_of(object, name).text, "cannot be written");
    }
    H5Sclose(space);
    return status;
}

sm_status sm_h5_write_attribute_int64(sm_h5 *file, const char *object, const char *name, int64_t value)
{
    SM_H5_LOCKED;
    return write_attribute(file, object, name, H5T_NATIVE_INT64, 0, 1, &value);
}

sm_status sm_h5_write_attribute_double(sm_h5 *file, const char *object, const char *name, double value)
{
    SM_H5_LOCKED;
    return write_attribute(file, object, name, H5T_NATIVE_DOUBLE, 0, 1, &value);
}

sm_status sm_h5_write_attribute_doubles(sm_h5 *file, const char *object, const char *name, const double *values,
                                        size_t count)
{
    SM_H5_LOCKED;
    return write_attribute(file, object, name, H5T_NATIVE_DOUBLE, 1, count, values);
}

sm_status sm_h5_write_attribute_int64s(sm_h5 *file, const char *object, const char *name, const int64_t *values,
                                       size_t count)
{
    SM_H5_LOCKED;
    return write_attribute(file, object, name, H5T_NATIVE_INT64, 1, count, values);
}

static sm_status write_texts(sm_h5 *file, const char *object, const char *name, const char *const *texts, int rank,
                             size_t count)
{
    sm_h5_text_array array = sm_h5_texts_to_write(file, 1, texts, count);
    sm_status status = write_attribute(file, object, name, array.type, rank, count, array.data);
    sm_h5_text_array_free(&array);
    return status;
}

sm_status sm_h5_write_attribute_text(sm_h5 *file, const char *object, const char *name, const char *text)
{
    SM_H5_LOCKED;
    return write_texts(file, object, name, &text, 0, 1);
}

sm_status sm_h5_write_attribute_texts(sm_h5 *file, const char *object, const char *name, const char *const *texts,
                                      size_t count)
{
    SM_H5_LOCKED;
    return write_texts(file, object, name, texts, 1, count);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

typedef enum { INTEGERS, NUMBERS, TEXTS } wanted;

static const char *const wanted_names[] = {[INTEGERS] = "an integer", [NUMBERS] = "a number", [TEXTS] = "text"};

static int is_wanted(wanted what, hid_t type)
{
    H5T_class_t class = H5Tget_class(type);
    if (what == TEXTS) {
        return class == H5T_STRING;
    }
    /* h5py stores bool as an enum of int8. uint64 would not fit int64, but counts do. */
    return class == H5T_INTEGER || class == H5T_ENUM || (what == NUMBERS && class == H5T_FLOAT);
}

/* Attributes are stored whole: one that claims more than the file has is damaged, and never becomes a request for memory. */
static sm_status check_size(const sm_h5 *file, const char *attribute, const sm_h5_array *array)
{
    hsize_t file_bytes = 0;
    char found[SM_H5_DESCRIPTION_BYTES];
    H5Fget_filesize(file->id, &file_bytes);
    return file->is_in_memory || array->count <= file_bytes / H5Tget_size(array->type)
               ? SM_OK
               : sm_fail(SM_ERR_INPUT, "%s: %s: damaged: found %s, more than the file has", file->path, attribute,
                         sm_h5_describe(array->type, array->rank, array->shape, found));
}

sm_status sm_h5_open_attribute(const sm_h5 *file, const char *object, const char *name, sm_h5_array *array)
{
    label attribute = label_of(object, name);
    *array = (sm_h5_array){0};
    if (!sm_h5_has_attribute(file, object, name)) {
        return sm_fail(SM_ERR_INPUT, "%s: %s is missing", file->path, attribute.text);
    }
    hid_t id = H5Aopen_by_name(file->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (id < 0) {
        return sm_h5_fail(file, SM_ERR_INPUT, attribute.text, "cannot be read");
    }
    sm_status status = sm_h5_array_new(file, attribute.text, id, 1, array);
    return status == SM_OK ? check_size(file, attribute.text, array) : status;
}

/* Opens an attribute of the wanted class; with `single` of one element. */
static sm_status open_attribute(const sm_h5 *file, const char *object, const char *name, wanted what, int single,
                                sm_h5_array *array)
{
    label attribute = label_of(object, name);
    *array = (sm_h5_array){0};
    if (!sm_h5_has_attribute(file, object, name)) {
        return sm_fail(SM_ERR_INPUT, "%s: %s is missing, expected %s%s", file->path, attribute.text,
                       single ? "" : "a list: each ", wanted_names[what]);
    }
    sm_status status = sm_h5_open_attribute(file, object, name, array);
    if (status == SM_OK && (!is_wanted(what, array->type) || (single && array->count != 1))) {
        char found[SM_H5_DESCRIPTION_BYTES];
        status = sm_fail(SM_ERR_INPUT, "%s: %s: expected %s%s, found %s", file->path, attribute.text,
                         single ? "" : "a list: each ", wanted_names[what],
                         sm_h5_describe(array->type, array->rank, array->shape, found));
    }
    return status;
}

/* H5T_ENUM converts to no integer; its base type reads the same bytes. */
static herr_t read_numbers(const sm_h5_array *array, hid_t type, size_t bytes, void *out)
{
    if (H5Tget_class(array->type) != H5T_ENUM) {
        return sm_h5_array_read(array, type, out);
    }
    hid_t base = H5Tget_super(array->type);
    size_t base_bytes = H5Tget_size(base);
    /* Room for the conversion in place, which starts from the smaller or larger of the two sizes. */
    char *raw = sm_alloc_zeroed(array->count * (bytes > base_bytes ? bytes : base_bytes));
    herr_t result = sm_h5_array_read(array, array->type, raw);
    if (result >= 0) {
        result = H5Tconvert(base, type, array->count, raw, NULL, H5P_DEFAULT);
    }
    memcpy(out, raw, array->count * bytes);
    sm_free(raw);
    H5Tclose(base);
    return result;
}

/* `single`: into `out`; else a new block into *(void **)out, its length into `count`. */
static sm_status read_attribute(const sm_h5 *file, const char *object, const char *name, wanted what, hid_t type,
                                int single, void *out, size_t *count)
{
    enum { ELEMENT_BYTES = 8 }; /* int64_t or double */
    sm_status status = SM_OK;
    sm_h5_array array;
    void *values = NULL;

    SM_TRY(open_attribute(file, object, name, what, single, &array));
    values = single ? out : sm_alloc_zeroed(array.count * ELEMENT_BYTES);
    if (read_numbers(&array, type, ELEMENT_BYTES, values) < 0) {
        status = sm_h5_fail(file, SM_ERR_INPUT, label_of(object, name).text, "cannot be read");
        goto done;
    }
    if (!single) {
        *(void **)out = values;
        *count = array.count;
    }
    values = NULL;
done:
    if (!single) {
        sm_free(values);
    }
    sm_h5_array_free(&array);
    return status;
}

sm_status sm_h5_read_attribute_int64(const sm_h5 *file, const char *object, const char *name, int64_t *value)
{
    SM_H5_LOCKED;
    return read_attribute(file, object, name, INTEGERS, H5T_NATIVE_INT64, 1, value, NULL);
}

sm_status sm_h5_check_version(const sm_h5 *file, int oldest, int newest)
{
    static const char name[] = "format_version";
    sm_status status = SM_OK;
    int64_t version = 0;
    SM_TRY(sm_h5_read_attribute_int64(file, "/", name, &version));
    if (version < oldest || version > newest) {
        char *expected = oldest == newest ? sm_format("%d", newest) : sm_format("%d to %d", oldest, newest);
        status = sm_fail(SM_ERR_INPUT, "%s: attribute '%s' is %lld, expected %s", sm_h5_path(file), name,
                         (long long)version, expected);
        sm_free(expected);
    }
done:
    return status;
}

sm_status sm_h5_read_attribute_double(const sm_h5 *file, const char *object, const char *name, double *value)
{
    SM_H5_LOCKED;
    return read_attribute(file, object, name, NUMBERS, H5T_NATIVE_DOUBLE, 1, value, NULL);
}

sm_status sm_h5_read_attribute_doubles(const sm_h5 *file, const char *object, const char *name, double **values,
                                       size_t *count)
{
    SM_H5_LOCKED;
    return read_attribute(file, object, name, NUMBERS, H5T_NATIVE_DOUBLE, 0, values, count);
}

sm_status sm_h5_read_attribute_int64s(const sm_h5 *file, const char *object, const char *name, int64_t **values,
                                      size_t *count)
{
    SM_H5_LOCKED;
    return read_attribute(file, object, name, INTEGERS, H5T_NATIVE_INT64, 0, values, count);
}

sm_status sm_h5_read_attribute_texts(const sm_h5 *file, const char *object, const char *name, char ***texts,
                                     size_t *count)
{
    SM_H5_LOCKED;
    sm_h5_array array;
    sm_status status = open_attribute(file, object, name, TEXTS, 0, &array);
    if (status == SM_OK) {
        status = sm_h5_array_read_texts(file, label_of(object, name).text, &array, texts);
        *count = array.count;
    }
    sm_h5_array_free(&array);
    return status;
}

sm_status sm_h5_read_attribute_text(const sm_h5 *file, const char *object, const char *name, char **text)
{
    SM_H5_LOCKED;
    sm_h5_array array;
    char **texts = NULL;
    sm_status status = open_attribute(file, object, name, TEXTS, 1, &array);
    if (status == SM_OK) {
        status = sm_h5_array_read_texts(file, label_of(object, name).text, &array, &texts);
    }
    if (status == SM_OK) {
        *text = sm_strdup(texts[0]);
    }
    sm_free(texts);
    sm_h5_array_free(&array);
    return status;
}

int sm_h5_has_format(const char *path, const char *format)
{
    SM_H5_LOCKED;
    sm_h5 *file = NULL;
    char *found = NULL;
    int has = sm_h5_open(path, &file) == SM_OK && sm_h5_has_attribute(file, "/", "format") &&
              sm_h5_read_attribute_text(file, "/", "format", &found) == SM_OK && strcmp(found, format) == 0;
    sm_free(found);
    sm_h5_close(file);
    return has;
}
