/* Samples of a CSV manifest: a row each. */
#include "data/folder.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/io/file.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NO_COLUMN = -1 };

/* Where the parts of a sample stand; columns of the table. */
typedef struct manifest {
    const folder_description *description;
    sm_csv table;
    char *folder; /* of relative paths, "" or ending in a slash */
    size_t image;
    long split, baseline, fx; /* NO_COLUMN: none */
    size_t *columns;          /* of each target, one after the other */
} manifest;

/* Images, and values that are paths, are found from the manifest's folder, or from one below it.
 * \param folder  the key `folder` */
static char *resolved(const manifest *m, const char *folder, const char *path)
{
    size_t length = strlen(folder);
    int is_whole = *path == '/', needs_slash = length > 0 && folder[length - 1] != '/';
    return is_whole ? sm_strdup(path)
                    : sm_format("%s%s%s%s", *folder == '/' ? "" : m->folder, folder, needs_slash ? "/" : "", path);
}

static int is_path(const folder_target *t, const char *cell)
{
    return t->target.scope == SM_SCOPE_PIXEL || folder_has_extension(cell, folder_value_extensions);
}

/* A value a component of its own column: joined by ';', empty if all are. */
static char *join_cells(const manifest *m, const folder_target *t, size_t row, const size_t *columns)
{
    char *joined = sm_strdup("");
    int any = 0;
    for (size_t c = 0; c < t->column_count; c++) {
        const char *cell = sm_csv_cell(&m->table, row, columns[c]);
        char *longer = sm_format("%s%s%s", joined, c > 0 ? ";" : "", *cell ? cell : "nan");
        any = any || *cell != '\0';
        sm_free(joined);
        joined = longer;
    }
    if (!any) {
        *joined = '\0';
    }
    return joined;
}

static char *source_of(const manifest *m, const folder_target *t, size_t row, const size_t *columns)
{
    if (t->column_count > 1) {
        return join_cells(m, t, row, columns);
    }
    const char *cell = sm_csv_cell(&m->table, row, columns[0]);
    return *cell && is_path(t, cell) ? resolved(m, t->folder, cell) : sm_strdup(cell);
}

/* A number for all, or that of this row. */
static const char *camera_number(const manifest *m, const char *text, long column, size_t row)
{
    return column == NO_COLUMN ? text : sm_csv_cell(&m->table, row, (size_t)column);
}

static char *camera_source(const manifest *m, size_t row)
{
    const folder_camera *camera = &m->description->camera;
    const char *baseline = camera_number(m, camera->baseline_metres, m->baseline, row);
    const char *fx = camera_number(m, camera->fx_pixels, m->fx, row);
    return *baseline && *fx ? sm_format("%s %s", baseline, fx) : sm_strdup("");
}

static sm_status fail_split(const folder_description *d, size_t line, const char *cell)
{
    char *words = sm_strdup("");
    sm_split_word split, next;
    sm_nearest nearest = {.wanted = cell};
    for (size_t i = 0; (split = folder_split_at(d, i)).word; i++) {
        sm_nearest_consider(&nearest, split.word);
        next = folder_split_at(d, i + 1);
        char *longer = sm_format("%s%s%s", words, i == 0 ? "" : next.word ? ", " : " or ", split.word);
        sm_free(words);
        words = longer;
    }
    char *question = sm_nearest_question(&nearest);
    char *is = *cell ? sm_format("is '%s'", cell) : sm_strdup("is empty");
    sm_status status =
        sm_fail(SM_ERR_INPUT, "%s:%zu: column '%s' %s, expected %s; the key splits of [image] allows others%s", d->root,
                line, d->split_column, is, words, question);
    sm_free(question);
    sm_free(is);
    sm_free(words);
    return status;
}

static sm_status add_row(const manifest *m, size_t row, folder_samples *samples)
{
    const folder_description *d = m->description;
    const char *image = sm_csv_cell(&m->table, row, m->image);
    if (*image == '\0') {
        return sm_fail(SM_ERR_INPUT, "%s:%zu: column '%s' is empty, expected the path of an image", d->root,
                       m->table.lines[row], d->image_column);
    }
    char **sources = sm_alloc_zeroed((size_t)d->kind_count * sizeof *sources);
    const size_t *columns = m->columns;
    sources[0] = resolved(m, d->image_folder, image);
    for (int t = 0; t < d->target_count; t++) {
        sources[1 + t] = source_of(m, &d->targets[t], row, columns);
        columns += d->targets[t].column_count;
    }
    if (d->camera_kind >= 0) {
        sources[d->camera_kind] = camera_source(m, row);
    }
    sources[d->row_kind] = sm_format("%s:%zu", d->root, m->table.lines[row]);
    const char *cell = m->split == NO_COLUMN ? "" : sm_csv_cell(&m->table, row, (size_t)m->split);
    const char *split = folder_split_of(d, cell);
    const char *dot = strrchr(image, '.'), *slash = strrchr(image, '/');
    int bytes = (int)(dot && (!slash || dot > slash) ? dot - image : (long)strlen(image));
    folder_samples_add(samples, sm_format("%.*s", bytes, image), split ? sm_strdup(split) : NULL, sources);
    return m->split != NO_COLUMN && !split ? fail_split(d, m->table.lines[row], cell) : SM_OK;
}

static sm_status find_target_columns(manifest *m)
{
    sm_status status = SM_OK;
    const folder_description *d = m->description;
    size_t count = 0;
    for (int t = 0; t < d->target_count; t++) {
        count += d->targets[t].column_count;
    }
    m->columns = sm_alloc((count > 0 ? count : 1) * sizeof *m->columns);
    count = 0;
    for (int t = 0; t < d->target_count; t++) {
        for (size_t c = 0; c < d->targets[t].column_count; c++) {
            SM_TRY(sm_csv_column(&m->table, d->targets[t].columns[c], &m->columns[count++]));
        }
    }
done:
    return status;
}

/* \param text  a number, or a column's name; NULL: none */
static sm_status find_camera_column(const manifest *m, const char *text, long *column)
{
    char *end;
    size_t place;
    *column = NO_COLUMN;
    if (!text || (strtod(text, &end) > 0 && *end == '\0')) {
        return SM_OK;
    }
    sm_status status = sm_csv_column(&m->table, text, &place);
    *column = status == SM_OK ? (long)place : NO_COLUMN;
    return status;
}

static sm_status find_columns(manifest *m)
{
    sm_status status = SM_OK;
    const folder_description *d = m->description;
    size_t split;
    SM_TRY(sm_csv_column(&m->table, d->image_column, &m->image));
    m->split = sm_csv_find(&m->table, d->split_column, &split) ? (long)split : NO_COLUMN;
    SM_TRY(find_target_columns(m));
    SM_TRY(find_camera_column(m, d->camera.baseline_metres, &m->baseline));
    SM_TRY(find_camera_column(m, d->camera.fx_pixels, &m->fx));
done:
    return status;
}

sm_status folder_check_files(const folder_description *d, const char *const *sources)
{
    for (int k = 0; k <= d->target_count; k++) {
        const folder_target *t = k > 0 ? &d->targets[k - 1] : NULL;
        const char *source = sources[k];
        int has_file = source && *source && (!t || (t->column_count == 1 && is_path(t, source)));
        if (has_file && !sm_file_exists(source)) {
            return sm_fail(SM_ERR_IO,
                           "%s: no such file; the key folder of [%s] says in which folder, from that of the manifest "
                           "on, the paths of column '%s' are",
                           source, t ? t->section : "image", t ? t->columns[0] : d->image_column);
        }
    }
    return SM_OK;
}

sm_status folder_find_in_manifest(const folder_description *d, folder_samples *samples)
{
    sm_status status = SM_OK;
    const char *slash = strrchr(d->root, '/');
    manifest m = {.description = d};
    m.folder = slash ? sm_format("%.*s", (int)(slash - d->root) + 1, d->root) : sm_strdup("");
    SM_TRY(sm_csv_read(d->root, &m.table));
    if (m.table.rows == 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: no rows below the names of the columns", d->root));
    }
    SM_TRY(find_columns(&m));
    for (size_t row = 0; row < m.table.rows; row++) {
        SM_TRY(add_row(&m, row, samples));
    }
done:
    sm_csv_free(&m.table);
    sm_free(m.folder);
    sm_free(m.columns);
    return status;
}
