/* One sample's files and cells become its targets. Maps are checked as they are stored, then brought to the file's size. */
#include "data/folder.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/image.h>
#include <sigmatic/io/npy.h>

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const npy_extensions[] = {".npy", NULL}, *const text_extensions[] = {".txt", NULL};

/* ---- maps out of files -------------------------------------------------------------------------------------------- */

static sm_status read_png(const char *path, sm_image *map)
{
    if (sm_file_begins_with(path, "\xff\xd8")) {
        return sm_fail(SM_ERR_INPUT, "%s: a JPEG, whose pixels are not what was stored: maps are PNG or .npy", path);
    }
    return sm_image_read(path, SM_IMAGE_KEEP_INDICES, map);
}

static size_t stored_pixels(const sm_import *import)
{
    return (size_t)import->stored_height * (size_t)import->stored_width;
}

static sm_status fail_shape(const sm_import *import, const char *path, const sm_npy *array, int components)
{
    char shape[96] = "";
    for (int i = 0; i < array->rank; i++) {
        size_t used = strlen(shape);
        snprintf(shape + used, sizeof shape - used, "%s%zu", i > 0 ? ", " : "", array->shape[i]);
    }
    return components > 1 ? sm_fail(SM_ERR_INPUT, "%s: shape (%s), its image and the description say (%d, %d, %d)",
                                    path, shape, import->stored_height, import->stored_width, components)
                          : sm_fail(SM_ERR_INPUT, "%s: shape (%s), its image says (%d, %d)", path, shape,
                                    import->stored_height, import->stored_width);
}

/* \param [out] is_planar  components come first: (D,H,W) */
static sm_status check_shape(const sm_import *import, const char *path, const sm_npy *array, int components,
                             int *is_planar)
{
    size_t h = (size_t)import->stored_height, w = (size_t)import->stored_width, d = (size_t)components;
    const size_t *shape = array->shape;
    int is_flat = array->rank == 2 && d == 1 && shape[0] == h && shape[1] == w;
    int is_last = array->rank == 3 && shape[0] == h && shape[1] == w && shape[2] == d;
    *is_planar = array->rank == 3 && !is_last && shape[0] == d && shape[1] == h && shape[2] == w;
    return is_flat || is_last || *is_planar ? SM_OK : fail_shape(import, path, array, components);
}

/* Ids of a map, (stored_height, stored_width): of a PNG in RGB R + 256 G + 65536 B. Below 0 what no id can be. */
static sm_status read_ids(const sm_import *import, const char *path, int32_t **ids, int *are_colours)
{
    sm_status status = SM_OK;
    sm_image map = {0};
    sm_npy array = {0};
    size_t count = stored_pixels(import);
    int32_t *out = sm_alloc(count * sizeof *out);
    *are_colours = 0;
    if (folder_has_extension(path, npy_extensions)) {
        int is_planar;
        SM_TRY(sm_npy_read_int64(path, &array));
        SM_TRY(check_shape(import, path, &array, 1, &is_planar));
        const int64_t *stored = array.data;
        for (size_t i = 0; i < count; i++) {
            out[i] = stored[i] < 0 || stored[i] > INT32_MAX ? -1 : (int32_t)stored[i];
        }
    } else {
        SM_TRY(read_png(path, &map));
        SM_TRY(sm_import_check_size(import, path, map.height, map.width));
        if (map.channels == 3 && map.bits == 16) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: RGB of 16 bits, expected ids, or colours of 8 bits", path));
        }
        const uint8_t *bytes = map.pixels;
        const uint16_t *words = map.pixels;
        *are_colours = map.channels == 3;
        for (size_t i = 0; i < count; i++) {
            out[i] = *are_colours     ? bytes[3 * i] + 256 * bytes[3 * i + 1] + 65536 * bytes[3 * i + 2]
                     : map.bits == 16 ? words[i]
                                      : bytes[i];
        }
    }
    *ids = out;
    out = NULL;
done:
    sm_free(out);
    sm_image_free(&map);
    sm_npy_free(&array);
    return status;
}

/* How the numbers of a map are stored. */
typedef struct storage {
    int bits; /* of whole numbers, 8 or 16 and more; 0: floats */
    int most; /* the largest that a PNG can have; 0: no PNG */
} storage;

/* Stored numbers of a map, (stored_height, stored_width, components). */
static sm_status read_reals(const sm_import *import, const char *path, int components, float **values, storage *stored)
{
    sm_status status = SM_OK;
    sm_image map = {0};
    sm_npy array = {0};
    size_t pixels = stored_pixels(import), d = (size_t)components, count = pixels * d;
    float *out = sm_alloc(count * sizeof *out);
    *stored = (storage){0};
    if (folder_has_extension(path, npy_extensions)) {
        int is_planar;
        SM_TRY(folder_storage_bits(path, &stored->bits));
        SM_TRY(sm_npy_read_float(path, &array));
        SM_TRY(check_shape(import, path, &array, components, &is_planar));
        const float *numbers = array.data;
        for (size_t i = 0; i < count; i++) {
            out[i] = numbers[is_planar ? i % d * pixels + i / d : i];
        }
    } else {
        SM_TRY(read_png(path, &map));
        SM_TRY(sm_import_check_size(import, path, map.height, map.width));
        if (map.channels != components) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %d %s, expected %d%s", path, map.channels,
                           sm_plural(map.channels, "channel", "channels"), components,
                           components == 2 || components > 3 ? " (as .npy)" : ""));
        }
        const uint8_t *bytes = map.pixels;
        const uint16_t *words = map.pixels;
        *stored = (storage){map.bits, map.bits == 16 ? 65535 : 255};
        for (size_t i = 0; i < count; i++) {
            out[i] = map.bits == 16 ? words[i] : bytes[i];
        }
    }
    *values = out;
    out = NULL;
done:
    sm_free(out);
    sm_image_free(&map);
    sm_npy_free(&array);
    return status;
}

/* ---- classes ------------------------------------------------------------------------------------------------------ */

static const folder_id *find_id(const folder_ids *ids, int32_t id)
{
    size_t low = 0, high = ids->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ids->ids[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < ids->count && ids->ids[low].id == id ? &ids->ids[low] : NULL;
}

static sm_status fail_id(const sm_import *import, const folder_target *t, const char *path, int32_t id, int is_colour,
                         size_t pixel)
{
    size_t row = pixel / (size_t)import->stored_width, column = pixel % (size_t)import->stored_width;
    if (id < 0) {
        return sm_fail(SM_ERR_INPUT, "%s: an id below 0 or above 2147483647 at row %zu, column %zu; [%s] has %s", path,
                       row, column, t->section, "ids from 0 on (unlisted = ignore takes others for unknown)");
    }
    if (is_colour) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: colour %d %d %d at row %zu, column %zu is not in palette or ignore of [%s] (unlisted = "
                       "ignore takes it for unknown)",
                       path, id % 256, id / 256 % 256, id / 65536, row, column, t->section);
    }
    return sm_fail(
        SM_ERR_INPUT,
        "%s: id %d at row %zu, column %zu is not in ids or ignore of [%s], which names %d %s (unlisted = ignore "
        "takes it for unknown)",
        path, id, row, column, t->section, t->classes.count, sm_plural(t->classes.count, "class", "classes"));
}

static sm_status read_class_map(sm_import *import, int kind, const folder_target *t, const char *path)
{
    sm_status status = SM_OK;
    int32_t *ids = NULL;
    int are_colours;
    size_t count = stored_pixels(import);
    uint8_t *classes = sm_alloc(count);
    SM_TRY(read_ids(import, path, &ids, &are_colours));
    const folder_ids *table = are_colours ? &t->colours : &t->ids;
    if (are_colours && table->count == 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: an RGB image, but [%s] has no palette that says what its colours mean", path,
                       t->section));
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && ids[i] == ids[i - 1]) {
            classes[i] = classes[i - 1];
            continue;
        }
        const folder_id *known = find_id(table, ids[i]);
        if (!known && !t->ignores_unlisted) {
            SM_TRY(fail_id(import, t, path, ids[i], are_colours, i));
        }
        classes[i] = known ? known->class_id : SM_CLASS_IGNORED;
    }
    sm_import_class_ids(import, kind, classes);
done:
    sm_free(ids);
    sm_free(classes);
    return status;
}

static sm_status read_instance_map(sm_import *import, int kind, const folder_target *t, const char *path)
{
    sm_status status = SM_OK;
    int32_t *ids = NULL;
    int are_colours, zero_is_background = 0;
    SM_TRY(read_ids(import, path, &ids, &are_colours));
    for (size_t b = 0; b < t->background_count; b++) {
        zero_is_background = zero_is_background || t->background[b] == 0;
    }
    for (size_t i = 0; i < stored_pixels(import); i++) {
        int is_background = ids[i] < 0 || ids[i] == INT32_MAX;
        for (size_t b = 0; b < t->background_count; b++) {
            is_background = is_background || ids[i] == t->background[b];
        }
        ids[i] = is_background ? 0 : ids[i] + !zero_is_background; /* 0 is none to all that follows */
    }
    SM_TRY(sm_import_instance_ids(import, kind, path, ids));
done:
    sm_free(ids);
    return status;
}

/* Many classes at once: 0 no, 1 yes, what `invalid` says unknown. */
static sm_status read_label_map(sm_import *import, int kind, const folder_target *t, const char *path)
{
    sm_status status = SM_OK;
    float *values = NULL;
    storage stored;
    size_t d = (size_t)t->target.components, count = stored_pixels(import) * d;
    uint8_t *labels = sm_alloc(count);
    SM_TRY(read_reals(import, path, t->target.components, &values, &stored));
    for (size_t i = 0; i < count; i++) {
        int is_unknown = isnan(values[i]);
        for (size_t v = 0; v < t->invalid_count; v++) {
            is_unknown = is_unknown || values[i] == (float)t->invalid[v];
        }
        if (!is_unknown && values[i] != 0 && values[i] != 1) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %g at row %zu, column %zu, expected 0, 1 or one that [%s] calls invalid",
                           path, values[i], i / d / (size_t)import->stored_width, i / d % (size_t)import->stored_width,
                           t->section));
        }
        labels[i] = is_unknown ? SM_CLASS_IGNORED : (uint8_t)values[i];
    }
    sm_import_labels(import, kind, labels);
done:
    sm_free(values);
    sm_free(labels);
    return status;
}

/* ---- real values -------------------------------------------------------------------------------------------------- */

static float value_of(const folder_target *t, double scale, float stored)
{
    for (size_t v = 0; v < t->invalid_count; v++) {
        if (stored == (float)t->invalid[v]) {
            return NAN;
        }
    }
    return (float)(stored * scale + t->offset);
}

/* Of whole numbers nobody can tell whether 1000 is a metre or a kilometre. */
static sm_status find_scale(sm_import *import, const folder_target *t, const char *path, int bits, double *scale)
{
    *scale = t->scale != 0 ? t->scale : 1;
    if (t->scale == 0 && bits > 0 && t->kind->zero_is_invalid) {
        import->begins_anew = 1;
        return sm_fail(SM_ERR_INPUT, "%s: whole numbers; [%s] needs scale, the %s of one step: 0.001 if they are %s",
                       path, t->section, strcmp(t->target.unit, "m") == 0 ? "metres" : "pixels",
                       strcmp(t->target.unit, "m") == 0 ? "millimetres" : "thousandths");
    }
    return SM_OK;
}

static sm_status check_value(const folder_target *t, const char *source, float value, const char *where)
{
    if (value < t->target.least || value > t->target.most || isinf(value)) {
        return sm_fail(SM_ERR_INPUT, "%s: %g%s%s%s, expected %g to %g: are scale, offset and invalid of [%s] right?",
                       source, value, *t->target.unit ? " " : "", t->target.unit, where, t->target.least,
                       t->target.most, t->section);
    }
    return SM_OK;
}

static sm_status read_real_map(sm_import *import, int kind, const folder_target *t, const char *path)
{
    sm_status status = SM_OK;
    float *values = NULL;
    storage stored;
    double scale;
    size_t d = (size_t)t->target.components, count = stored_pixels(import) * d;
    SM_TRY(read_reals(import, path, t->target.components, &values, &stored));
    SM_TRY(find_scale(import, t, path, stored.bits, &scale));
    SM_TRY(folder_check_storage(import, kind, t, path, stored.bits));
    for (size_t i = 0; i < count; i++) {
        values[i] = value_of(t, scale, values[i]);
        if (!(values[i] >= t->target.least && values[i] <= t->target.most) && !isnan(values[i])) {
            char where[64];
            snprintf(where, sizeof where, " at row %zu, column %zu", i / d / (size_t)import->stored_width,
                     i / d % (size_t)import->stored_width);
            SM_TRY(check_value(t, path, values[i], where));
        }
    }
    sm_import_reals(import, kind, values,
                    t->is_sparse ? SM_IMPORT_NEAREST_VALID
                    : d == 1     ? SM_IMPORT_MEDIAN
                                 : SM_IMPORT_NEAREST);
done:
    sm_free(values);
    return status;
}

/* A vector as long as the unit, up to how it was rounded; what is far from it was never a normal: black, or grey. */
static void make_unit(float *n)
{
    double length = sqrt((double)n[0] * n[0] + (double)n[1] * n[1] + (double)n[2] * n[2]);
    for (int c = 0; c < 3; c++) {
        n[c] = length > 0.5 && length < 1.5 ? (float)(n[c] / length) : NAN;
    }
}

/* Of a PNG the numbers from 0 to the largest are -1 .. 1. */
static sm_status read_normal_map(sm_import *import, int kind, const folder_target *t, const char *path)
{
    sm_status status = SM_OK;
    float *values = NULL;
    storage stored;
    size_t count = stored_pixels(import);
    SM_TRY(read_reals(import, path, 3, &values, &stored));
    for (size_t i = 0; i < 3 * count && stored.most > 0; i++) {
        values[i] = (float)(values[i] * 2.0 / stored.most - 1);
    }
    for (size_t i = 0; i < count; i++) {
        make_unit(values + 3 * i);
    }
    sm_import_reals(import, kind, values, t->is_sparse ? SM_IMPORT_NEAREST_VALID : SM_IMPORT_NEAREST);
done:
    sm_free(values);
    return status;
}

/* ---- of the image ------------------------------------------------------------------------------------------------- */

sm_status folder_cell_text(const char *source, char **text)
{
    sm_status status = SM_OK;
    *text = NULL;
    if (folder_has_extension(source, text_extensions)) {
        status = sm_file_read_text(source, text);
    } else {
        *text = sm_strdup(source);
    }
    if (status == SM_OK) {
        char *end = *text + strlen(*text);
        while (end > *text && isspace((unsigned char)end[-1])) {
            *--end = '\0';
        }
    }
    return status;
}

static int whole_number(const char *text, int32_t *number)
{
    char *end;
    long value = strtol(text, &end, 10);
    *number = (int32_t)value;
    return isdigit((unsigned char)*text) && *end == '\0' && value >= 0 && value < INT32_MAX;
}

static int class_of_text(const folder_target *t, const char *text, uint8_t *class_id)
{
    int32_t number;
    for (int c = 0; c < t->classes.count; c++) {
        if (strcmp(t->classes.names[c], text) == 0) {
            *class_id = (uint8_t)c;
            return 1;
        }
    }
    const folder_id *known = whole_number(text, &number) ? find_id(&t->ids, number) : NULL;
    *class_id = known ? known->class_id : SM_CLASS_IGNORED;
    return known || t->ignores_unlisted;
}

static sm_status read_class(sm_import *import, int kind, const folder_target *t, const char *source)
{
    sm_status status = SM_OK;
    char *text = NULL;
    SM_TRY(folder_cell_text(source, &text));
    if (!class_of_text(t, text, import->target[kind])) {
        char *question = folder_ask_for_class(t, text);
        status = sm_fail(SM_ERR_INPUT, "'%s' is neither a name nor an id of [%s], which has %d %s from '%s' on%s", text,
                         t->section, t->classes.count, sm_plural(t->classes.count, "class", "classes"),
                         t->classes.names[0], question);
        sm_free(question);
    }
done:
    sm_free(text);
    return status;
}

char *folder_next_name(const char **text)
{
    const char *begin = *text + strspn(*text, "|; \t\r\n");
    size_t length = strcspn(begin, "|;\n");
    *text = begin + length;
    while (length > 0 && isspace((unsigned char)begin[length - 1])) {
        length--;
    }
    return length > 0 ? sm_format("%.*s", (int)length, begin) : NULL;
}

/* The classes named yes, all others no. */
static sm_status read_labels(sm_import *import, int kind, const folder_target *t, const char *source)
{
    sm_status status = SM_OK;
    char *text = NULL, *name = NULL;
    uint8_t *labels = import->target[kind], class_id;
    SM_TRY(folder_cell_text(source, &text));
    memset(labels, 0, (size_t)t->classes.count);
    for (const char *rest = text; (name = folder_next_name(&rest)) != NULL; sm_free(name)) {
        if (!class_of_text(t, name, &class_id)) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "'%s' is neither a name nor an id of [%s]; several are separated by | or ;",
                           name, t->section));
        }
        if (class_id != SM_CLASS_IGNORED) {
            labels[class_id] = 1;
        }
    }
done:
    sm_free(name);
    sm_free(text);
    return status;
}

/* Numbers separated by blanks or ';'; NaN, nan or nothing between two ';' is unknown. */
static sm_status parse_values(const folder_target *t, const char *text, float *values)
{
    int count = 0;
    const char *at = text + strspn(text, " \t\r\n");
    while (*at != '\0') {
        char *end = (char *)at;
        double number = *at == ';' ? NAN : strtod(at, &end);
        if (end == at && *at != ';') {
            return sm_fail(SM_ERR_INPUT, "'%s' is no number%s; [%s]", text, t->target.components > 1 ? " list" : "",
                           t->section);
        }
        if (count < t->target.components) {
            values[count] = (float)number;
        }
        count++;
        at = end + strspn(end, " \t\r\n");
        at += *at == ';';
        at += strspn(at, " \t\r\n");
    }
    if (count != t->target.components) {
        return sm_fail(SM_ERR_INPUT, "'%s' has %d %s, expected %d of [%s]", text, count,
                       sm_plural(count, "number", "numbers"), t->target.components, t->section);
    }
    return SM_OK;
}

static sm_status read_value_array(const folder_target *t, const char *path, float *values)
{
    sm_status status = SM_OK;
    sm_npy array = {0};
    SM_TRY(sm_npy_read_float(path, &array));
    if (array.count != (size_t)t->target.components) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %zu %s, expected %d of [%s]", path, array.count,
                       sm_plural((int64_t)array.count, "number", "numbers"), t->target.components, t->section));
    }
    memcpy(values, array.data, array.count * sizeof *values);
done:
    sm_npy_free(&array);
    return status;
}

static sm_status read_value(sm_import *import, int kind, const folder_target *t, const char *source)
{
    sm_status status = SM_OK;
    char *text = NULL;
    float *values = import->target[kind];
    if (folder_has_extension(source, npy_extensions)) {
        SM_TRY(read_value_array(t, source, values));
    } else {
        SM_TRY(folder_cell_text(source, &text));
        SM_TRY(parse_values(t, text, values));
    }
    for (int c = 0; c < t->target.components; c++) {
        values[c] = value_of(t, t->scale != 0 ? t->scale : 1, values[c]);
        SM_TRY(check_value(t, source, values[c], ""));
    }
done:
    sm_free(text);
    return status;
}

/* ---- the kinds ---------------------------------------------------------------------------------------------------- */

const folder_kind folder_kinds[] = {
    {"class_map", NULL, SM_TARGET_CLASS, SM_SCOPE_PIXEL, 1, 0, read_class_map},
    {"instance_map", NULL, SM_TARGET_INSTANCE, SM_SCOPE_PIXEL, 0, 0, read_instance_map},
    {"depth_map", "depth", SM_TARGET_REAL, SM_SCOPE_PIXEL, 0, 1, read_real_map},
    {"disparity_map", "disparity", SM_TARGET_REAL, SM_SCOPE_PIXEL, 0, 1, read_real_map},
    {"normal_map", "normal", SM_TARGET_REAL, SM_SCOPE_PIXEL, 0, 0, read_normal_map},
    {"value_map", NULL, SM_TARGET_REAL, SM_SCOPE_PIXEL, 0, 0, read_real_map},
    {"label_map", NULL, SM_TARGET_LABELS, SM_SCOPE_PIXEL, 1, 0, read_label_map},
    {"class", NULL, SM_TARGET_CLASS, SM_SCOPE_SAMPLE, 1, 0, read_class},
    {"value", NULL, SM_TARGET_REAL, SM_SCOPE_SAMPLE, 0, 0, read_value},
    {"labels", NULL, SM_TARGET_LABELS, SM_SCOPE_SAMPLE, 1, 0, read_labels},
    {0},
};
