/* Reading what a dataset file, or a checkpoint, says of a target: its type, classes, what a flip and a turn do to it. */
#include "data/dataset_format.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/data/target_picture.h>

#include <stdio.h>
#include <string.h>

/* ---- classes ----------------------------------------------------------------------------------------------------- */

/* `count` numbers 0 .. 255 of an attribute; `out` stays as it is without it. */
static sm_status read_bytes(const sm_h5 *file, const char *object, const char *attribute, size_t expected, uint8_t *out)
{
    sm_status status = SM_OK;
    int64_t *values = NULL;
    size_t count = 0;
    if (!sm_h5_has_attribute(file, object, attribute)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_int64s(file, object, attribute, &values, &count));
    if (count != expected) {
        status = sm_fail(SM_ERR_INPUT, "%s: attribute '%s' of %s has %zu %s, expected %zu", sm_h5_path(file), attribute,
                         object, count, sm_plural((int64_t)count, "number", "numbers"), expected);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i] < 0 || values[i] > 255) {
            status = sm_fail(SM_ERR_INPUT, "%s: attribute '%s' of %s holds %lld, expected 0 .. 255", sm_h5_path(file),
                             attribute, object, (long long)values[i]);
            goto done;
        }
        out[i] = (uint8_t)values[i];
    }
done:
    sm_free(values);
    return status;
}

static sm_status check_count(const sm_h5 *file, const char *object, const char *attribute, size_t count,
                             size_t expected)
{
    return count == expected ? SM_OK
                             : sm_fail(SM_ERR_INPUT, "%s: attribute '%s' of %s has %zu %s, expected %zu, one a class",
                                       sm_h5_path(file), attribute, object, count,
                                       sm_plural((int64_t)count, "value", "values"), expected);
}

/* What metrics know of the classes: their categories, and mean areas of their instances.
 * \param [out] categories, pixels  freed with sm_free(); NULL without the attribute */
static sm_status read_groups(const sm_h5 *file, const char *object, size_t expected, char ***categories,
                             double **pixels)
{
    sm_status status = SM_OK;
    size_t count;
    if (sm_h5_has_attribute(file, object, "category")) {
        SM_TRY(sm_h5_read_attribute_texts(file, object, "category", categories, &count));
        SM_TRY(check_count(file, object, "category", count, expected));
    }
    if (sm_h5_has_attribute(file, object, "instance_pixels")) {
        SM_TRY(sm_h5_read_attribute_doubles(file, object, "instance_pixels", pixels, &count));
        SM_TRY(check_count(file, object, "instance_pixels", count, expected));
    }
done:
    return status;
}

/* Replaces the description by one with the classes that the file names. */
static sm_status read_classes(const sm_h5 *file, const char *object, sm_target **target, int64_t *ignored)
{
    sm_status status = SM_OK;
    char **names = NULL, **categories = NULL;
    double *pixels = NULL;
    size_t count = 0;
    uint8_t palette[SM_CLASSES_MAX][3], thing[SM_CLASSES_MAX] = {0};
    SM_TRY(sm_h5_read_attribute_texts(file, object, "class_names", &names, &count));
    if (count < 1 || count > SM_CLASSES_MAX) {
        status = sm_fail(SM_ERR_INPUT, "%s: attribute 'class_names' of %s has %zu names, expected 1 .. %d",
                         sm_h5_path(file), object, count, SM_CLASSES_MAX);
        goto done;
    }
    if ((*target)->type == SM_TARGET_LABELS && count != (size_t)(*target)->components) {
        status =
            sm_fail(SM_ERR_INPUT, "%s: attribute 'class_names' of %s has %zu %s, expected %d: one a component",
                    sm_h5_path(file), object, count, sm_plural((int64_t)count, "name", "names"), (*target)->components);
        goto done;
    }
    for (size_t c = 0; c < count; c++) {
        sm_picture_number((int)c, palette[c]);
    }
    SM_TRY(read_bytes(file, object, "palette", 3 * count, palette[0]));
    SM_TRY(read_bytes(file, object, "thing", count, thing));
    SM_TRY(read_groups(file, object, count, &categories, &pixels));
    if (sm_h5_has_attribute(file, object, "ignore")) {
        SM_TRY(sm_h5_read_attribute_int64(file, object, "ignore", ignored));
    }
    sm_class_list classes = {.count = (int)count,
                             .names = (const char *const *)names,
                             .palette = (const uint8_t(*)[3])palette,
                             .thing = thing,
                             .categories = (const char *const *)categories,
                             .instance_pixels = pixels};
    sm_target described = **target;
    described.classes = &classes;
    sm_target *copy = sm_target_copy(&described);
    sm_free(*target);
    *target = copy;
done:
    sm_free(categories);
    sm_free(pixels);
    sm_free(names);
    return status;
}

/* ---- targets ----------------------------------------------------------------------------------------------------- */

/* \param [in,out] value  place of the attribute's word in `words`; stays as it is without the attribute */
static sm_status read_word(const sm_h5 *file, const char *object, const char *attribute, const char *const *words,
                           int count, int *value)
{
    sm_status status = SM_OK;
    char *word = NULL, allowed[128] = "";
    if (!sm_h5_has_attribute(file, object, attribute)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_text(file, object, attribute, &word));
    for (int i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            *value = i;
            goto done;
        }
        size_t used = strlen(allowed);
        snprintf(allowed + used, sizeof allowed - used, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    status = sm_fail(SM_ERR_INPUT, "%s: attribute '%s' of %s is '%s', expected one of %s", sm_h5_path(file), attribute,
                     object, word, allowed);
done:
    sm_free(word);
    return status;
}

static sm_status read_flip(const sm_h5 *file, const char *object, sm_target *target)
{
    sm_status status = SM_OK;
    int64_t *components = NULL;
    size_t count = 0;
    if (!sm_h5_has_attribute(file, object, "flip_negates")) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_int64s(file, object, "flip_negates", &components, &count));
    target->flip_negates = 0;
    for (size_t i = 0; i < count; i++) {
        if (components[i] < 0 || components[i] >= target->components) {
            status = sm_fail(SM_ERR_INPUT, "%s: attribute 'flip_negates' of %s names component %lld of %d",
                             sm_h5_path(file), object, (long long)components[i], target->components);
            goto done;
        }
        target->flip_negates |= 1u << components[i];
    }
done:
    sm_free(components);
    return status;
}

static sm_status read_turning(const sm_h5 *file, const char *object, int is_standard, sm_target *target)
{
    int turning = (int)(is_standard ? target->turning : sm_target_turning_of(target->scaling));
    sm_status status = read_word(file, object, "turning", sm_target_turning_names, SM_TURNINGS, &turning);
    target->turning = (sm_target_turning)turning;
    if (status == SM_OK && target->turning != SM_TURNING_NONE && target->components < 2) {
        status = sm_fail(SM_ERR_INPUT,
                         "%s: attribute 'turning' of %s is '%s', which takes 2 components and more; there is one",
                         sm_h5_path(file), object, sm_target_turning_names[turning]);
    }
    return status;
}

static sm_status read_bound(const sm_h5 *file, const char *object, const char *attribute, double *bound)
{
    return sm_h5_has_attribute(file, object, attribute) ? sm_h5_read_attribute_double(file, object, attribute, bound)
                                                        : SM_OK;
}

/* What an array that is no standard target shows by its shape: (N), (N,D), (N,H,W) or (N,H,W,D). */
static sm_status describe_shape(const sm_h5 *file, const char *object, sm_target *target)
{
    sm_h5_info info;
    sm_status status = sm_h5_query(file, object, &info);
    if (status != SM_OK) {
        return status;
    }
    int has_components = info.rank == 2 || info.rank == 4;
    size_t components = has_components ? info.shape[info.rank - 1] : 1;
    size_t most = target->type == SM_TARGET_REAL     ? (size_t)SM_COMPONENTS_MAX
                  : target->type == SM_TARGET_LABELS ? (size_t)SM_CLASSES_MAX
                                                     : 1;
    if (info.rank < 1 || info.rank > 4 || components < 1 || components > most) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: %s has %d %s and %zu %s, expected (N), (N,H,W) and, of real values and "
                       "labels, (N,D), (N,H,W,D) with D up to %d and %d",
                       sm_h5_path(file), object, info.rank, sm_plural(info.rank, "dimension", "dimensions"), components,
                       sm_plural((int64_t)components, "component", "components"), SM_COMPONENTS_MAX, SM_CLASSES_MAX);
    }
    target->scope = info.rank >= 3 ? SM_SCOPE_PIXEL : SM_SCOPE_SAMPLE;
    target->components = (int)components;
    return SM_OK;
}

/* \param [in,out] target  the standard target of that name, or only its name */
static sm_status describe(const sm_h5 *file, const char *object, int is_standard, sm_target *target, char **unit)
{
    sm_status status = SM_OK;
    int type = (int)target->type, scaling = (int)target->scaling;
    SM_TRY(read_word(file, object, "type", sm_target_type_names, SM_TARGET_TYPES, &type));
    if (is_standard && type != (int)target->type) {
        return sm_fail(SM_ERR_INPUT, "%s: attribute 'type' of %s is '%s', but a target of that name is '%s'",
                       sm_h5_path(file), object, sm_target_type_names[type], sm_target_type_names[target->type]);
    }
    target->type = (sm_target_type)type;
    if (!is_standard) {
        SM_TRY(describe_shape(file, object, target));
    }
    SM_TRY(read_word(file, object, "scaling", sm_target_scaling_names, SM_SCALINGS, &scaling));
    target->scaling = (sm_target_scaling)scaling;
    if (target->scaling == SM_SCALING_AXES && target->components != 2) {
        return sm_fail(SM_ERR_INPUT, "%s: attribute 'scaling' of %s is 'axes', which takes 2 components; there are %d",
                       sm_h5_path(file), object, target->components);
    }
    SM_TRY(read_turning(file, object, is_standard, target));
    SM_TRY(read_flip(file, object, target));
    SM_TRY(read_bound(file, object, "least", &target->least));
    SM_TRY(read_bound(file, object, "most", &target->most));
    if (target->type == SM_TARGET_REAL &&
        !(target->least >= -SM_GREATEST_REAL && target->least <= target->most && target->most <= SM_GREATEST_REAL)) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: attributes 'least', 'most' of %s are %g, %g: expected -%g <= least <= most <= %g",
                       sm_h5_path(file), object, sm_shown(target->least), sm_shown(target->most), SM_GREATEST_REAL,
                       SM_GREATEST_REAL);
    }
    if (sm_h5_has_attribute(file, object, "unit")) {
        SM_TRY(sm_h5_read_attribute_text(file, object, "unit", unit));
        target->unit = *unit;
    }
done:
    return status;
}

/* Standard targets are maps: a value a sample of such a name (the depth of a beam, in a table) is what it says itself. */
static int describes_itself(const sm_h5 *file, const char *object)
{
    sm_h5_info info;
    return sm_h5_has_attribute(file, object, "type") && sm_h5_query(file, object, &info) == SM_OK && info.rank <= 2;
}

sm_status sm_target_read_description(const sm_h5 *file, const char *object, const char *name, sm_target **out,
                                     int64_t *ignored)
{
    sm_status status = SM_OK;
    char *unit = NULL;
    sm_target *target = NULL;
    const sm_target *standard = describes_itself(file, object) ? NULL : sm_standard_target(name);
    const sm_target named = {.name = name, .unit = "", .least = -SM_GREATEST_REAL, .most = SM_GREATEST_REAL};
    sm_target description = standard ? *standard : named;
    SM_TRY(describe(file, object, standard != NULL, &description, &unit));
    target = sm_target_copy(&description);
    *ignored = SM_CLASS_IGNORED;
    if (description.type == SM_TARGET_CLASS || description.type == SM_TARGET_LABELS) {
        SM_TRY(read_classes(file, object, &target, ignored));
    }
    *out = target;
    target = NULL;
done:
    sm_free(target);
    sm_free(unit);
    return status;
}
