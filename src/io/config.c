/* Values are parsed and checked when they arrive, never when they are asked for: a config that was read is right. */
#define _XOPEN_SOURCE 700
#include "io/config_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- sections and keys ------------------------------------------------------------------------------------------- */

int sm_config_is_template(const char *section)
{
    size_t length = strlen(section), ending = strlen(SM_CONFIG_TEMPLATE);
    return length > ending && strcmp(section + length - ending, SM_CONFIG_TEMPLATE) == 0;
}

static int is_identifier(const char *text)
{
    if (!isalpha((unsigned char)*text) && *text != '_') {
        return 0;
    }
    while (isalnum((unsigned char)*text) || *text == '_') {
        text++;
    }
    return *text == '\0';
}

int sm_config_section_matches(const char *section, const char *name)
{
    if (!sm_config_is_template(section)) {
        return strcmp(section, name) == 0;
    }
    size_t family = strlen(section) - strlen(SM_CONFIG_TEMPLATE) + 1; /* with its dot */
    return strncmp(section, name, family) == 0 && is_identifier(name + family);
}

int sm_config_begins_section(const sm_config *config, size_t i)
{
    size_t first = 0;
    while (strcmp(config->keys[first]->section, config->keys[i]->section) != 0) {
        first++;
    }
    return first == i;
}

sm_config_entry *sm_config_find(const sm_config *config, const char *section, const char *key)
{
    for (size_t i = 0; i < config->entry_count; i += config->entries[i].in_section) {
        sm_config_entry *entries = &config->entries[i];
        for (size_t k = 0; strcmp(entries->section, section) == 0 && k < entries->in_section; k++) {
            if (strcmp(entries[k].key->name, key) == 0) {
                return &entries[k];
            }
        }
    }
    return NULL;
}

static sm_config_entry *add_entry(sm_config *config)
{
    if (config->entry_count == config->entry_capacity) {
        config->entry_capacity = config->entry_capacity ? 2 * config->entry_capacity : 256;
        config->entries = sm_realloc(config->entries, config->entry_capacity * sizeof *config->entries);
    }
    return &config->entries[config->entry_count++];
}

void sm_config_add_section(sm_config *config, const char *section)
{
    size_t first = config->entry_count;
    for (size_t i = 0; i < config->key_count; i++) {
        const sm_key *key = config->keys[i];
        if (!sm_config_section_matches(key->section, section)) {
            continue;
        }
        for (size_t k = first; k < config->entry_count; k++) {
            assert(strcmp(config->entries[k].key->name, key->name) != 0 && "a key declared twice");
        }
        sm_config_entry *e = add_entry(config);
        *e = (sm_config_entry){.section = sm_strdup(section), .key = key};
        if (key->fallback) {
            sm_config_reason why;
            const char *allowed = sm_config_value_parse(key, key->fallback, &e->value, &why);
            assert(!allowed && "a default that its own row refuses");
            (void)allowed;
        }
    }
    for (size_t i = first; i < config->entry_count; i++) {
        config->entries[i].in_section = config->entry_count - first;
    }
}

/* ---- the config -------------------------------------------------------------------------------------------------- */

static void add_row(const sm_key ***rows, size_t *count, const sm_key *row)
{
    *rows = sm_realloc(*rows, (*count + 1) * sizeof **rows);
    (*rows)[(*count)++] = row;
}

sm_config *sm_config_new(const sm_key *const *tables)
{
    sm_config *config = sm_alloc_zeroed(sizeof *config);
    for (; *tables; tables++) {
        for (const sm_key *key = *tables; key->section; key++) {
            assert((key->type != SM_KEY_CHOICE || key->choices) && "a choice without choices");
            if (key->type == SM_KEY_FORMER) {
                add_row(&config->former, &config->former_count, key);
            } else if (key->type == SM_KEY_ELSEWHERE) {
                add_row(&config->elsewhere, &config->elsewhere_count, key);
            } else {
                add_row(&config->keys, &config->key_count, key);
            }
        }
    }
    for (size_t i = 0; i < config->key_count; i++) {
        const char *section = config->keys[i]->section;
        if (!sm_config_is_template(section) && !sm_config_find(config, section, config->keys[i]->name)) {
            sm_config_add_section(config, section);
        }
    }
    return config;
}

void sm_config_free(sm_config *config)
{
    if (!config) {
        return;
    }
    for (size_t i = 0; i < config->entry_count; i++) {
        sm_config_value_clear(&config->entries[i].value);
        sm_free(config->entries[i].section);
        sm_free(config->entries[i].begun);
    }
    for (size_t i = 0; i < config->instance_count; i++) {
        sm_free(config->instances[i]);
    }
    sm_free(config->keys);
    sm_free(config->former);
    sm_free(config->elsewhere);
    sm_free(config->entries);
    sm_free(config->instances);
    sm_free(config->source);
    sm_free(config);
}

/* The instance that was meant by one which --set made: another of its family. */
static const char *meant_instance(const sm_config *config, const sm_config_entry *e)
{
    sm_nearest nearest = {.wanted = e->section};
    size_t family = strcspn(e->section, ".") + 1;
    for (size_t i = 0; i < config->instance_count && e->begun && strcmp(e->begun, "--set") == 0; i++) {
        const char *other = config->instances[i];
        if (strncmp(other, e->section, family) == 0 && strcmp(other, e->section) != 0) {
            sm_nearest_consider(&nearest, other);
        }
    }
    return nearest.best;
}

sm_status sm_config_check(const sm_config *config)
{
    for (size_t i = 0; i < config->entry_count; i++) {
        const sm_config_entry *e = &config->entries[i];
        if (!e->value.text) {
            sm_config_reason why;
            const char *place = e->begun ? e->begun : config->source, *meant = meant_instance(config, e);
            return sm_fail(SM_ERR_CONFIG, "%s%s[%s] %s is required (%s): %s%s%s%s", place ? place : "",
                           place ? ": " : "", e->section, e->key->name, e->key->help ? e->key->help : "no default",
                           sm_config_allowed(e->key, &why), meant ? "; or did you mean [" : "", meant ? meant : "",
                           meant ? "]?" : "");
        }
    }
    return SM_OK;
}

char *sm_config_text(const sm_config *config)
{
    size_t bytes = 0;
    char *text = NULL;
    FILE *stream = open_memstream(&text, &bytes);
    if (!stream) {
        sm_abort("out of memory for the text of the configuration");
    }
    const char *section = "";
    for (size_t i = 0; i < config->entry_count; i++) {
        const sm_config_entry *e = &config->entries[i];
        if (strcmp(section, e->section) != 0) {
            fprintf(stream, "%s[%s]\n", *section ? "\n" : "", e->section);
            section = e->section;
        }
        if (e->value.text) {
            fprintf(stream, "%s = %s\n", e->key->name, e->value.text);
        }
    }
    fclose(stream);
    char *copy = sm_strdup(text);
    free(text);
    return copy;
}

size_t sm_config_sections(const sm_config *config, const char *family, const char *const **sections)
{
    size_t length = strlen(family), count = 0;
    for (size_t i = 0; i < config->instance_count; i++) {
        const char *section = config->instances[i];
        if (strncmp(section, family, length) == 0 && section[length] == '.') {
            if (count == 0 && sections) {
                *sections = (const char *const *)&config->instances[i];
            }
            count++;
        }
    }
    return count;
}

const char *sm_config_instance(const char *section)
{
    const char *dot = strchr(section, '.');
    return dot ? dot + 1 : section;
}

static const sm_config_value *value_of(const sm_config *config, const char *section, const char *key,
                                       unsigned allowed_types)
{
    const sm_config_entry *e = sm_config_find(config, section, key);
    assert(e && "an undeclared key");
    assert((allowed_types & 1u << e->key->type) && "a key of another type");
    assert(e->value.text && "a required key without a value: sm_config_check() comes first");
    (void)allowed_types;
    return &e->value;
}

int sm_config_bool(const sm_config *config, const char *section, const char *key)
{
    return (int)value_of(config, section, key, 1u << SM_KEY_BOOL)->integer;
}

int64_t sm_config_integer(const sm_config *config, const char *section, const char *key)
{
    return value_of(config, section, key, 1u << SM_KEY_INTEGER)->integer;
}

double sm_config_real(const sm_config *config, const char *section, const char *key)
{
    return value_of(config, section, key, 1u << SM_KEY_REAL)->real;
}

const char *sm_config_text_of(const sm_config *config, const char *section, const char *key)
{
    const sm_config_value *v =
        value_of(config, section, key, 1u << SM_KEY_TEXT | 1u << SM_KEY_CHOICE | 1u << SM_KEY_PATH);
    return v->meant ? v->meant : v->text;
}

int sm_config_choice(const sm_config *config, const char *section, const char *key)
{
    return (int)value_of(config, section, key, 1u << SM_KEY_CHOICE)->integer;
}

const int64_t *sm_config_integers(const sm_config *config, const char *section, const char *key, size_t *count)
{
    const sm_config_value *v = value_of(config, section, key, 1u << SM_KEY_INTEGERS);
    *count = v->count;
    return v->integers;
}

const double *sm_config_reals(const sm_config *config, const char *section, const char *key, size_t *count)
{
    const sm_config_value *v = value_of(config, section, key, 1u << SM_KEY_REALS);
    *count = v->count;
    return v->reals;
}

const char *const *sm_config_texts(const sm_config *config, const char *section, const char *key, size_t *count)
{
    const sm_config_value *v = value_of(config, section, key, 1u << SM_KEY_TEXTS | 1u << SM_KEY_PATHS);
    *count = v->count;
    return (const char *const *)v->texts;
}

sm_status sm_config_name_key(const sm_config *config, const char *section, const char *key, sm_status status)
{
    if (status != SM_OK) {
        const sm_config_entry *e = sm_config_find(config, section, key);
        assert(e && "an undeclared key");
        const char *origin = e->value.origin;
        char *why = sm_strdup(sm_error_message());
        sm_fail(status, "%s%s[%s] %s: %s", origin ? origin : "", origin ? ": " : "", section, key, why);
        sm_free(why);
    }
    return status;
}

sm_status(sm_config_fail)(const sm_config *config, const char *section, const char *key, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const sm_config_entry *e = sm_config_find(config, section, key);
    assert(e && "an undeclared key");
    const char *value = e->value.text ? e->value.text : "";
    return e->value.origin ? sm_fail(SM_ERR_CONFIG, "%s: [%s] %s = %s: %s", e->value.origin, section, key, value, text)
           : *value        ? sm_fail(SM_ERR_CONFIG, "[%s] %s = %s, its default: %s", section, key, value, text)
                           : sm_fail(SM_ERR_CONFIG, "[%s] %s is not set: %s", section, key, text);
}
