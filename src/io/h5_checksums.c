#define _POSIX_C_SOURCE 200809L
#include "io/h5_private.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/h5_checksums.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char ATTRIBUTE[] = "attribute_crc32c";
enum { HEX_DIGITS = 8, LINE_OF_ALL = HEX_DIGITS + 1 /* with its end */, DEEPEST = 16 };

/* ---- of one attribute, or of a dataset's type and shape ------------------------------------------------------------ */

static uint32_t add_text(uint32_t crc, const char *text)
{
    return sm_crc32c(crc, text, strlen(text) + 1);
}

/* All that decides what number some bytes are; of a text, whose pointers are of the machine's size, only that it is one. */
static uint32_t add_type(uint32_t crc, hid_t type)
{
    char text[128] = "";
    size_t fields[5] = {0};
    H5T_class_t class = H5Tget_class(type);
    if (class == H5T_FLOAT) {
        H5Tget_fields(type, &fields[0], &fields[1], &fields[2], &fields[3], &fields[4]);
    }
    snprintf(text, sizeof text, "%d %zu %d %d %zu %zu %zu %zu %zu %zu", class,
             class == H5T_STRING ? (size_t)0 : H5Tget_size(type), class == H5T_STRING ? 0 : H5Tget_order(type),
             class == H5T_INTEGER ? H5Tget_sign(type) : 0, fields[0], fields[1], fields[2], fields[3], fields[4],
             class == H5T_FLOAT ? H5Tget_ebias(type) : 0);
    return add_text(crc, text);
}

static uint32_t add_shape(uint32_t crc, const sm_h5_array *array)
{
    char text[32];
    for (int i = 0; i < array->rank; i++) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)array->shape[i]);
        crc = add_text(crc, text);
    }
    return add_text(crc, "");
}

static sm_status add_texts(const sm_h5 *file, const char *label, const sm_h5_array *array, uint32_t *crc)
{
    char **texts = NULL;
    sm_status status = sm_h5_array_read_texts(file, label, array, &texts);
    for (size_t i = 0; status == SM_OK && i < array->count; i++) {
        *crc = add_text(*crc, texts[i]);
    }
    sm_free(texts);
    return status;
}

/* Numbers as they are stored. */
static sm_status add_numbers(const sm_h5 *file, const char *label, const sm_h5_array *array, uint32_t *crc)
{
    sm_status status = SM_OK;
    size_t bytes = array->count * H5Tget_size(array->type);
    void *values = sm_alloc(bytes + 1);
    if (sm_h5_array_read(array, array->type, values) < 0) {
        status = sm_h5_fail(file, SM_ERR_INPUT, label, "cannot be read");
    } else {
        *crc = sm_crc32c(*crc, values, bytes);
    }
    sm_free(values);
    return status;
}

/* Of values that point elsewhere (references, lists) only the type is known. */
static sm_status add_values(const sm_h5 *file, const char *label, const sm_h5_array *array, uint32_t *crc)
{
    H5T_class_t class = H5Tget_class(array->type);
    int is_plain =
        class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_ENUM || class == H5T_BITFIELD || class == H5T_OPAQUE;
    if (class == H5T_STRING) {
        return add_texts(file, label, array, crc);
    }
    return is_plain ? add_numbers(file, label, array, crc) : SM_OK;
}

static sm_status measure_attribute(const sm_h5 *file, const char *object, const char *name, uint32_t *crc)
{
    sm_status status = SM_OK;
    sm_h5_array array = {0};
    char *label = sm_format("%s: attribute '%s'", object, name);
    SM_TRY(sm_h5_open_attribute(file, object, name, &array));
    *crc = add_shape(add_type(0, array.type), &array);
    status = add_values(file, label, &array, crc);
done:
    sm_h5_array_free(&array);
    sm_free(label);
    return status;
}

static sm_status measure_dataset(const sm_h5 *file, const char *object, uint32_t *crc)
{
    sm_h5_array array = {0};
    sm_status status = sm_h5_open_dataset(file, object, &array);
    if (status == SM_OK) {
        *crc = add_shape(add_type(0, array.type), &array);
    }
    sm_h5_array_free(&array);
    return status;
}

/* \param name  "": the dataset itself */
static sm_status measure(const sm_h5 *file, const char *object, const char *name, uint32_t *crc)
{
    return *name ? measure_attribute(file, object, name, crc) : measure_dataset(file, object, crc);
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

typedef struct attribute_names {
    char **names;
    size_t count;
} attribute_names;

static herr_t add_name(hid_t object, const char *name, const H5A_info_t *info, void *user)
{
    attribute_names *list = user;
    (void)object;
    (void)info;
    list->names = sm_realloc(list->names, (list->count + 1) * sizeof *list->names);
    list->names[list->count++] = sm_strdup(name);
    return 0;
}

static int can_be_listed(const char *object, const char *name)
{
    int has_own = strcmp(name, "crc32c") == 0 || strcmp(name, ATTRIBUTE) == 0;
    return !has_own && !strpbrk(object, "\t\n") && !strpbrk(name, "\t\n");
}

static sm_status add_line(const sm_h5 *file, const char *object, const char *name, char **lines)
{
    uint32_t crc = 0;
    sm_status status = can_be_listed(object, name) ? measure(file, object, name, &crc) : SM_OK;
    if (status == SM_OK && can_be_listed(object, name)) {
        sm_append_text(lines, "", "%08" PRIx32 "\t%s\t%s\n", crc, object, name);
    }
    return status;
}

static sm_status add_attributes(const sm_h5 *file, const char *object, char **lines)
{
    sm_status status = SM_OK;
    attribute_names list = {0};
    if (H5Aiterate_by_name(file->id, object, H5_INDEX_NAME, H5_ITER_INC, NULL, add_name, &list, H5P_DEFAULT) < 0) {
        status = sm_h5_fail(file, SM_ERR_INPUT, object, "its attributes cannot be listed");
    }
    for (size_t i = 0; i < list.count && status == SM_OK; i++) {
        status = add_line(file, object, list.names[i], lines);
    }
    for (size_t i = 0; i < list.count; i++) {
        sm_free(list.names[i]);
    }
    sm_free(list.names);
    return status;
}

static sm_status add_object(const sm_h5 *file, const char *object, int deep, char **lines)
{
    sm_status status = SM_OK;
    char **names = NULL, *inner = NULL;
    size_t count = 0;
    int is_root = strcmp(object, "/") == 0, is_group = sm_h5_has_group(file, object);
    SM_TRY(is_group ? SM_OK : add_line(file, object, "", lines));
    SM_TRY(add_attributes(file, object, lines));
    if (is_group && !is_root && deep < DEEPEST) {
        SM_TRY(sm_h5_list(file, object, &names, &count));
    }
    for (size_t i = 0; i < count; i++) {
        sm_free(inner);
        inner = sm_format("%s/%s", object, names[i]);
        SM_TRY(add_object(file, inner, deep + 1, lines));
    }
done:
    sm_free(inner);
    sm_free(names);
    return status;
}

sm_status sm_h5_write_checksums(sm_h5 *file, const char *const *objects, size_t count)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    char *lines = sm_strdup("");
    for (size_t i = 0; i < count; i++) {
        SM_TRY(add_object(file, objects[i], 0, &lines));
    }
    sm_append_text(&lines, "", "%08" PRIx32 "\n", sm_crc32c(0, lines, strlen(lines)));
    SM_TRY(sm_h5_write_attribute_text(file, "/", ATTRIBUTE, lines));
done:
    sm_free(lines);
    return status;
}

/* ---- checking ------------------------------------------------------------------------------------------------------ */

/* \return 1 if the last line is the checksum of those before it, which then alone are left */
static int cut_last_line(char *lines)
{
    size_t length = strlen(lines);
    char expected[LINE_OF_ALL + 1];
    if (length < LINE_OF_ALL) {
        return 0;
    }
    snprintf(expected, sizeof expected, "%08" PRIx32 "\n", sm_crc32c(0, lines, length - LINE_OF_ALL));
    int is_good = strcmp(lines + length - LINE_OF_ALL, expected) == 0;
    lines[length - LINE_OF_ALL] = '\0';
    return is_good;
}

static sm_status check_line(const sm_h5 *file, const char *expected, const char *object, const char *name)
{
    uint32_t crc = 0;
    char found[HEX_DIGITS + 1];
    sm_status status = measure(file, object, name, &crc);
    snprintf(found, sizeof found, "%08" PRIx32, crc);
    if (status == SM_OK && strcmp(found, expected) != 0) {
        status = sm_fail(SM_ERR_INPUT,
                         "%s: %s%s%s%s is damaged, or was changed after the file was written: checksum %s expected, %s "
                         "found",
                         file->path, object, *name ? ": attribute '" : ": its type or shape", name, *name ? "'" : "",
                         expected, found);
    }
    return status;
}

sm_status sm_h5_check_checksums(const sm_h5 *file, int *has_checksums)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    char *lines = NULL, *rest = NULL;
    int has = sm_h5_has_attribute(file, "/", ATTRIBUTE);
    SM_TRY(sm_h5_check_objects(file));
    if (has) {
        SM_TRY(sm_h5_read_attribute_text(file, "/", ATTRIBUTE, &lines));
    }
    if (has && !cut_last_line(lines)) {
        SM_TRY(sm_fail(SM_ERR_INPUT,
                       "%s: /: attribute '%s' is damaged: its last line is not the checksum of the others", file->path,
                       ATTRIBUTE));
    }
    for (char *line = has ? strtok_r(lines, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
        char *object = strchr(line, '\t'), *name = object ? strchr(object + 1, '\t') : NULL;
        if (!name) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: /: attribute '%s': '%s' is no checksum of an attribute", file->path,
                           ATTRIBUTE, line));
        }
        *object++ = *name++ = '\0';
        SM_TRY(check_line(file, line, object, name));
    }
    if (has_checksums) {
        *has_checksums = has;
    }
done:
    sm_free(lines);
    return status;
}
