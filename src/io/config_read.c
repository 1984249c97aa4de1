/* Files, texts and --set into a config, line by line: an indented line is a line of its own, and an empty or unknown
 * section is noticed. */
#define _XOPEN_SOURCE 700
#include "io/config_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- sections and values ------------------------------------------------------------------------------------------ */

static int has_instance(const sm_config *config, const char *section)
{
    for (size_t i = 0; i < config->instance_count; i++) {
        if (strcmp(config->instances[i], section) == 0) {
            return 1;
        }
    }
    return 0;
}

static int same_family(const char *a, const char *b)
{
    size_t length = strcspn(a, ".");
    return length == strcspn(b, ".") && strncmp(a, b, length) == 0;
}

static void add_instance(sm_config *config, const char *section, sm_config_place first)
{
    size_t at = config->instance_count++;
    config->instances = sm_realloc(config->instances, config->instance_count * sizeof *config->instances);
    int has_family = 0;
    for (size_t i = 0; i < at; i++) {
        has_family |= same_family(config->instances[i], section);
    }
    for (; has_family && !same_family(config->instances[at - 1], section); at--) {
        config->instances[at] = config->instances[at - 1];
    }
    config->instances[at] = sm_strdup(section);
    size_t entry = config->entry_count;
    sm_config_add_section(config, section);
    for (; entry < config->entry_count; entry++) {
        config->entries[entry].begun = sm_config_place_text(first);
    }
}

/* Checks that [section] is declared; makes it if it is a new instance. */
static sm_status enter_section(sm_config *config, const char *section, sm_config_place at)
{
    const char *declared = sm_config_declared(config, section);
    if (!declared) {
        return sm_config_unknown_section(config, section, at);
    }
    if (sm_config_is_template(declared) && !has_instance(config, section)) {
        add_instance(config, section, at);
    }
    return SM_OK;
}

/* The resolved text must be readable again: no line ends and no comment begins inside a value. */
static const char *not_writable(const char *text)
{
    if (text[strcspn(text, "\r\n")] != '\0') {
        return "a value has no line breaks";
    }
    return *sm_config_value_end(text) != '\0'
               ? "';' or '#' after a blank begins a comment, unless it stands in \"quotes\""
               : NULL;
}

/* \return the word that `text` is now called as a choice of this key, NULL if it is no former word. */
static const char *present_word(const sm_config *config, const sm_key *key, const char *text)
{
    for (size_t i = 0; i < config->former_count; i++) {
        const sm_key *row = config->former[i];
        if (strcmp(row->section, key->section) == 0 && strcmp(row->name, key->name) == 0 &&
            strcmp(row->choices, text) == 0) {
            return row->fallback;
        }
    }
    return NULL;
}

/* \param takes_former  former words of choices are read as the present ones, else refused */
static sm_status assign(sm_config *config, const char *section, const char *name, const char *text, int file,
                        int takes_former, sm_config_place at)
{
    sm_config_entry *e = sm_config_find(config, section, name);
    if (!e) {
        return sm_config_unknown_key(config, section, name, at);
    }
    if (e->value.file == file && e->value.origin) {
        return sm_config_fail_at(at, "[%s] %s stands twice in this file, first at %s", section, name, e->value.origin);
    }
    const char *present = present_word(config, e->key, text);
    if (present && !takes_former) {
        return sm_config_fail_at(at, "[%s] %s = '%s': %s is now called %s", section, name, text, text, present);
    }
    text = present ? present : text;
    const char *problem = not_writable(text);
    if (problem) {
        return sm_config_fail_at(at, "[%s] %s = %.500s: %s", section, name, text, problem);
    }
    sm_config_value parsed = {.origin = sm_config_place_text(at), .file = file};
    sm_config_reason why;
    const char *allowed = sm_config_value_parse(e->key, text, &parsed, &why);
    if (allowed) {
        sm_config_value_clear(&parsed);
        return sm_config_fail_at(at, "[%s] %s = '%.500s': %s", section, name, text, allowed);
    }
    sm_config_value_clear(&e->value);
    e->value = parsed;
    return SM_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* A file of one sm_config_read(). */
typedef struct {
    char *real_path;
    char *origin; /* of the line that includes it; NULL: the first file */
    int is_open;
} file_read;

/* A file is read once: what it says twice could only undo what was said in between. That also bounds the time. */
typedef struct {
    file_read *files;
    size_t count, open;
} reading;

enum { MOST_OPEN = 64 }; /* files inside each other */

typedef struct {
    sm_config *config;
    const char *name; /* for messages */
    reading *reading; /* NULL: text, which cannot include */
    int file;
    int line;
    char *section;  /* NULL before the first */
    int is_unknown; /* 1: no such section; what stands in it is passed over */
    char *mistakes; /* so far, a line each; NULL: none */
} reader;

static sm_config_place here(const reader *r)
{
    return (sm_config_place){r->name, r->line};
}

static sm_status read_section(reader *r, const char *line)
{
    const char *end = strchr(line, ']');
    if (!end) {
        return sm_config_fail_at(here(r), "'%s': ']' is missing", line);
    }
    const char *rest = end + 1 + strspn(end + 1, " \t");
    if (*rest && *rest != ';' && *rest != '#') {
        return sm_config_fail_at(here(r), "'%s': nothing but a comment may follow ']'", line);
    }
    sm_free(r->section);
    r->section = sm_config_trimmed(line + 1, (size_t)(end - line - 1));
    sm_status status = enter_section(r->config, r->section, here(r));
    r->is_unknown = status != SM_OK;
    return status;
}

static sm_status read_file(sm_config *config, const char *path, const char *origin, reading *files);

/* A file that is there, the first time that it is included? */
static sm_status check_include(const reader *r, const char *path, const char *joined)
{
    if (!sm_file_exists(joined)) {
        return sm_config_fail_at(here(r), "include = %s: there is no file %s", path, joined);
    }
    sm_status status = SM_OK;
    char *real_path = realpath(joined, NULL);
    for (size_t i = 0; i < r->reading->count && real_path && status == SM_OK; i++) {
        const file_read *f = &r->reading->files[i];
        if (strcmp(f->real_path, real_path) == 0) {
            status = f->is_open
                         ? sm_config_fail_at(here(r), "include = %s: %s is already being read: it includes itself",
                                             path, joined)
                         : sm_config_fail_at(
                               here(r),
                               "include = %s: %s is included already, at %s: once is enough, a second time would "
                               "undo what stands between",
                               path, joined, f->origin);
        }
    }
    free(real_path);
    if (status == SM_OK && r->reading->open >= MOST_OPEN) {
        status =
            sm_config_fail_at(here(r), "include = %s: files include each other more than %d deep", path, MOST_OPEN);
    }
    return status;
}

static sm_status include(reader *r, const char *text)
{
    if (!r->reading) {
        return sm_config_fail_at(here(r), "include is not possible here");
    }
    char *path = NULL;
    const char *problem = sm_config_text_parse(text, 1, &path), *slash = strrchr(r->name, '/');
    if (problem) {
        return sm_config_fail_at(here(r), "include = %s: %s", text, problem);
    }
    int is_relative = *path != '/' && slash;
    char *joined = sm_format("%.*s%s", is_relative ? (int)(slash - r->name) + 1 : 0, r->name, path);
    char *origin = sm_config_place_text(here(r));
    sm_status status = check_include(r, path, joined);
    if (status == SM_OK) {
        status = read_file(r->config, joined, origin, r->reading);
    }
    sm_free(origin);
    sm_free(joined);
    sm_free(path);
    return status;
}

static sm_status read_pair(reader *r, const char *name, const char *text)
{
    int is_include = strcmp(name, "include") == 0;
    if (r->section && is_include) {
        return sm_config_fail_at(here(r), "include may only stand before the first [section]");
    }
    if (!r->section && !is_include) {
        return sm_config_fail_at(here(r), "'%s' stands before the first [section]; only include may", name);
    }
    if (r->is_unknown) {
        return SM_OK;
    }
    return is_include ? include(r, text) : assign(r->config, r->section, name, text, r->file, !r->reading, here(r));
}

/* A line without blanks around it. */
static sm_status read_line(reader *r, const char *line)
{
    if (*line == '\0' || *line == ';' || *line == '#') {
        return SM_OK;
    }
    if (*line == '[') {
        return read_section(r, line);
    }
    size_t length = strcspn(line, "=:");
    if (line[length] == '\0') {
        return sm_config_fail_at(here(r), "'%s' is neither [section] nor key = value", line);
    }
    const char *value = line + length + 1;
    value += strspn(value, " \t");
    char *name = sm_config_trimmed(line, length);
    char *text = sm_config_trimmed(value, (size_t)(sm_config_value_end(value) - value));
    sm_status status = read_pair(r, name, text);
    sm_free(name);
    sm_free(text);
    return status;
}

/* A config may have several mistakes, which are told at once. What has no section yet may be no config at all.
 * \return 1 if reading goes on behind the mistake that the last message tells */
static int note_mistake(reader *r)
{
    enum { MOST_BYTES = 1500 }; /* that a message holds */
    sm_append_text(&r->mistakes, "\n", "%s", sm_error_message());
    return r->section && strlen(r->mistakes) < MOST_BYTES;
}

static sm_status read_text(sm_config *config, const char *name, const char *text, reading *files)
{
    sm_status status = SM_OK;
    reader r = {.config = config, .name = name, .reading = files, .file = ++config->files};
    text += strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    int goes_on = 1;
    while (*text != '\0' && goes_on) {
        size_t length = strcspn(text, "\n");
        char *line = sm_config_trimmed(text, length);
        r.line++;
        status = read_line(&r, line);
        goes_on = status == SM_OK || note_mistake(&r);
        sm_free(line);
        text += length + (text[length] == '\n');
    }
    if (r.mistakes) {
        status = sm_fail(status == SM_OK ? SM_ERR_CONFIG : status, "%s", r.mistakes);
    }
    sm_free(r.mistakes);
    sm_free(r.section);
    return status;
}

/* Notes the file and reads it, and what it includes. */
static sm_status read_file(sm_config *config, const char *path, const char *origin, reading *files)
{
    char *text = NULL;
    sm_status status = sm_file_read_text(path, &text);
    if (status == SM_OK) {
        char *real_path = realpath(path, NULL);
        size_t at = files->count++;
        files->files = sm_realloc(files->files, files->count * sizeof *files->files);
        files->files[at] = (file_read){sm_strdup(real_path ? real_path : path), origin ? sm_strdup(origin) : NULL, 1};
        free(real_path);
        files->open++;
        status = read_text(config, path, text, files);
        files->open--;
        files->files[at].is_open = 0;
    }
    sm_free(text);
    return status;
}

static void note_source(sm_config *config, const char *name)
{
    sm_free(config->source);
    config->source = sm_strdup(name);
}

sm_status sm_config_read(sm_config *config, const char *path)
{
    note_source(config, path);
    reading files = {0};
    config->first_included = config->files + 2; /* the file itself comes before them */
    sm_status status = read_file(config, path, NULL, &files);
    config->last_included = config->files;
    for (size_t i = 0; i < files.count; i++) {
        sm_free(files.files[i].real_path);
        sm_free(files.files[i].origin);
    }
    sm_free(files.files);
    return status;
}

sm_status sm_config_read_text(sm_config *config, const char *name, const char *text)
{
    note_source(config, name);
    return read_text(config, name, text, NULL);
}

static const sm_config_place at_set = {"--set", 0};

/* An assignment without a section: which one was meant? */
static sm_status lacks_section(const sm_config *config, const char *assignment, const char *name)
{
    char *expected = sm_format("'%s': expected section.key=value", assignment);
    const sm_key *word = sm_config_elsewhere(config, NULL, name);
    char *guess = word ? NULL : sm_config_guess(config, name);
    sm_status status = word    ? sm_config_called_elsewhere(word, expected, at_set)
                       : guess ? sm_config_fail_at(at_set, "%s, did you mean %s=...?", expected, guess)
                               : sm_config_fail_at(at_set, "%s", expected);
    sm_free(expected);
    sm_free(guess);
    return status;
}

/* "train.batch_size": what others call a key says more than that there is no such section. */
static sm_status set_section(sm_config *config, const char *section, const char *key)
{
    const sm_key *word = sm_config_declared(config, section) ? NULL : sm_config_elsewhere(config, NULL, key);
    if (!word) {
        return enter_section(config, section, at_set);
    }
    char *unknown = sm_format("there is no [%s] %s", section, key);
    sm_status status = sm_config_called_elsewhere(word, unknown, at_set);
    sm_free(unknown);
    return status;
}

sm_status sm_config_set(sm_config *config, const char *assignment)
{
    sm_status status = SM_OK;
    char *name = NULL, *text = NULL;
    const char *equals = strchr(assignment, '=');

    if (!equals) {
        return sm_config_fail_at(at_set, "'%s': expected section.key=value", assignment);
    }
    name = sm_config_trimmed(assignment, (size_t)(equals - assignment));
    text = sm_config_trimmed(equals + 1, strlen(equals + 1));
    char *dot = strrchr(name, '.');
    if (!dot || dot == name || dot[1] == '\0') {
        status = lacks_section(config, assignment, name);
        goto done;
    }
    *dot = '\0';
    SM_TRY(set_section(config, name, dot + 1));
    SM_TRY(assign(config, name, dot + 1, text, ++config->files, 0, at_set));
done:
    sm_free(name);
    sm_free(text);
    return status;
}
