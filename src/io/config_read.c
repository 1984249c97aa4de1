/* Files, texts and --set into a config, line by line: an indented line is a line of its own, and an empty or unknown
 * section is noticed. */
#define _XOPEN_SOURCE 700
#include "io/config_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names and messages ------------------------------------------------------------------------------------------ */

/* \return the declared name ("task.NAME") of [section], or NULL. */
static const char *declared_section(const sm_config *config, const char *section)
{
    for (size_t i = 0; i < config->key_count; i++) {
        if (sm_config_section_matches(config->keys[i]->section, section)) {
            return config->keys[i]->section;
        }
    }
    return NULL;
}

static int has_instance(const sm_config *config, const char *section)
{
    for (size_t i = 0; i < config->instance_count; i++) {
        if (strcmp(config->instances[i], section) == 0) {
            return 1;
        }
    }
    return 0;
}

/* A position for messages: "file:line", "--set". */
typedef struct {
    const char *name;
    int line; /* 0: none */
} place;

static char *place_text(place at)
{
    return at.line ? sm_format("%s:%d", at.name, at.line) : sm_strdup(at.name);
}

static sm_status fail_at(place at, const char *format, ...) __attribute__((format(printf, 2, 3)));

static sm_status fail_at(place at, const char *format, ...)
{
    char text[1536];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return at.line ? sm_fail(SM_ERR_CONFIG, "%s:%d: %s", at.name, at.line, text)
                   : sm_fail(SM_ERR_CONFIG, "%s: %s", at.name, text);
}

static void append(char **list, const char *before, const char *word, const char *behind)
{
    char *longer = sm_format("%s%s%s%s%s", *list, **list ? ", " : "", before, word, behind);
    sm_free(*list);
    *list = longer;
}

/* The declared sections, each once, as "[a], [b]". */
static char *all_sections(const sm_config *config)
{
    char *list = sm_strdup("");
    for (size_t i = 0; i < config->key_count; i++) {
        int earlier = 0;
        for (size_t j = 0; j < i && !earlier; j++) {
            earlier = strcmp(config->keys[i]->section, config->keys[j]->section) == 0;
        }
        if (!earlier) {
            append(&list, "[", config->keys[i]->section, "]");
        }
    }
    return list;
}

static sm_status unknown_section(const sm_config *config, const char *section, place at)
{
    sm_nearest nearest = {.wanted = section};
    for (size_t i = 0; i < config->key_count; i++) {
        const char *known = config->keys[i]->section;
        assert(known);
        size_t family = strlen(known) - (sm_config_is_template(known) ? strlen(SM_CONFIG_TEMPLATE) - 1 : 0);
        if (sm_config_is_template(known) && strncmp(section, known, family) == 0) {
            return fail_at(at, "[%s]: '%s' is not a name: expected a letter, then letters, digits and '_'", section,
                           section + family);
        }
        sm_nearest_consider(&nearest, known);
    }
    char *known = all_sections(config);
    sm_status status = nearest.best ? fail_at(at, "unknown section [%s], did you mean [%s]?", section, nearest.best)
                                    : fail_at(at, "unknown section [%s], expected one of %s", section, known);
    sm_free(known);
    return status;
}

static char *all_keys_of(const sm_config *config, const char *section)
{
    char *list = sm_strdup("");
    for (size_t i = 0; i < config->entry_count; i++) {
        if (strcmp(config->entries[i].section, section) == 0) {
            append(&list, "", config->entries[i].key->name, "");
        }
    }
    return list;
}

static sm_status unknown_key(const sm_config *config, const char *section, const char *name, place at)
{
    sm_nearest nearest = {.wanted = name};
    for (size_t i = 0; i < config->entry_count; i++) {
        if (strcmp(config->entries[i].section, section) == 0) {
            sm_nearest_consider(&nearest, config->entries[i].key->name);
        }
    }
    if (nearest.best) {
        return fail_at(at, "[%s] has no key '%s', did you mean '%s'?", section, name, nearest.best);
    }
    for (size_t i = 0; i < config->key_count; i++) {
        if (strcmp(config->keys[i]->name, name) == 0) {
            return fail_at(at, "[%s] has no key '%s', but [%s] has", section, name, config->keys[i]->section);
        }
    }
    char *known = all_keys_of(config, section);
    sm_status status = fail_at(at, "[%s] has no key '%s', expected one of %s", section, name, known);
    sm_free(known);
    return status;
}

static int same_family(const char *a, const char *b)
{
    size_t length = strcspn(a, ".");
    return length == strcspn(b, ".") && strncmp(a, b, length) == 0;
}

static void add_instance(sm_config *config, const char *section)
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
    sm_config_add_section(config, section);
}

/* Checks that [section] is declared; makes it if it is a new instance. */
static sm_status enter_section(sm_config *config, const char *section, place at)
{
    const char *declared = declared_section(config, section);
    if (!declared) {
        return unknown_section(config, section, at);
    }
    if (sm_config_is_template(declared) && !has_instance(config, section)) {
        add_instance(config, section);
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
                        int takes_former, place at)
{
    sm_config_entry *e = sm_config_find(config, section, name);
    if (!e) {
        return unknown_key(config, section, name, at);
    }
    if (e->value.file == file && e->value.origin) {
        return fail_at(at, "[%s] %s stands twice in this file, first at %s", section, name, e->value.origin);
    }
    const char *present = present_word(config, e->key, text);
    if (present && !takes_former) {
        return fail_at(at, "[%s] %s = '%s': %s is now called %s", section, name, text, text, present);
    }
    text = present ? present : text;
    const char *problem = not_writable(text);
    if (problem) {
        return fail_at(at, "[%s] %s = %.500s: %s", section, name, text, problem);
    }
    sm_config_value parsed = {.origin = place_text(at), .file = file};
    sm_config_reason why;
    const char *allowed = sm_config_value_parse(e->key, text, &parsed, &why);
    if (allowed) {
        sm_config_value_clear(&parsed);
        return fail_at(at, "[%s] %s = '%.500s': %s", section, name, text, allowed);
    }
    sm_config_value_clear(&e->value);
    e->value = parsed;
    return SM_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The files that are being read, innermost first: a file among them may not be included again. */
typedef struct chain {
    const char *real_path;
    const struct chain *outer;
} chain;

typedef struct {
    sm_config *config;
    const char *name;   /* for messages */
    const chain *chain; /* NULL: text, which cannot include */
    int file;
    int line;
    char *section; /* NULL before the first */
} reader;

static place here(const reader *r)
{
    return (place){r->name, r->line};
}

static sm_status read_section(reader *r, const char *line)
{
    const char *end = strchr(line, ']');
    if (!end) {
        return fail_at(here(r), "'%s': ']' is missing", line);
    }
    const char *rest = end + 1 + strspn(end + 1, " \t");
    if (*rest && *rest != ';' && *rest != '#') {
        return fail_at(here(r), "'%s': nothing but a comment may follow ']'", line);
    }
    sm_free(r->section);
    r->section = sm_config_trimmed(line + 1, (size_t)(end - line - 1));
    return enter_section(r->config, r->section, here(r));
}

static sm_status read_file(sm_config *config, const char *path, const chain *outer);

static sm_status include(reader *r, const char *text)
{
    if (!r->chain) {
        return fail_at(here(r), "include is not possible here");
    }
    char *path = NULL;
    const char *problem = sm_config_text_parse(text, 1, &path), *slash = strrchr(r->name, '/');
    if (problem) {
        return fail_at(here(r), "include = %s: %s", text, problem);
    }
    int is_relative = *path != '/' && slash;
    char *joined = sm_format("%.*s%s", is_relative ? (int)(slash - r->name) + 1 : 0, r->name, path);
    sm_status status = SM_OK;
    if (!sm_file_exists(joined)) {
        status = fail_at(here(r), "include = %s: there is no file %s", path, joined);
    } else {
        char *real_path = realpath(joined, NULL);
        for (const chain *c = r->chain; c && real_path && status == SM_OK; c = c->outer) {
            if (strcmp(c->real_path, real_path) == 0) {
                status = fail_at(here(r), "include = %s: %s is already being read: it includes itself", path, joined);
            }
        }
        free(real_path);
    }
    if (status == SM_OK) {
        status = read_file(r->config, joined, r->chain);
    }
    sm_free(joined);
    sm_free(path);
    return status;
}

static sm_status read_pair(reader *r, const char *name, const char *text)
{
    int is_include = strcmp(name, "include") == 0;
    if (r->section && is_include) {
        return fail_at(here(r), "include may only stand before the first [section]");
    }
    if (!r->section && !is_include) {
        return fail_at(here(r), "'%s' stands before the first [section]; only include may", name);
    }
    return is_include ? include(r, text) : assign(r->config, r->section, name, text, r->file, !r->chain, here(r));
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
        return fail_at(here(r), "'%s' is neither [section] nor key = value", line);
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

static sm_status read_text(sm_config *config, const char *name, const char *text, const chain *files)
{
    sm_status status = SM_OK;
    reader r = {.config = config, .name = name, .chain = files, .file = ++config->files};
    text += strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    while (*text != '\0' && status == SM_OK) {
        size_t length = strcspn(text, "\n");
        char *line = sm_config_trimmed(text, length);
        r.line++;
        status = read_line(&r, line);
        sm_free(line);
        text += length + (text[length] == '\n');
    }
    sm_free(r.section);
    return status;
}

static sm_status read_file(sm_config *config, const char *path, const chain *outer)
{
    char *text = NULL;
    sm_status status = sm_file_read_text(path, &text);
    if (status == SM_OK) {
        char *real_path = realpath(path, NULL);
        status = read_text(config, path, text, &(chain){real_path ? real_path : path, outer});
        free(real_path);
    }
    sm_free(text);
    return status;
}

sm_status sm_config_read(sm_config *config, const char *path)
{
    return read_file(config, path, NULL);
}

sm_status sm_config_read_text(sm_config *config, const char *name, const char *text)
{
    return read_text(config, name, text, NULL);
}

sm_status sm_config_set(sm_config *config, const char *assignment)
{
    static const place at = {"--set", 0};
    sm_status status = SM_OK;
    char *name = NULL, *text = NULL;
    const char *equals = strchr(assignment, '=');

    if (!equals) {
        return fail_at(at, "'%s': expected section.key=value", assignment);
    }
    name = sm_config_trimmed(assignment, (size_t)(equals - assignment));
    text = sm_config_trimmed(equals + 1, strlen(equals + 1));
    char *dot = strrchr(name, '.');
    if (!dot || dot == name || dot[1] == '\0') {
        status = fail_at(at, "'%s': expected section.key=value", assignment);
        goto done;
    }
    *dot = '\0';
    SM_TRY(enter_section(config, name, at));
    SM_TRY(assign(config, name, dot + 1, text, ++config->files, 0, at));
done:
    sm_free(name);
    sm_free(text);
    return status;
}
