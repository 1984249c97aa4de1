/* `data table`: a CSV file becomes features and targets. Every rank reads the text that rank 0 has read, so that all have the same
 * table, and say the same of a bad one. */
#include "data/table_file.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/version.h>
#include <sigmatic/data/input.h>
#include <sigmatic/data/table.h>
#include <sigmatic/io/file.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char command[] = "data table";

/* What a column is. */
typedef enum column_role { NOTHING, FEATURE, TARGET, FACT } column_role;
static const char *const role_names[] = {"nothing", "a feature", "a target",
                                         "the name, the group or the split of a row"};

typedef struct table_import {
    const sm_table_import_options *options;
    int is_root;
    sm_csv csv;
    uint32_t checksum;  /* of the text */
    column_role *roles; /* of each column */
    size_t *features;   /* columns */
    int is_all_train;   /* nothing says which rows are of which split */
    sm_table table;
} table_import;

/* ---- reading the file ------------------------------------------------------------------------------------------------ */

/* \param [out] text  the same on every rank, freed with sm_free() */
static sm_status share_text(sm_comm *comm, const char *path, char **text)
{
    int is_root = sm_comm_rank(comm) == 0;
    *text = NULL;
    sm_status status = sm_comm_agree(comm, is_root ? sm_file_read_text(path, text) : SM_OK);
    if (status != SM_OK) {
        return status;
    }
    uint64_t bytes = is_root ? strlen(*text) + 1 : 0;
    sm_comm_broadcast(comm, &bytes, sizeof bytes, 0);
    *text = is_root ? *text : sm_alloc(bytes);
    sm_comm_broadcast(comm, *text, bytes, 0);
    return SM_OK;
}

sm_status sm_table_read_csv(sm_comm *comm, const char *path, sm_csv *table)
{
    char *text = NULL;
    *table = (sm_csv){0};
    sm_status status = share_text(comm, path, &text);
    if (status == SM_OK) {
        status = sm_csv_parse(path, text, table);
    }
    sm_free(text);
    return status;
}

static sm_status read_file(sm_comm *comm, table_import *import)
{
    sm_status status = SM_OK;
    const char *path = import->options->path;
    char *text = NULL;
    SM_TRY(share_text(comm, path, &text));
    import->checksum = sm_crc32c(0, text, strlen(text));
    SM_TRY(sm_csv_parse(path, text, &import->csv));
    if (import->csv.rows == 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: no rows below the names of the columns", path));
    }
    import->roles = sm_alloc_zeroed(import->csv.columns * sizeof *import->roles);
    import->table.rows = import->csv.rows;
done:
    sm_free(text);
    return status;
}

/* ---- columns --------------------------------------------------------------------------------------------------------- */

/* A list of names is a line of CSV: one with a comma stands in quotes. \param [out] list  its `names`; freed with sm_csv_free() */
static sm_status read_list(const char *option, const char *text, sm_csv *list)
{
    static const char path[] = "", place[] = ":1: "; /* of a line there is no file to name */
    sm_status status = sm_csv_parse(path, text, list);
    if (status == SM_OK) {
        return status;
    }
    const char *message = sm_error_message();
    char *why = sm_strdup(message + (strncmp(message, place, strlen(place)) == 0 ? strlen(place) : 0));
    status = *text == '\0'
                 ? sm_fail(SM_ERR_USAGE, "%s: --%s '': expected names between commas, none found", command, option)
             : strchr(text, '"')
                 ? sm_fail(SM_ERR_USAGE,
                           "%s: --%s '%s': %s. Quotes stand around the whole of an entry that has a comma, the new "
                           "name too: '\"heat=heat, kWh\",mass'",
                           command, option, text, why)
                 : sm_fail(SM_ERR_USAGE, "%s: --%s '%s': %s", command, option, text, why);
    sm_free(why);
    return status;
}

static sm_status take_column(table_import *import, const char *option, const char *name, column_role role,
                             size_t *column)
{
    sm_status status = sm_csv_column(&import->csv, name, column);
    if (status != SM_OK) {
        char *why = sm_strdup(sm_error_message());
        status = sm_fail(status, "%s (--%s)", why, option);
        sm_free(why);
        return status;
    }
    column_role *own = &import->roles[*column];
    if (*own != NOTHING && (*own != FACT || role != FACT)) {
        return sm_fail(SM_ERR_USAGE, "%s: --%s: column '%s' is %s already", command, option, name, role_names[*own]);
    }
    *own = role;
    return SM_OK;
}

static sm_status name_features(table_import *import)
{
    sm_status status = SM_OK;
    sm_table *table = &import->table;
    const sm_table_import_options *options = import->options;
    const sm_csv *csv = &import->csv;
    sm_csv list = {0};
    import->features = sm_alloc(csv->columns * sizeof *import->features);
    if (options->features) {
        SM_TRY(read_list("features", options->features, &list));
        for (size_t i = 0; i < list.columns; i++) {
            SM_TRY(take_column(import, "features", list.names[i], FEATURE, &import->features[i]));
        }
        table->features = list.columns;
    }
    for (size_t c = 0; !options->features && c < csv->columns; c++) {
        if (import->roles[c] == NOTHING) {
            import->features[table->features++] = c;
        }
    }
    if (table->features == 0) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "%s: %s has no column left that would be a feature", command, options->path));
    }
    table->feature_names = sm_alloc_zeroed(table->features * sizeof *table->feature_names);
    for (size_t f = 0; f < table->features; f++) {
        table->feature_names[f] = sm_strdup(csv->names[import->features[f]]);
    }
done:
    sm_csv_free(&list);
    return status;
}

/* ---- targets --------------------------------------------------------------------------------------------------------- */

/* Its array stands beside others in the file. */
static sm_status check_name(const table_import *import, const char *option, const char *name)
{
    static const char ending[] = "_crc32c";
    size_t length = strlen(name), end = strlen(ending);
    int is_taken = strcmp(name, "features") == 0 || strcmp(name, "image") == 0 || strcmp(name, "name") == 0;
    if (length == 0 || length > 64 || strchr(name, '/') || *name == '.' || is_taken ||
        (length >= end && strcmp(name + length - end, ending) == 0)) {
        return sm_fail(SM_ERR_USAGE,
                       "%s: --%s: a target cannot be called '%s' in the file: NAME=COLUMN gives it another name (up to "
                       "64 letters, no '/')",
                       command, option, name);
    }
    for (int t = 0; t < import->table.target_count; t++) {
        if (strcmp(import->table.targets[t].name, name) == 0) {
            return sm_fail(SM_ERR_USAGE, "%s: --%s: two targets are called '%s'", command, option, name);
        }
    }
    return import->table.target_count < SM_TARGETS_MAX
               ? SM_OK
               : sm_fail(SM_ERR_USAGE, "%s: more than %d targets", command, SM_TARGETS_MAX);
}

/* Splits "NAME=A+B", where no column is called so. \param [out] columns  SM_COMPONENTS_MAX */
static sm_status find_columns(table_import *import, const char *option, const char *word, char **name, size_t *columns,
                              int *count)
{
    sm_status status = SM_OK;
    const char *equals = strchr(word, '=');
    size_t column;
    char *part = NULL;
    *count = 0;
    if (!equals || sm_csv_find(&import->csv, word, &column)) {
        *name = sm_strdup(word);
        SM_TRY(take_column(import, option, word, TARGET, &columns[(*count)++]));
        goto done;
    }
    *name = sm_format("%.*s", (int)(equals - word), word);
    for (const char *at = equals + 1;; at += strcspn(at, "+") + 1) {
        sm_free(part);
        int is_whole = sm_csv_find(&import->csv, at, &column); /* a column may have a plus in its name */
        size_t length = is_whole ? strlen(at) : strcspn(at, "+");
        part = sm_format("%.*s", (int)length, at);
        if (*count == SM_COMPONENTS_MAX) {
            SM_TRY(sm_fail(SM_ERR_USAGE, "%s: --%s: '%s' has more than %d columns", command, option, *name,
                           SM_COMPONENTS_MAX));
        }
        SM_TRY(take_column(import, option, part, TARGET, &columns[(*count)++]));
        if (is_whole || at[length] == '\0') {
            break;
        }
    }
done:
    sm_free(part);
    return status;
}

/* Real values: an item is known if all its components are. */
static sm_status read_reals(table_import *import, const size_t *columns, sm_table_target *own)
{
    sm_status status = SM_OK;
    size_t rows = import->csv.rows, components = (size_t)own->target.components;
    float *values = own->values = sm_alloc(rows * components * sizeof *values);
    for (size_t i = 0; i < rows * components; i++) {
        double value;
        SM_TRY(sm_csv_real(&import->csv, i / components, columns[i % components], SM_GREATEST_REAL, &value));
        values[i] = (float)value;
    }
done:
    return status;
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_numbers(const void *a, const void *b)
{
    double x = strtod(*(const char *const *)a, NULL), y = strtod(*(const char *const *)b, NULL);
    return x != y ? (x > y) - (x < y) : compare_words(a, b);
}

static int is_number(const char *word)
{
    char *end;
    strtod(word, &end);
    return end != word && *end == '\0';
}

/* The different texts of a column, numbers in their order, else by letters.
 * \return one block, freed with sm_free(), whose texts are the file's */
static char **list_classes(const sm_csv *csv, size_t column, size_t *count)
{
    char **words = sm_alloc((csv->rows + 1) * sizeof *words);
    size_t found = 0, kept = 0;
    int are_numbers = 1;
    for (size_t r = 0; r < csv->rows; r++) {
        const char *cell = sm_csv_cell(csv, r, column);
        if (!sm_csv_is_missing(cell)) {
            words[found++] = csv->cells[r * csv->columns + column];
            are_numbers = are_numbers && is_number(cell);
        }
    }
    qsort(words, found, sizeof *words, are_numbers ? compare_numbers : compare_words);
    for (size_t i = 0; i < found; i++) {
        if (kept == 0 || strcmp(words[kept - 1], words[i]) != 0) {
            words[kept++] = words[i];
        }
    }
    *count = kept;
    return words;
}

static sm_status read_classes(table_import *import, const size_t *columns, sm_table_target *own)
{
    const sm_csv *csv = &import->csv;
    size_t count, column = columns[0];
    uint8_t *ids = own->values = sm_alloc(csv->rows);
    char **words = own->class_names = list_classes(csv, column, &count);
    if (count < 1 || count > SM_CLASSES_MAX - 1) {
        return sm_fail(SM_ERR_INPUT, "%s: column '%s' has %zu different texts, expected 1 to %d classes", csv->path,
                       csv->names[column], count, SM_CLASSES_MAX - 1);
    }
    for (size_t r = 0; r < csv->rows; r++) {
        const char *cell = sm_csv_cell(csv, r, column);
        size_t c = 0;
        while (c < count && strcmp(words[c], cell) != 0) {
            c++;
        }
        ids[r] = c < count ? (uint8_t)c : SM_CLASS_IGNORED;
    }
    own->classes = (sm_class_list){.count = (int)count, .names = (const char *const *)words};
    own->target.classes = &own->classes;
    return SM_OK;
}

/* \param unit  NULL: none */
static sm_status add_target(table_import *import, const char *option, const char *word, sm_target_type type,
                            const char *unit)
{
    sm_status status = SM_OK;
    size_t columns[SM_COMPONENTS_MAX];
    char *name = NULL;
    int count;
    SM_TRY(find_columns(import, option, word, &name, columns, &count));
    SM_TRY(check_name(import, option, name));
    if (type == SM_TARGET_CLASS && count > 1) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "%s: --%s: '%s' has %d columns, expected one", command, option, name, count));
    }
    sm_table_target *own = &import->table.targets[import->table.target_count++];
    *own = (sm_table_target){.name = name, .unit = sm_strdup(unit ? unit : "")};
    name = NULL;
    own->target = (sm_target){.name = own->name,
                              .type = type,
                              .scope = SM_SCOPE_SAMPLE,
                              .components = count,
                              .unit = own->unit,
                              .least = -SM_GREATEST_REAL,
                              .most = SM_GREATEST_REAL};
    SM_TRY((type == SM_TARGET_CLASS ? read_classes : read_reals)(import, columns, own));
done:
    sm_free(name);
    return status;
}

/* Cells of a line of CSV, whose commas in quotes separate nothing. */
static size_t count_cells(const char *line)
{
    size_t cells = 1;
    int is_quoted = 0;
    for (; *line; line++) {
        is_quoted ^= *line == '"';
        cells += *line == ',' && !is_quoted;
    }
    return cells;
}

/* Units may be alike, which names of columns may not: the header is the line of the targets. */
static sm_status read_units(const char *targets, const char *text, size_t expected, sm_csv *units)
{
    size_t found = count_cells(text);
    if (found != expected) {
        return sm_fail(
            SM_ERR_USAGE,
            "%s: --units '%s': expected %zu %s, one of each of --targets '%s', in their order and empty where "
            "there is none; found %zu",
            command, text, expected, sm_plural((int64_t)expected, "unit", "units"), targets, found);
    }
    char *rows = sm_format("%s\n%s\n", targets, text);
    sm_status status = sm_csv_parse("--units", rows, units);
    sm_free(rows);
    return status == SM_OK
               ? SM_OK
               : sm_fail(SM_ERR_USAGE, "%s: --units '%s': quotes stand around the whole of a unit", command, text);
}

static sm_status add_targets(table_import *import, const char *option, const char *text, sm_target_type type,
                             const char *unit_text)
{
    sm_status status = SM_OK;
    sm_csv list = {0}, units = {0};
    if (!text) {
        return SM_OK;
    }
    SM_TRY(read_list(option, text, &list));
    SM_TRY(unit_text && *unit_text ? read_units(text, unit_text, list.columns, &units) : SM_OK);
    for (size_t i = 0; i < list.columns; i++) {
        SM_TRY(add_target(import, option, list.names[i], type, units.rows > 0 ? sm_csv_cell(&units, 0, i) : NULL));
    }
done:
    sm_csv_free(&list);
    sm_csv_free(&units);
    return status;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

static sm_status read_features(table_import *import)
{
    sm_status status = SM_OK;
    sm_table *table = &import->table;
    table->values = sm_alloc(table->rows * table->features * sizeof *table->values);
    for (size_t i = 0; i < table->rows * table->features; i++) {
        double value;
        SM_TRY(sm_csv_real(&import->csv, i / table->features, import->features[i % table->features], SM_GREATEST_REAL,
                           &value));
        table->values[i] = (float)value;
    }
done:
    if (status == SM_ERR_INPUT && !import->options->features) {
        char *why = sm_strdup(sm_error_message());
        status = sm_fail(status, "%s (all columns but targets are features; --features names those that are)", why);
        sm_free(why);
    }
    return status;
}

/* A row's name is its number, from 1, where no column says otherwise. */
static void name_rows(table_import *import, const char *column_name, size_t column)
{
    sm_table *table = &import->table;
    table->names = sm_alloc_zeroed(table->rows * sizeof *table->names);
    for (size_t r = 0; r < table->rows; r++) {
        const char *cell = column_name ? sm_csv_cell(&import->csv, r, column) : "";
        table->names[r] = *cell ? sm_strdup(cell) : sm_format("%zu", r + 1);
    }
}

static sm_status read_splits(table_import *import, size_t column)
{
    const sm_csv *csv = &import->csv;
    for (size_t r = 0; r < csv->rows; r++) {
        const char *cell = sm_csv_cell(csv, r, column);
        import->table.splits[r] = sm_split_of_word(cell);
        if (import->table.splits[r] < 0) {
            return sm_fail(SM_ERR_INPUT, "%s:%zu: column '%s': '%.40s' found, expected train, val or test", csv->path,
                           csv->lines[r], csv->names[column], cell);
        }
    }
    return SM_OK;
}

static int find_word(char *const *words, size_t count, const char *word)
{
    char *const *found = bsearch(&word, words, count, sizeof *words, compare_words);
    return (int)(found - words);
}

/* Groups are drawn, and their rows follow; without groups a row is one. */
static sm_status draw_splits(table_import *import, size_t group)
{
    sm_status status = SM_OK;
    const sm_table_import_options *options = import->options;
    const sm_csv *csv = &import->csv;
    sm_table *table = &import->table;
    double fractions[SM_USUAL_SPLITS] = {0};
    uint64_t seed;
    size_t count = 0;
    char **groups = sm_alloc(csv->rows * sizeof *groups);
    int *splits = sm_alloc(csv->rows * sizeof *splits);
    SM_TRY(sm_split_fractions_read(command, options->fractions, fractions));
    SM_TRY(sm_split_seed_read(command, options->seed, &seed));
    if (!options->group) {
        SM_TRY(
            sm_split_draw(options->path, (const char *const *)table->names, csv->rows, seed, fractions, table->splits));
        goto done;
    }
    for (size_t r = 0; r < csv->rows; r++) {
        groups[r] = csv->cells[r * csv->columns + group];
    }
    qsort(groups, csv->rows, sizeof *groups, compare_words);
    for (size_t r = 0; r < csv->rows; r++) {
        if (count == 0 || strcmp(groups[count - 1], groups[r]) != 0) {
            groups[count++] = groups[r];
        }
    }
    SM_TRY(sm_split_draw(options->path, (const char *const *)groups, count, seed, fractions, splits));
    for (size_t r = 0; r < csv->rows; r++) {
        table->splits[r] = splits[find_word(groups, count, sm_csv_cell(csv, r, group))];
    }
done:
    sm_free(groups);
    sm_free(splits);
    return status;
}

static sm_status split_rows(table_import *import, int has_column, size_t column, size_t group)
{
    const sm_table_import_options *options = import->options;
    sm_table *table = &import->table;
    table->splits = sm_alloc_zeroed(table->rows * sizeof *table->splits); /* train */
    if (has_column && options->fractions) {
        return sm_fail(SM_ERR_USAGE, "%s: --split is for rows without splits; column '%s' of %s says which theirs are",
                       command, options->split_column, options->path);
    }
    if (!options->fractions && (options->group || options->seed)) {
        return sm_fail(SM_ERR_USAGE, "%s: --%s goes with --split: nothing else is drawn", command,
                       options->group ? "group" : "seed");
    }
    if (has_column) {
        return read_splits(import, column);
    }
    if (options->fractions) {
        return draw_splits(import, group);
    }
    import->is_all_train = 1;
    return SM_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

/* Name, group and split of the rows are no features by themselves. */
static sm_status read_rows(table_import *import)
{
    sm_status status = SM_OK;
    const sm_table_import_options *options = import->options;
    size_t name = 0, group = 0, split = 0;
    int has_split = sm_csv_find(&import->csv, options->split_column, &split);
    if (has_split) {
        SM_TRY(take_column(import, "split-column", options->split_column, FACT, &split));
    }
    if (options->name) {
        SM_TRY(take_column(import, "name", options->name, FACT, &name));
    }
    if (options->group) {
        SM_TRY(take_column(import, "group", options->group, FACT, &group));
    }
    name_rows(import, options->name, name);
    SM_TRY(split_rows(import, has_split, split, group));
done:
    return status;
}

static void report(const table_import *import)
{
    const sm_table *table = &import->table;
    if (import->is_all_train) {
        sm_log_info("%s: no splits: all %zu %s train; --split 0.8,0.2 makes train and val", import->options->path,
                    table->rows, sm_plural((int64_t)table->rows, "row is", "rows are"));
    }
    size_t counts[SM_USUAL_SPLITS] = {0};
    for (size_t r = 0; r < table->rows; r++) {
        counts[table->splits[r]]++;
    }
    sm_log_info("%s: %zu %s (train %zu, val %zu, test %zu), %zu %s, %d %s", import->options->path, table->rows,
                sm_plural((int64_t)table->rows, "row", "rows"), counts[0], counts[1], counts[2], table->features,
                sm_plural((int64_t)table->features, "feature", "features"), table->target_count,
                sm_plural(table->target_count, "target", "targets"));
    for (size_t f = 0; f < table->features; f++) {
        size_t unknown = 0;
        for (size_t r = 0; r < table->rows; r++) {
            unknown += isnan(table->values[r * table->features + f]);
        }
        if (unknown > 0) {
            sm_log_info("%s: feature '%s' is unknown in %zu of %zu rows: there its mean is taken",
                        import->options->path, table->feature_names[f], unknown, table->rows);
        }
    }
}

static char *text_or_none(const char *text)
{
    return sm_strdup(text ? text : "");
}

/* What the file is made of, for one that is gone on with. */
static char *origin_of(const table_import *import)
{
    const sm_table_import_options *o = import->options;
    const char *const texts[] = {o->features, o->targets,      o->units,     o->classes, o->name,
                                 o->group,    o->split_column, o->fractions, o->seed};
    char *all = sm_strdup("");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *text = text_or_none(texts[i]), *more = sm_format("%s%s\n", all, text);
        sm_free(text);
        sm_free(all);
        all = more;
    }
    char *origin = sm_format("Sigmatic " SM_VERSION "\na table of CRC-32C %08x\n%s", import->checksum, all);
    sm_free(all);
    return origin;
}

static sm_status make_table(table_import *import)
{
    sm_status status = SM_OK;
    const sm_table_import_options *options = import->options;
    if (!options->targets && !options->classes) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "%s: nothing to learn: --targets names columns of numbers, --classes of classes",
                       command));
    }
    if (options->units && !options->targets) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "%s: --units are those of --targets, which are none", command));
    }
    SM_TRY(read_rows(import));
    SM_TRY(add_targets(import, "targets", options->targets, SM_TARGET_REAL, options->units));
    SM_TRY(add_targets(import, "classes", options->classes, SM_TARGET_CLASS, NULL));
    SM_TRY(name_features(import));
    SM_TRY(read_features(import));
    sm_table_standardise(&import->table, import->is_root ? options->path : NULL);
done:
    return status;
}

sm_status sm_table_import(sm_comm *comm, const sm_table_import_options *options)
{
    sm_status status = SM_OK;
    table_import import = {.options = options, .is_root = sm_comm_rank(comm) == 0};
    char *origin = NULL, *source = sm_format("a table: %s", options->path);
    SM_TRY(read_file(comm, &import));
    SM_TRY(sm_comm_agree(comm, make_table(&import)));
    origin = origin_of(&import);
    const sm_table_job job = {.output = options->output,
                              .source = source,
                              .origin = origin,
                              .overwrite = options->overwrite,
                              .stop = options->stop};
    SM_TRY(sm_table_write(comm, &import.table, &job));
    if (import.is_root) {
        report(&import);
    }
done:
    sm_free(origin);
    sm_free(source);
    sm_free(import.roles);
    sm_free(import.features);
    sm_table_clear(&import.table);
    sm_csv_free(&import.csv);
    return status;
}
