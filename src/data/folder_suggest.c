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
static void append_section(suggestion *s, const char *name, const char *standard, const char *example)
{
    char *section = standard ? sm_strdup(standard) : identifier(name);
    append(s, sm_format("[target.%s]    ; as %s\n", section, example));
    if (strcmp(section, name) != 0) {
        append(s, sm_format("%s = %s\n", s->description->has_manifest ? "column" : "folder", name));
    }
    sm_free(section);
}

/* A name and a colour for each colour of the map, as far as these can be classes. */
static void suggest_palette(suggestion *s, const sm_image *map)
{
    enum { MOST = 64 };
    int colours[MOST], count = 0;
    char *names = sm_strdup(""), *palette = sm_strdup("");
    for (int64_t i = 0; i < (int64_t)map->height * map->width && count < MOST; i++) {
        const uint8_t *rgb = (const uint8_t *)map->pixels + 3 * i;
        int colour = rgb[0] | rgb[1] << 8 | rgb[2] << 16, c = 0;
        while (c < count && colours[c] != colour) {
            c++;
        }
        if (c == count) {
            const char *comma = count > 0 ? ", " : "";
            char *longer_names = sm_format("%s%sclass%d", names, comma, count);
            char *longer_palette = sm_format("%s%s%d %d %d", palette, comma, rgb[0], rgb[1], rgb[2]);
            sm_free(names);
            sm_free(palette);
            names = longer_names;
            palette = longer_palette;
            colours[count++] = colour;
        }
    }
    append(s, sm_format("names = %s\npalette = %s    ; R G B of each; those of the first map\n", names, palette));
    sm_free(names);
    sm_free(palette);
}

static void suggest_classes(suggestion *s, const char *name, const char *path, const sm_image *map)
{
    int most = 0;
    append_section(s, name, s->has_semantic++ ? NULL : "semantic", path);
    append(s, sm_strdup("kind = class_map    ; or instance_map\n"));
    if (map->channels == 3) {
        suggest_palette(s, map);
        return;
    }
    for (int64_t i = 0; i < (int64_t)map->height * map->width; i++) {
        int id = ((const uint8_t *)map->pixels)[i];
        most = id > most && id != 255 ? id : most;
    }
    append(s, sm_strdup("names = "));
    for (int id = 0; id <= most; id++) {
        append(s, sm_format("%sclass%d", id > 0 ? ", " : "", id));
    }
    append(s, sm_strdup("    ; of ids 0, 1, ...\nignore = 255\n"));
}

static void suggest_depth(suggestion *s, const char *name, const char *path, int needs_scale)
{
    int is_disparity = strstr(name, "disp") != NULL;
    append_section(s, name, is_disparity ? "disparity" : s->has_depth++ ? NULL : "depth", path);
    append(s, sm_format("kind = %s\n%s%s",
                        is_disparity ? "disparity_map" : "depth_map    ; or disparity_map, instance_map",
                        needs_scale && is_disparity ? "scale = 0.00390625    ; pixels a step\n" : "",
                        needs_scale && !is_disparity ? "scale = 0.001    ; metres a step\n" : ""));
}

static void suggest_instances(suggestion *s, const char *name, const char *path)
{
    append_section(s, name, "instance", path);
    append(s, sm_strdup("kind = instance_map\n"));
}

static void suggest_png(suggestion *s, const char *name, const char *path)
{
    sm_image map = {0};
    if (sm_image_read(path, SM_IMAGE_KEEP_INDICES, &map) == SM_OK) {
        if (strstr(name, "inst")) {
            suggest_instances(s, name, path);
        } else if (map.channels == 1 && map.bits == 16) {
            suggest_depth(s, name, path, 1);
        } else if (map.bits == 8) {
            suggest_classes(s, name, path, &map);
        }
    }
    sm_image_free(&map);
}

static void suggest_npy(suggestion *s, const char *name, const char *path)
{
    sm_npy array = {0};
    if (sm_npy_read(path, &array) == SM_OK) {
        int is_map = array.rank >= 2, is_float = array.type >= SM_NPY_F16;
        if (is_map && array.rank == 2 && is_float) {
            suggest_depth(s, name, path, 0);
        } else if (is_map && array.rank == 2) {
            append_section(s, name, s->has_semantic++ ? NULL : "semantic", path);
            append(s, sm_strdup("kind = class_map    ; or instance_map\nnames = class0, class1    ; a name a class\n"));
        } else {
            append_section(s, name, NULL, path);
            append(s, sm_format("kind = %s    ; or normal_map\ncomponents = %zu\n", is_map ? "value_map" : "value",
                                array.rank > 0 ? array.shape[array.rank - 1] : 1));
        }
    }
    sm_npy_free(&array);
}

static void suggest_text(suggestion *s, const char *name, const char *text, const char *example)
{
    char *end;
    (void)strtod(text, &end);
    append_section(s, name, NULL, example);
    append(s, sm_format("kind = %s\n", *end == '\0' ? "value    ; or class" : "class"));
}

/* \param source  a path, or the text of a cell */
static void suggest(suggestion *s, const char *name, const char *source, const char *example)
{
    static const char *const png[] = {".png", NULL}, *const npy[] = {".npy", NULL};
    char *text = NULL;
    if (folder_has_extension(source, png)) {
        suggest_png(s, name, source);
    } else if (folder_has_extension(source, npy)) {
        suggest_npy(s, name, source);
    } else if (folder_cell_text(source, &text) == SM_OK) {
        suggest_text(s, name, text, example);
    }
    sm_free(text);
}

/* ---- of a manifest, of a folder ----------------------------------------------------------------------------------- */

static sm_status suggest_columns(suggestion *s)
{
    sm_status status = SM_OK;
    const folder_description *d = s->description;
    sm_csv table;
    const char *slash = strrchr(d->root, '/');
    SM_TRY(sm_csv_read(d->root, &table));
    for (size_t c = 0; c < table.columns; c++) {
        const char *name = table.names[c], *cell = "";
        for (size_t row = 0; row < table.rows && *cell == '\0'; row++) {
            cell = sm_csv_cell(&table, row, c);
        }
        if (*name == '\0' || *cell == '\0' || strcmp(name, d->image_column) == 0 ||
            strcmp(name, d->split_column) == 0) {
            continue;
        }
        char *path = sm_format("%.*s%s", slash && *cell != '/' ? (int)(slash - d->root) + 1 : 0, d->root, cell);
        suggest(s, name, sm_file_exists(path) ? path : cell, cell);
        sm_free(path);
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
        suggest(s, name, files.files[0].path, files.files[0].path);
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

void folder_suggest(const folder_description *d)
{
    suggestion s = {.description = d, .text = sm_strdup("")};
    sm_status status = d->has_manifest ? suggest_columns(&s) : suggest_folders(&s, d->root, 0);
    if (status != SM_OK) {
        sm_log_warning("no description is suggested: %s", sm_error_message());
    } else if (*s.text != '\0') {
        sm_log_info(
            "%s: only the images are taken; a file as below, corrected and given as --describe FILE, takes more "
            "(--help-describe lists its keys)",
            d->root);
        s.text[strlen(s.text) - 1] = '\0'; /* the line end that a result gets anyway */
        sm_log_result("%s", s.text);
    }
    sm_free(s.text);
}
