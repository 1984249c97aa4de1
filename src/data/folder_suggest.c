/* What else a folder or a manifest seems to hold: a description that a user can begin with. */
#include "data/folder.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/image.h>
#include <sigmatic/io/npy.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKED_AT = 32 }; /* files, or cells, of a target: enough to see rare classes, soon read */

/* Some of what a target has, spread over all of it: paths, or texts of cells. */
typedef struct examples {
    const char *texts[LOOKED_AT];
    size_t count, total;
} examples;

typedef struct suggestion {
    const folder_description *description;
    char *text;
    int has_semantic, has_depth;
} suggestion;

static void append(suggestion *s, char *more)
{
    char *longer = sm_format("%s%s", s->text, more);
    sm_free(s->text);
    sm_free(more);
    s->text = longer;
}

/* A section's name: letters, digits and '_'. */
static char *identifier(const char *name)
{
    char *made = sm_format("%s%s", isalpha((unsigned char)*name) ? "" : "_", name);
    for (char *c = made; *c; c++) {
        *c = isalnum((unsigned char)*c) ? *c : '_';
    }
    return made;
}

/* The head of a section; its name is `standard` if that is given, and then a key says where the files are. */
static void append_section(suggestion *s, const char *name, const char *standard, const examples *e)
{
    char *section = standard ? sm_strdup(standard) : identifier(name);
    append(s, sm_format("[target.%s]    ; as %s\n", section, e->texts[0]));
    if (strcmp(section, name) != 0) {
        append(s, sm_format("%s = %s\n", s->description->has_manifest ? "column" : "folder", name));
    }
    sm_free(section);
}

/* ---- maps of ids or colours --------------------------------------------------------------------------------------- */

/* What the maps looked at hold. */
typedef struct seen {
    int channels, bits; /* of the first that can be read; 0: none can */
    size_t maps;        /* looked at */
    int32_t colours[64], greatest;
    int colour_count, has_many, has_negative;
} seen;
enum { COLOURS_MAX = sizeof((seen *)0)->colours / sizeof *((seen *)0)->colours };

static void see_colour(seen *found, int32_t colour)
{
    int c = 0;
    while (c < found->colour_count && found->colours[c] != colour) {
        c++;
    }
    if (c < found->colour_count) {
        return;
    }
    if (c == COLOURS_MAX) {
        found->has_many = 1;
        return;
    }
    found->colours[found->colour_count++] = colour;
}

static void see_png(const char *path, seen *found)
{
    sm_image map = {0};
    if (sm_image_read(path, SM_IMAGE_KEEP_INDICES, &map) == SM_OK) {
        found->channels = found->channels ? found->channels : map.channels;
        found->bits = found->bits ? found->bits : map.bits;
        found->maps++;
        const uint8_t *bytes = map.pixels;
        int64_t pixels = map.bits == 8 ? (int64_t)map.height * map.width : 0;
        for (int64_t i = 0; i < pixels && map.channels == 3 && !found->has_many; i++) {
            see_colour(found, bytes[3 * i] | bytes[3 * i + 1] << 8 | bytes[3 * i + 2] << 16);
        }
        for (int64_t i = 0; i < pixels && map.channels == 1; i++) {
            found->greatest = bytes[i] > found->greatest && bytes[i] != 255 ? bytes[i] : found->greatest;
        }
    }
    sm_image_free(&map);
}

static void see_ids(const char *path, seen *found)
{
    sm_npy array = {0};
    if (sm_npy_read_int64(path, &array) == SM_OK) {
        const int64_t *ids = array.data;
        found->maps++;
        for (size_t i = 0; i < array.count; i++) {
            int64_t id = ids[i] > INT32_MAX ? INT32_MAX : ids[i];
            found->greatest = id > found->greatest && id != 255 ? (int32_t)id : found->greatest;
            found->has_negative = found->has_negative || id < 0;
        }
    }
    sm_npy_free(&array);
}

/* A name and a colour for each colour. */
static void suggest_palette(suggestion *s, const seen *found, const examples *e)
{
    append(s, sm_strdup("names = "));
    for (int c = 0; c < found->colour_count; c++) {
        append(s, sm_format("%sclass%d", c > 0 ? ", " : "", c));
    }
    append(s, sm_strdup("\npalette = "));
    for (int c = 0; c < found->colour_count; c++) {
        int32_t rgb = found->colours[c];
        append(s, sm_format("%s%d %d %d", c > 0 ? ", " : "", rgb % 256, rgb / 256 % 256, rgb / 65536));
    }
    append(s, sm_format("    ; R G B of each; those in %zu of %zu maps\n", found->maps, e->total));
}

static void suggest_ids(suggestion *s, const seen *found, const examples *e)
{
    append(s, sm_strdup("names = "));
    for (int32_t id = 0; id <= found->greatest; id++) {
        append(s, sm_format("%sclass%d", id > 0 ? ", " : "", id));
    }
    append(s, sm_format("    ; of ids 0, 1, ...; the largest in %zu of %zu maps\nignore = 255\n%s", found->maps,
                        e->total, found->has_negative ? "unlisted = ignore    ; ids below 0\n" : ""));
}

static void suggest_classes(suggestion *s, const char *name, const examples *e, const seen *found)
{
    if (found->has_many) {
        append_section(s, name, strstr(name, "normal") ? "normal" : NULL, e);
        append(s, sm_format("kind = normal_map    ; of more than %d colours; or value_map with components = 3\n",
                            COLOURS_MAX));
        return;
    }
    if (found->greatest >= SM_CLASSES_MAX) {
        append_section(s, name, "instance", e);
        append(s, sm_format("kind = instance_map    ; of ids up to %d\n", found->greatest));
        return;
    }
    append_section(s, name, s->has_semantic++ ? NULL : "semantic", e);
    append(s, sm_strdup("kind = class_map    ; or instance_map\n"));
    if (found->colour_count > 0) {
        suggest_palette(s, found, e);
    } else {
        suggest_ids(s, found, e);
    }
}

/* ---- other maps, and texts ---------------------------------------------------------------------------------------- */

static void suggest_depth(suggestion *s, const char *name, const examples *e, int needs_scale)
{
    int is_disparity = strstr(name, "disp") != NULL;
    append_section(s, name, is_disparity ? "disparity" : s->has_depth++ ? NULL : "depth", e);
    append(s, sm_format("kind = %s\n%s%s",
                        is_disparity ? "disparity_map" : "depth_map    ; or disparity_map, instance_map",
                        needs_scale && is_disparity ? "scale = 0.00390625    ; pixels a step\n" : "",
                        needs_scale && !is_disparity ? "scale = 0.001    ; metres a step\n" : ""));
}

static void suggest_png(suggestion *s, const char *name, const examples *e)
{
    seen found = {0};
    for (size_t i = 0; i < e->count; i++) {
        see_png(e->texts[i], &found);
    }
    if (found.bits == 0) {
        return;
    }
    if (strstr(name, "inst")) {
        append_section(s, name, "instance", e);
        append(s, sm_strdup("kind = instance_map\n"));
    } else if (found.channels == 1 && found.bits == 16) {
        suggest_depth(s, name, e, 1);
    } else if (found.bits == 8) {
        suggest_classes(s, name, e, &found);
    }
}

static void suggest_npy(suggestion *s, const char *name, const examples *e)
{
    sm_npy array = {0};
    seen found = {0};
    if (sm_npy_read(e->texts[0], &array) == SM_OK) {
        int is_map = array.rank >= 2, is_float = array.type >= SM_NPY_F16;
        if (is_map && array.rank == 2 && is_float) {
            suggest_depth(s, name, e, 0);
        } else if (is_map && array.rank == 2) {
            for (size_t i = 0; i < e->count; i++) {
                see_ids(e->texts[i], &found);
            }
            suggest_classes(s, name, e, &found);
        } else {
            append_section(s, name, NULL, e);
            append(s, sm_format("kind = %s    ; or normal_map\ncomponents = %zu\n", is_map ? "value_map" : "value",
                                array.rank > 0 ? array.shape[array.rank - 1] : 1));
        }
    }
    sm_npy_free(&array);
}

static void suggest_texts(suggestion *s, const char *name, const examples *e)
{
    int are_numbers = 1;
    for (size_t i = 0; i < e->count && are_numbers; i++) {
        char *text = NULL, *end = NULL;
        if (folder_cell_text(e->texts[i], &text) == SM_OK) {
            (void)strtod(text, &end);
            are_numbers = *end == '\0';
        }
        sm_free(text);
    }
    append_section(s, name, NULL, e);
    append(s, sm_format("kind = %s\n", are_numbers ? "value    ; or class" : "class"));
}

static void suggest(suggestion *s, const char *name, const examples *e)
{
    static const char *const png[] = {".png", NULL}, *const npy[] = {".npy", NULL};
    if (folder_has_extension(e->texts[0], png)) {
        suggest_png(s, name, e);
    } else if (folder_has_extension(e->texts[0], npy)) {
        suggest_npy(s, name, e);
    } else {
        suggest_texts(s, name, e);
    }
}

/* ---- of a manifest, of a folder ----------------------------------------------------------------------------------- */

/* \param all  `count` texts, kept by reference */
static examples some_of(char *const *all, size_t count)
{
    examples e = {.total = count};
    e.count = count < LOOKED_AT ? count : LOOKED_AT;
    for (size_t i = 0; i < e.count; i++) {
        e.texts[i] = all[e.count > 1 ? i * (count - 1) / (e.count - 1) : 0];
    }
    return e;
}

/* A cell, or the path of the file that it names. */
static char *resolved(const char *manifest, const char *cell)
{
    const char *slash = strrchr(manifest, '/');
    char *path = sm_format("%.*s%s", slash && *cell != '/' ? (int)(slash - manifest) + 1 : 0, manifest, cell);
    if (sm_file_exists(path)) {
        return path;
    }
    sm_free(path);
    return sm_strdup(cell);
}

static void suggest_column(suggestion *s, const sm_csv *table, size_t column)
{
    size_t count = 0;
    char **cells = sm_alloc((table->rows > 0 ? table->rows : 1) * sizeof *cells);
    for (size_t row = 0; row < table->rows; row++) {
        const char *cell = sm_csv_cell(table, row, column);
        if (*cell != '\0') {
            cells[count++] = (char *)cell;
        }
    }
    if (count > 0) {
        examples e = some_of(cells, count);
        char *paths[LOOKED_AT];
        for (size_t i = 0; i < e.count; i++) {
            paths[i] = resolved(s->description->root, e.texts[i]);
            e.texts[i] = paths[i];
        }
        suggest(s, table->names[column], &e);
        for (size_t i = 0; i < e.count; i++) {
            sm_free(paths[i]);
        }
    }
    sm_free(cells);
}

static sm_status suggest_columns(suggestion *s)
{
    sm_status status = SM_OK;
    const folder_description *d = s->description;
    sm_csv table;
    SM_TRY(sm_csv_read(d->root, &table));
    for (size_t c = 0; c < table.columns; c++) {
        const char *name = table.names[c];
        if (*name != '\0' && strcmp(name, d->image_column) != 0 && strcmp(name, d->split_column) != 0) {
            suggest_column(s, &table, c);
        }
    }
done:
    sm_csv_free(&table);
    return status;
}

static sm_status suggest_folder(suggestion *s, const char *name, const char *path)
{
    static const char *const extensions[] = {".png", ".npy", ".txt", NULL};
    folder_files files = {0};
    sm_status status = folder_files_find(path, FOLDER_DEEP, extensions, "", &files);
    if (status == SM_OK && files.count > 0) {
        char **paths = sm_alloc(files.count * sizeof *paths);
        for (size_t i = 0; i < files.count; i++) {
            paths[i] = files.files[i].path;
        }
        examples e = some_of(paths, files.count);
        suggest(s, name, &e);
        sm_free(paths);
    }
    folder_files_clear(&files);
    return status;
}

/* Subfolders of ROOT, or of its first folder that is a split. */
static sm_status suggest_folders(suggestion *s, const char *root, int is_split)
{
    sm_status status = SM_OK;
    char **names = NULL;
    size_t count = 0;
    SM_TRY(sm_import_folder(root, &names, &count));
    for (size_t i = 0; i < count && status == SM_OK; i++) {
        char *path = sm_format("%s/%s", root, names[i]);
        if (sm_folder_exists(path) && folder_split_of(s->description, names[i]) && !is_split) {
            status = *s->text == '\0' ? suggest_folders(s, path, 1) : SM_OK;
        } else if (sm_folder_exists(path) && strcmp(names[i], s->description->image_folder) != 0) {
            status = suggest_folder(s, names[i], path);
        }
        sm_free(path);
    }
done:
    sm_free(names);
    return status;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

void folder_suggest(const folder_description *d, const folder_samples *samples)
{
    suggestion s = {.description = d, .text = sm_strdup("")};
    sm_status status = d->has_manifest ? suggest_columns(&s) : suggest_folders(&s, d->root, 0);
    if (status != SM_OK) {
        sm_log_warning("no description is suggested: %s", sm_error_message());
    }
    char *classes = *s.text == '\0' && !d->has_manifest ? folder_class_description(samples) : NULL;
    if (classes) {
        append(&s, classes);
        append(&s, sm_strdup("\n"));
    }
    if (*s.text != '\0') {
        sm_log_info(
            "%s: only the images are taken; a file as below, corrected and given as --describe FILE, takes more "
            "(--help-describe lists its keys)",
            d->root);
        s.text[strlen(s.text) - 1] = '\0'; /* the line end that a result gets anyway */
        sm_log_result("%s", s.text);
    }
    sm_free(s.text);
}
