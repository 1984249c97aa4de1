/* What the keys of a description mean. Names of classes are there: they were given, or found before. */
#include "data/folder.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KINDS "class_map|instance_map|depth_map|disparity_map|normal_map|value_map|label_map|class|value|labels"

static const char image[] = "image", target[] = "target.NAME", camera[] = "camera";

static const sm_key keys[] = {
    {image, "column", SM_KEY_TEXT, "image", 0, 0, NULL, NULL, "of the manifest: paths of the images"},
    {image, "split_column", SM_KEY_TEXT, "split", 0, 0, NULL, NULL,
     "of the manifest: train (or training), val (validation, valid), test (testing); may be missing"},
    {image, "splits", SM_KEY_TEXTS, "", 0, 0, NULL, NULL,
     "other names that this column and folders of splits may have, kept as they are: extra, test-night"},
    {image, "folder", SM_KEY_TEXT, "", 0, 0, NULL, NULL,
     "below ROOT; {split} stands for train, val and test; empty: images. With a manifest: in front of the column's "
     "paths, empty: nothing"},
    {image, "suffix", SM_KEY_TEXT, "", 0, 0, NULL, NULL, "end of the names before the extension that others lack"},
    {target, "kind", SM_KEY_CHOICE, NULL, 0, 0, KINDS, NULL,
     "of pixels: *_map; of the image: class, value (one or several numbers), labels (any of the classes)"},
    {target, "column", SM_KEY_TEXTS, "", 0, 0, NULL, NULL,
     "of the manifest; empty: the section's NAME; of a value one a component, or one with all"},
    {target, "folder", SM_KEY_TEXT, "", 0, 0, NULL, NULL, "as that of [image]; empty: the section's NAME"},
    {target, "suffix", SM_KEY_TEXT, "", 0, 0, NULL, NULL, "end of the names before the extension that images lack"},
    {target, "names", SM_KEY_TEXTS, "", 0, 0, NULL, NULL,
     "of the classes; empty: of a class of the image, those found"},
    {target, "ids", SM_KEY_TEXTS, "", 0, 0, NULL, NULL,
     "stored number of each class, several joined by |: 7, 11|12; empty: 0, 1, 2, ..."},
    {target, "palette", SM_KEY_TEXTS, "", 0, 0, NULL, NULL,
     "R G B of each class: of colour maps (several joined by |), and for pictures"},
    {target, "ignore", SM_KEY_TEXTS, "", 0, 0, NULL, NULL, "ids, or R G B, that mean unknown"},
    {target, "unlisted", SM_KEY_CHOICE, "refuse", 0, 0, "refuse|ignore", NULL, "what other ids and colours are"},
    {target, "thing", SM_KEY_TEXTS, "", 0, 0, NULL, NULL, "names of classes that have instances"},
    {target, "background", SM_KEY_INTEGERS, "0", 0, INT32_MAX, NULL, NULL,
     "ids of an instance map that are no instance"},
    {target, "scale", SM_KEY_REAL, "0", 0, 0, NULL, NULL,
     "value = stored * scale + offset; 0: 1, and refused for depth or disparity in whole numbers"},
    {target, "offset", SM_KEY_REAL, "0", 0, 0, NULL, NULL, "in the unit of the value"},
    {target, "invalid", SM_KEY_TEXTS, "default", 0, 0, NULL, NULL,
     "stored numbers that mean unknown, or none; default: 0 for depth and disparity; NaN always does"},
    {target, "sparse", SM_KEY_BOOL, "no", 0, 0, NULL, NULL,
     "few pixels have a value: shrunk by the nearest valid one instead of the median"},
    {target, "components", SM_KEY_INTEGER, "1", 1, SM_COMPONENTS_MAX, NULL, NULL, "numbers of a value"},
    {target, "unit", SM_KEY_TEXT, "", 0, 0, NULL, NULL, "of a value, for logs and tables"},
    {target, "scaling", SM_KEY_CHOICE, "none", 0, 0, "none|width|axes", NULL,
     "of a value: whether it grows with the image's width, or x and y with width and height"},
    {target, "flip_negates", SM_KEY_INTEGERS, "", 0, SM_COMPONENTS_MAX - 1, NULL, NULL,
     "components of a value that change sign when the image is mirrored, from 0"},
    {target, "turning", SM_KEY_CHOICE, "default", 0, 0, "default|none|y_down|y_up", NULL,
     "of normals and values whose first two components are x and y: which way y goes, for turned images; default: "
     "y_down of normals and of scaling = axes, none of others"},
    {camera, "baseline_metres", SM_KEY_TEXT, "", 0, 0, NULL, NULL, "a number, or a column; for disparity in metres"},
    {camera, "fx_pixels", SM_KEY_TEXT, "", 0, 0, NULL, NULL, "focal length at the image's width: likewise"},
    {0},
};

const sm_key *const folder_tables[] = {keys, NULL};

/* ---- classes ------------------------------------------------------------------------------------------------------ */

/* Reads a whole number 0 .. most and the blanks around it. \return what follows; NULL if there is none */
static const char *read_number(const char *text, long most, long *number)
{
    char *end;
    text += strspn(text, " \t");
    if (!isdigit((unsigned char)*text)) {
        return NULL;
    }
    *number = strtol(text, &end, 10);
    return *number <= most ? end + strspn(end, " \t") : NULL;
}

/* Three numbers are a colour, one is an id. \return what follows; NULL if it is neither */
static const char *read_id(const char *text, int *is_colour, int32_t *id)
{
    long number[3];
    int count = 0;
    while (count < 3 && text && *text != '|' && *text != '\0') {
        text = read_number(text, INT32_MAX, &number[count]);
        count += text != NULL;
    }
    *is_colour = count == 3;
    if (!text || (count != 1 && count != 3) || (*text != '|' && *text != '\0') ||
        (count == 3 && (number[0] > 255 || number[1] > 255 || number[2] > 255))) {
        return NULL;
    }
    *id = (int32_t)(count == 1 ? number[0] : number[0] + 256 * number[1] + 65536 * number[2]);
    return text;
}

static void add_id(folder_ids *ids, int32_t id, int class_id)
{
    ids->ids = sm_realloc(ids->ids, (ids->count + 1) * sizeof *ids->ids);
    ids->ids[ids->count++] = (folder_id){id, (uint8_t)class_id};
}

/* Adds an item of a list, "7", "7|8", "128 64 128|0 0 142", to the ids or colours of a class. */
static sm_status read_ids(const folder_description *d, folder_target *t, const char *key, const char *item,
                          int class_id)
{
    for (const char *text = item;; text++) {
        int is_colour = 0, expects_colour = strcmp(key, "palette") == 0, expects_id = strcmp(key, "ids") == 0;
        int32_t id = 0;
        text = read_id(text, &is_colour, &id);
        if (!text || (is_colour && expects_id) || (!is_colour && expects_colour)) {
            return sm_config_fail(d->config, t->section, key, "'%s': expected %s", item,
                                  expects_colour ? "R G B from 0 to 255, or several joined by |"
                                  : expects_id   ? "a number from 0 on, or several joined by |"
                                                 : "a number from 0 on, or R G B from 0 to 255");
        }
        add_id(is_colour ? &t->colours : &t->ids, id, class_id);
        if (*text == '\0') {
            return SM_OK;
        }
    }
}

static sm_status read_id_list(const folder_description *d, folder_target *t, const char *key, int is_ignored)
{
    sm_status status = SM_OK;
    size_t count;
    const char *const *items = sm_config_texts(d->config, t->section, key, &count);
    if (!is_ignored && count > 0 && count != (size_t)t->classes.count) {
        return sm_config_fail(d->config, t->section, key, "%zu %s for %d %s", count,
                              sm_plural((int64_t)count, "item", "items"), t->classes.count,
                              sm_plural(t->classes.count, "name", "names"));
    }
    for (size_t i = 0; i < count; i++) {
        SM_TRY(read_ids(d, t, key, items[i], is_ignored ? SM_CLASS_IGNORED : (int)i));
    }
done:
    return status;
}

static int compare_ids(const void *a, const void *b)
{
    const folder_id *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static sm_status sort_ids(const folder_description *d, const folder_target *t, folder_ids *ids, const char *key)
{
    if (ids->count > 1) { /* qsort() takes no NULL */
        qsort(ids->ids, ids->count, sizeof *ids->ids, compare_ids);
    }
    for (size_t i = 1; i < ids->count; i++) {
        if (ids->ids[i].id == ids->ids[i - 1].id && ids->ids[i].class_id != ids->ids[i - 1].class_id) {
            int32_t id = ids->ids[i].id;
            return ids == &t->ids ? sm_config_fail(d->config, t->section, key, "%d has two meanings", id)
                                  : sm_config_fail(d->config, t->section, key, "%d %d %d has two meanings", id % 256,
                                                   id / 256 % 256, id / 65536);
        }
    }
    return SM_OK;
}

/* The first colour of each class, for pictures. */
static void read_palette(folder_target *t)
{
    t->palette = t->colours.count ? sm_alloc((size_t)t->classes.count * sizeof *t->palette) : NULL;
    for (size_t i = t->colours.count; i-- > 0;) {
        int32_t colour = t->colours.ids[i].id;
        uint8_t *rgb = t->palette[t->colours.ids[i].class_id];
        rgb[0] = (uint8_t)colour;
        rgb[1] = (uint8_t)(colour >> 8);
        rgb[2] = (uint8_t)(colour >> 16);
    }
    t->classes.palette = (const uint8_t(*)[3])t->palette;
}

static sm_status read_things(const folder_description *d, folder_target *t)
{
    size_t count;
    const char *const *things = sm_config_texts(d->config, t->section, "thing", &count);
    t->thing = sm_alloc_zeroed((size_t)t->classes.count);
    t->classes.thing = t->thing;
    for (size_t i = 0; i < count; i++) {
        int c = 0;
        while (c < t->classes.count && strcmp(t->classes.names[c], things[i]) != 0) {
            c++;
        }
        if (c == t->classes.count) {
            char *question = folder_ask_for_class(t, things[i]);
            sm_status status =
                sm_config_fail(d->config, t->section, "thing", "'%s' is none of the names%s", things[i], question);
            sm_free(question);
            return status;
        }
        t->thing[c] = 1;
    }
    return SM_OK;
}

static sm_status check_names(const folder_description *d, const folder_target *t, size_t count)
{
    if (count < 1 || count > SM_CLASSES_MAX) {
        return sm_config_fail(d->config, t->section, "names", "%zu names, expected 1 to %d", count, SM_CLASSES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(t->classes.names[i], t->classes.names[j]) == 0) {
                return sm_config_fail(d->config, t->section, "names", "'%s' stands twice; ids = 11|12 joins two ids",
                                      t->classes.names[i]);
            }
        }
    }
    return SM_OK;
}

int folder_names_are_found(const folder_target *t)
{
    return t->classes.count == 0 && t->kind->has_classes && t->kind->scope == SM_SCOPE_SAMPLE;
}

static sm_status read_classes(const folder_description *d, folder_target *t)
{
    sm_status status = SM_OK;
    size_t count;
    t->classes.names = sm_config_texts(d->config, t->section, "names", &count);
    if (count == 0 && folder_names_are_found(t)) {
        return SM_OK;
    }
    SM_TRY(check_names(d, t, count));
    t->classes.count = (int)count;
    SM_TRY(read_id_list(d, t, "palette", 0));
    read_palette(t);
    SM_TRY(read_id_list(d, t, "ids", 0));
    for (int c = 0; t->ids.count < count && c < t->classes.count; c++) {
        add_id(&t->ids, c, c);
    }
    SM_TRY(read_id_list(d, t, "ignore", 1));
    SM_TRY(sort_ids(d, t, &t->ids, "ids"));
    SM_TRY(sort_ids(d, t, &t->colours, "palette"));
    SM_TRY(read_things(d, t));
    t->ignores_unlisted = sm_config_choice(d->config, t->section, "unlisted") == 1;
    t->target.classes = &t->classes;
done:
    return status;
}

/* ---- values ------------------------------------------------------------------------------------------------------- */

static sm_status read_invalid(const folder_description *d, folder_target *t)
{
    enum { ROOM = sizeof t->invalid / sizeof *t->invalid };
    size_t count;
    const char *const *items = sm_config_texts(d->config, t->section, "invalid", &count);
    if (count == 1 && strcmp(items[0], "none") == 0) {
        return SM_OK;
    }
    if (count == 1 && strcmp(items[0], "default") == 0) {
        t->invalid_count = t->kind->zero_is_invalid ? 1 : 0;
        return SM_OK;
    }
    for (size_t i = 0; i < count; i++) {
        char *end;
        double number = strtod(items[i], &end);
        if (*end != '\0' || end == items[i] || count > ROOM) {
            return sm_config_fail(d->config, t->section, "invalid", "expected default, none or up to %d numbers", ROOM);
        }
        t->invalid[t->invalid_count++] = number;
    }
    return SM_OK;
}

static sm_status read_background(const folder_description *d, folder_target *t)
{
    size_t count;
    const int64_t *ids = sm_config_integers(d->config, t->section, "background", &count);
    if (count > sizeof t->background / sizeof *t->background) {
        return sm_config_fail(d->config, t->section, "background", "%zu ids, at most %zu are allowed", count,
                              sizeof t->background / sizeof *t->background);
    }
    memcpy(t->background, ids, count * sizeof *ids);
    t->background_count = count;
    return SM_OK;
}

/* What the kind leaves to the keys. */
static sm_status read_value_keys(const folder_description *d, folder_target *t)
{
    const double greatest = 1e18;
    size_t count;
    const int64_t *flips = sm_config_integers(d->config, t->section, "flip_negates", &count);
    t->target.components = (int)sm_config_integer(d->config, t->section, "components");
    t->target.components = t->column_count > 1 ? (int)t->column_count : t->target.components;
    t->target.unit = sm_config_text_of(d->config, t->section, "unit");
    t->target.scaling = (sm_target_scaling)sm_config_choice(d->config, t->section, "scaling");
    t->target.least = -greatest;
    t->target.most = greatest;
    if (t->target.scaling == SM_SCALING_AXES && t->target.components != 2) {
        return sm_config_fail(d->config, t->section, "scaling", "takes 2 components; there are %d",
                              t->target.components);
    }
    for (size_t i = 0; i < count; i++) {
        if (flips[i] >= t->target.components) {
            return sm_config_fail(d->config, t->section, "flip_negates", "component %lld of %d, counted from 0",
                                  (long long)flips[i], t->target.components);
        }
        t->target.flip_negates |= 1u << flips[i];
    }
    return SM_OK;
}

static sm_status read_turning(const folder_description *d, folder_target *t)
{
    int choice = sm_config_choice(d->config, t->section, "turning");
    if (!t->kind->standard) {
        t->target.turning = sm_target_turning_of(t->target.scaling);
    }
    if (choice > 1 && (t->target.type != SM_TARGET_REAL || t->target.components < 2)) {
        return sm_config_fail(d->config, t->section, "turning", "takes 2 components and more; there is one");
    }
    t->target.turning = choice > 0 ? (sm_target_turning)(choice - 1) : t->target.turning;
    return SM_OK;
}

static sm_status read_columns(const folder_description *d, folder_target *t)
{
    t->columns = sm_config_texts(d->config, t->section, "column", &t->column_count);
    if (t->column_count == 0) {
        t->columns = &t->name;
        t->column_count = 1;
    }
    int is_value = strcmp(t->kind->name, "value") == 0;
    if (t->column_count > (is_value ? (size_t)SM_COMPONENTS_MAX : 1)) {
        return sm_config_fail(d->config, t->section, "column", "%zu columns, at most %d are allowed for kind = %s",
                              t->column_count, is_value ? SM_COMPONENTS_MAX : 1, t->kind->name);
    }
    return SM_OK;
}

/* ---- targets ------------------------------------------------------------------------------------------------------ */

/* A name that the program knows is that of one type. */
static sm_status check_standard(const folder_description *d, const folder_target *t)
{
    const sm_target *standard = sm_standard_target(t->name);
    if (standard && (standard->type != t->target.type || standard->components != t->target.components ||
                     standard->scope != t->target.scope || strcmp(standard->unit, t->target.unit) != 0)) {
        return sm_config_fail(d->config, t->section, "kind",
                              "a target of the name '%s' is %s%s%s, %d a %s: choose another name", t->name,
                              sm_target_type_names[standard->type], *standard->unit ? " in " : "", standard->unit,
                              standard->components, sm_scope_names[standard->scope]);
    }
    if (strcmp(t->name, "image") == 0 || strcmp(t->name, "name") == 0 || strcmp(t->name, "original_size") == 0 ||
        strcmp(t->name, "baseline_metres") == 0 || strcmp(t->name, "fx_pixels") == 0) {
        return sm_config_fail(d->config, t->section, "kind", "'%s' is no target's name: choose another", t->name);
    }
    return SM_OK;
}

/* The splits of a manifest are a column's. */
static sm_status check_folder(const folder_description *d, const char *section, const char *folder)
{
    return d->has_manifest && strstr(folder, "{split}")
               ? sm_config_fail(d->config, section, "folder", "{split} is for folders without a manifest")
               : SM_OK;
}

static sm_status describe_target(const folder_description *d, const char *section, folder_target *t)
{
    sm_status status = SM_OK;
    t->section = section;
    t->name = sm_config_instance(section);
    t->kind = &folder_kinds[sm_config_choice(d->config, section, "kind")];
    t->folder = sm_config_text_of(d->config, section, "folder");
    t->folder = *t->folder || d->has_manifest ? t->folder : t->name;
    SM_TRY(check_folder(d, section, t->folder));
    t->suffix = sm_config_text_of(d->config, section, "suffix");
    t->scale = sm_config_real(d->config, section, "scale");
    t->offset = sm_config_real(d->config, section, "offset");
    t->is_sparse = sm_config_bool(d->config, section, "sparse");
    t->target = (sm_target){.unit = "", .components = 1};
    SM_TRY(read_columns(d, t));
    if (t->kind->standard) {
        t->target = *sm_standard_target(t->kind->standard);
    } else if (t->kind->type == SM_TARGET_REAL) {
        SM_TRY(read_value_keys(d, t));
    }
    t->target.name = t->name;
    t->target.type = t->kind->type;
    t->target.scope = t->kind->scope;
    if (t->kind->has_classes) {
        SM_TRY(read_classes(d, t));
        t->target.components = t->target.type == SM_TARGET_LABELS ? t->classes.count : 1;
    }
    SM_TRY(read_turning(d, t));
    SM_TRY(read_invalid(d, t));
    SM_TRY(read_background(d, t));
    SM_TRY(check_standard(d, t));
done:
    return status;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

static void add_kind(folder_description *d, sm_import_kind kind)
{
    d->kinds[d->kind_count++] = kind;
}

/* Paths and cells of a manifest are there unless they are empty: a file that is not is an error of its row. Of an image
 * as a whole folders may be the value. */
static void list_kinds(folder_description *d)
{
    add_kind(d, (sm_import_kind){.what = "image", .is_named = d->has_manifest});
    for (int t = 0; t < d->target_count; t++) {
        const folder_target *described = &d->targets[t];
        add_kind(d, (sm_import_kind){.what = described->name,
                                     .described = &described->target,
                                     .is_named = d->has_manifest || described->target.scope == SM_SCOPE_SAMPLE});
    }
    int has_camera = d->camera.baseline_metres && d->camera.fx_pixels;
    d->camera_kind = has_camera ? d->kind_count : -1;
    if (has_camera) {
        add_kind(d, (sm_import_kind){.what = "camera", .is_camera = 1, .is_text = 1});
    }
    d->row_kind = d->has_manifest ? d->kind_count : -1;
    if (d->has_manifest) {
        add_kind(d, (sm_import_kind){.what = "row", .is_text = 1});
    }
}

static sm_status describe_camera(folder_description *d)
{
    const char *baseline = sm_config_text_of(d->config, camera, "baseline_metres");
    const char *fx = sm_config_text_of(d->config, camera, "fx_pixels");
    if ((*baseline == '\0') != (*fx == '\0')) {
        return sm_config_fail(d->config, camera, *fx ? "fx_pixels" : "baseline_metres",
                              "baseline_metres and fx_pixels are needed both");
    }
    if (*baseline) {
        d->camera = (folder_camera){baseline, fx};
    }
    return SM_OK;
}

sm_status folder_describe(folder_description *d)
{
    sm_status status = SM_OK;
    const char *const *sections;
    size_t count = sm_config_sections(d->config, "target", &sections);
    if (count > SM_TARGETS_MAX) {
        return sm_fail(SM_ERR_CONFIG, "%s: %zu targets, at most %d are allowed", d->describe, count, SM_TARGETS_MAX);
    }
    d->image_column = sm_config_text_of(d->config, image, "column");
    d->split_column = sm_config_text_of(d->config, image, "split_column");
    d->image_folder = sm_config_text_of(d->config, image, "folder");
    d->has_image_folder = *d->image_folder != '\0';
    d->image_folder = d->has_image_folder || d->has_manifest ? d->image_folder : "images";
    d->image_suffix = sm_config_text_of(d->config, image, "suffix");
    SM_TRY(check_folder(d, image, d->image_folder));
    SM_TRY(folder_describe_splits(d));
    d->targets = sm_alloc_zeroed((count > 0 ? count : 1) * sizeof *d->targets);
    for (size_t t = 0; t < count; t++) {
        d->target_count++;
        SM_TRY(describe_target(d, sections[t], &d->targets[t]));
    }
    SM_TRY(describe_camera(d));
    list_kinds(d);
done:
    return status;
}

void folder_description_clear(folder_description *d)
{
    for (int t = 0; t < d->target_count; t++) {
        sm_free(d->targets[t].palette);
        sm_free(d->targets[t].thing);
        sm_free(d->targets[t].ids.ids);
        sm_free(d->targets[t].colours.ids);
    }
    sm_free(d->targets);
    d->targets = NULL;
    d->target_count = d->kind_count = 0;
}
