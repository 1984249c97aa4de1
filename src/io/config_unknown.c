/* What is answered to a section or key that no table declares: the nearest one that there is, or all. */
#include "io/config_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- places ------------------------------------------------------------------------------------------------------- */

char *sm_config_place_text(sm_config_place at)
{
    return at.line ? sm_format("%s:%d", at.name, at.line) : sm_strdup(at.name);
}

sm_status sm_config_fail_at(sm_config_place at, const char *format, ...)
{
    char text[1536];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return at.line ? sm_fail(SM_ERR_CONFIG, "%s:%d: %s", at.name, at.line, text)
                   : sm_fail(SM_ERR_CONFIG, "%s: %s", at.name, text);
}

/* ---- words of other programs ------------------------------------------------------------------------------------- */

/* "Batch-Size" is batch_size. */
static int is_word(const char *text, const char *word, size_t length)
{
    size_t i = 0;
    while (i < length && text[i] != '\0' && (text[i] == '-' ? '_' : tolower((unsigned char)text[i])) == word[i]) {
        i++;
    }
    return i == length && text[i] == '\0';
}

/* Is `text` one of the row's words? Of those with a dot only `in_section`. */
static int has_word(const sm_key *row, const char *text, int in_section)
{
    const char *word = row->choices;
    size_t length = strcspn(word, "|");
    while (length > 0) {
        int is_local = *word == '.';
        if (is_word(text, word + is_local, length - (size_t)is_local) && (in_section || !is_local)) {
            return 1;
        }
        word += length + (word[length] == '|');
        length = strcspn(word, "|");
    }
    return 0;
}

const sm_key *sm_config_elsewhere(const sm_config *config, const char *section, const char *name)
{
    const sm_key *found = NULL;
    for (size_t i = 0; i < config->elsewhere_count; i++) {
        const sm_key *row = config->elsewhere[i];
        int is_here = section && row->name && sm_config_section_matches(row->section, section);
        if (is_here && has_word(row, name, 1)) {
            return row;
        }
        found = !found && row->name && has_word(row, name, 0) ? row : found;
    }
    for (size_t i = 0; i < config->key_count && found; i++) {
        found = strcmp(config->keys[i]->name, name) == 0 ? NULL : found; /* a word of ours goes before theirs */
    }
    return found;
}

sm_status sm_config_called_elsewhere(const sm_key *row, const char *what, sm_config_place at)
{
    const char *help = row->help ? row->help : "", *open = *help ? " (" : "", *close = *help ? ")" : "";
    if (*row->section == '\0') {
        return sm_config_fail_at(at, "%s: %s", what, help);
    }
    const char *begin = row->name ? "" : "[", *dot = row->name ? "." : "", *end = row->name ? "" : "]";
    return sm_config_fail_at(at, "%s: here it is called %s%s%s%s%s%s%s%s", what, begin, row->section, dot,
                             row->name ? row->name : "", end, open, help, close);
}

static const sm_key *section_elsewhere(const sm_config *config, const char *section)
{
    for (size_t i = 0; i < config->elsewhere_count; i++) {
        if (!config->elsewhere[i]->name && has_word(config->elsewhere[i], section, 0)) {
            return config->elsewhere[i];
        }
    }
    return NULL;
}

/* ---- sections ----------------------------------------------------------------------------------------------------- */

const char *sm_config_declared(const sm_config *config, const char *section)
{
    for (size_t i = 0; i < config->key_count; i++) {
        if (sm_config_section_matches(config->keys[i]->section, section)) {
            return config->keys[i]->section;
        }
    }
    return NULL;
}

/* The declared sections, each once, as "[a], [b]". */
static char *all_sections(const sm_config *config)
{
    char *list = sm_strdup("");
    for (size_t i = 0; i < config->key_count; i++) {
        if (sm_config_begins_section(config, i)) {
            sm_append_text(&list, ", ", "[%s]", config->keys[i]->section);
        }
    }
    return list;
}

/* The section that was probably meant, templates compared by what stands before their dot: "task.depth" for "taks.depth".
 * \return freed with sm_free(); NULL: none is near */
static char *nearest_section(const sm_config *config, const char *section)
{
    size_t dot = strcspn(section, ".");
    char *family = sm_format("%.*s", (int)dot, section), *found = NULL;
    sm_nearest whole = {.wanted = section};
    size_t best = 0;
    for (size_t i = 0; i < config->key_count; i++) {
        const char *known = config->keys[i]->section;
        if (!sm_config_is_template(known) || section[dot] == '\0') {
            sm_nearest_consider(&whole, known);
            continue;
        }
        char *known_family = sm_format("%.*s", (int)(strlen(known) - strlen(SM_CONFIG_TEMPLATE)), known);
        sm_nearest nearest = {.wanted = family};
        sm_nearest_consider(&nearest, known_family);
        if (nearest.best && (!found || nearest.distance < best)) {
            sm_free(found);
            found = sm_format("%s%s", known_family, section + dot);
            best = nearest.distance;
        }
        sm_free(known_family);
    }
    if (whole.best && (!found || whole.distance < best)) {
        sm_free(found);
        found = sm_strdup(whole.best);
    }
    sm_free(family);
    return found;
}

/* \return the template of which `section` is an instance with a bad name, or without one; NULL: none */
static const char *template_of(const sm_config *config, const char *section)
{
    for (size_t i = 0; i < config->key_count; i++) {
        const char *known = config->keys[i]->section;
        size_t family = strlen(known) - strlen(SM_CONFIG_TEMPLATE);
        if (sm_config_is_template(known) && strncmp(section, known, family) == 0 &&
            (section[family] == '.' || section[family] == '\0')) {
            return known;
        }
    }
    return NULL;
}

sm_status sm_config_unknown_section(const sm_config *config, const char *section, sm_config_place at)
{
    const char *template = template_of(config, section), *dot = strchr(section, '.');
    if (template && dot) {
        return sm_config_fail_at(at, "[%s]: '%s' is not a name: expected a letter, then letters, digits and '_'",
                                 section, dot + 1);
    }
    if (template) {
        return sm_config_fail_at(at, "[%s] lacks a name: expected [%s] with a NAME of your own", section, template);
    }
    char *nearest = nearest_section(config, section), *known = all_sections(config);
    char *unknown = sm_format("unknown section [%s]", section);
    const sm_key *row = section_elsewhere(config, section);
    sm_status status = row       ? sm_config_called_elsewhere(row, unknown, at)
                       : nearest ? sm_config_fail_at(at, "%s, did you mean [%s]?", unknown, nearest)
                                 : sm_config_fail_at(at, "%s, expected one of %s", unknown, known);
    sm_free(unknown);
    sm_free(nearest);
    sm_free(known);
    return status;
}

/* ---- keys --------------------------------------------------------------------------------------------------------- */

static char *all_keys_of(const sm_config *config, const char *section)
{
    char *list = sm_strdup("");
    for (size_t i = 0; i < config->key_count; i++) {
        if (sm_config_section_matches(config->keys[i]->section, section)) {
            sm_append_text(&list, ", ", "%s", config->keys[i]->name);
        }
    }
    return list;
}

/* The key of any section that has this name, or the nearest to it.
 * \param [out] distance  from it; may be NULL */
static const sm_key *nearest_key(const sm_config *config, const char *name, size_t *distance)
{
    sm_nearest nearest = {.wanted = name};
    const sm_key *found = NULL;
    for (size_t i = 0; i < config->key_count; i++) {
        const char *best = nearest.best;
        sm_nearest_consider(&nearest, config->keys[i]->name);
        found = nearest.best != best ? config->keys[i] : found;
    }
    if (distance) {
        *distance = nearest.distance;
    }
    return found;
}

char *sm_config_guess(const sm_config *config, const char *name)
{
    size_t distance = 0;
    const sm_key *key = sm_config_elsewhere(config, NULL, name);
    key = key && *key->section ? key : nearest_key(config, name, &distance);
    return key && distance <= 1 + strlen(name) / 4 /* of all keys of all sections some is always a little alike */
               ? sm_format("%s.%s", key->section, key->name)
               : NULL;
}

sm_status sm_config_unknown_key(const sm_config *config, const char *section, const char *name, sm_config_place at)
{
    sm_nearest nearest = {.wanted = name};
    for (size_t i = 0; i < config->key_count; i++) {
        if (sm_config_section_matches(config->keys[i]->section, section)) {
            sm_nearest_consider(&nearest, config->keys[i]->name);
        }
    }
    const sm_key *elsewhere = nearest_key(config, name, NULL), *word = sm_config_elsewhere(config, section, name);
    if (word) {
        char *unknown = sm_format("[%s] has no key '%s'", section, name);
        sm_status status = sm_config_called_elsewhere(word, unknown, at);
        sm_free(unknown);
        return status;
    }
    if (elsewhere && strcmp(elsewhere->name, name) == 0) {
        return sm_config_fail_at(at, "[%s] has no key '%s', but [%s] has", section, name, elsewhere->section);
    }
    if (nearest.best) {
        return sm_config_fail_at(at, "[%s] has no key '%s', did you mean '%s'?", section, name, nearest.best);
    }
    if (elsewhere) {
        return sm_config_fail_at(at, "[%s] has no key '%s', did you mean '%s' of [%s]?", section, name, elsewhere->name,
                                 elsewhere->section);
    }
    char *known = all_keys_of(config, section);
    sm_status status = sm_config_fail_at(at, "[%s] has no key '%s', expected one of %s", section, name, known);
    sm_free(known);
    return status;
}
