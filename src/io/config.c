/* Values are parsed and checked when they arrive, never when they are asked for: a config that was read is right.
 *
 * inih splits "name = value" and takes comments off; the reader in front of it does what it does not: it refuses lines
 * that inih would split, joins nothing (an indented line is a line of its own), and sees section lines, so that an empty or
 * unknown section is noticed. */
#define _XOPEN_SOURCE 700
#include <sigmatic/io/config.h>

#include "io/string_list.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char template_ending[] = ".NAME";

/* What a key has: its text and, by type, what the text means. */
typedef struct {
    char *text;   /* NULL: a required key without a value */
    char *origin; /* "file:line" or "--set"; NULL: the default */
    int file;     /* number of the file (text, --set) that gave it */
    int64_t integer;
    double real;
    size_t count;
    int64_t *integers;
    double *reals;
    char **texts;
} value;

typedef struct {
    char *section; /* as in the file: "task.semantic" */
    const sm_key *key;
    value value;
} entry;

struct sm_config {
    const sm_key **keys; /* of all tables */
    size_t key_count;
    entry *entries; /* by section in the order of their first mention, instances behind all others */
    size_t entry_count;
    char **instances; /* full names of the sections made from templates; those of one template side by side, in order */
    size_t instance_count;
    int files; /* given numbers so far */
};

/* ---- what a text may be ------------------------------------------------------------------------------------------ */

static const char *const bool_words[] = {"false", "true", "no", "yes", "off", "on"}; /* odd ones are true */

static const struct {
    const char *name;     /* in the reference */
    const char *expected; /* in messages */
    int is_list, has_limits;
} types[] = {
    [SM_KEY_BOOL] = {"bool", "true or false", 0, 0},
    [SM_KEY_INTEGER] = {"integer", "an integer", 0, 1},
    [SM_KEY_REAL] = {"real", "a number", 0, 1},
    [SM_KEY_TEXT] = {"text", "text", 0, 0},
    [SM_KEY_CHOICE] = {"choice", "a choice", 0, 0},
    [SM_KEY_PATH] = {"path", "a path", 0, 0},
    [SM_KEY_INTEGERS] = {"integers", "integers separated by commas", 1, 1},
    [SM_KEY_REALS] = {"reals", "numbers separated by commas", 1, 1},
    [SM_KEY_TEXTS] = {"texts", "texts separated by commas", 1, 0},
};

/* "0 .. 1", "at least 1", "at most 8" or "" into `out`. */
static const char *limits_of(const sm_key *key, char *out, size_t bytes)
{
    *out = '\0';
    if (!types[key->type].has_limits || !(key->min < key->max)) {
        return out;
    }
    if (isinf(key->max)) {
        snprintf(out, bytes, "at least %.15g", key->min);
    } else if (isinf(key->min)) {
        snprintf(out, bytes, "at most %.15g", key->max);
    } else {
        snprintf(out, bytes, "%.15g .. %.15g", key->min, key->max);
    }
    return out;
}

static int choice_position(const char *choices, const char *word)
{
    size_t length = strlen(word);
    for (int position = 0;; position++) {
        size_t choice = strcspn(choices, "|");
        if (choice == length && memcmp(choices, word, length) == 0) {
            return position;
        }
        if (choices[choice] == '\0') {
            return -1;
        }
        choices += choice + 1;
    }
}

/* Why a text is not a value of this key; NULL if it is. The reason lives in `reason`. */
typedef struct {
    char text[512];
} reason;

static const char *not_allowed(const sm_key *key, reason *why)
{
    char limits[64];
    if (key->choices) {
        snprintf(why->text, sizeof why->text, "expected %s%s", types[key->type].is_list ? "a list of " : "one of ",
                 key->choices);
    } else if (*limits_of(key, limits, sizeof limits)) {
        snprintf(why->text, sizeof why->text, "expected %s, %s%s", types[key->type].expected,
                 types[key->type].is_list ? "each " : "", limits);
    } else {
        snprintf(why->text, sizeof why->text, "expected %s", types[key->type].expected);
    }
    return why->text;
}

static int within_limits(const sm_key *key, double number)
{
    return !(key->min < key->max) || (number >= key->min && number <= key->max);
}

static int parse_integer(const sm_key *key, const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *out = number;
    return end != text && *end == '\0' && errno == 0 && !isspace((unsigned char)*text) &&
           within_limits(key, (double)number);
}

static int parse_real(const sm_key *key, const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    int is_decimal = strspn(text, "0123456789+-.eE") == strlen(text); /* strtod() also takes nan, inf and hexadecimal */
    return end != text && *end == '\0' && is_decimal && isfinite(*out) && within_limits(key, *out);
}

static int parse_bool(const char *text, int64_t *out)
{
    for (size_t i = 0; i < sizeof bool_words / sizeof *bool_words; i++) {
        if (strcmp(text, bool_words[i]) == 0) {
            *out = i % 2;
            return 1;
        }
    }
    return 0;
}

static void value_clear(value *v)
{
    sm_free(v->text);
    sm_free(v->origin);
    sm_free(v->integers);
    sm_free(v->reals);
    sm_free(v->texts);
    *v = (value){0};
}

/* Copies text[0..length) without the blanks around it. */
static char *trimmed(const char *text, size_t length)
{
    while (length > 0 && isspace((unsigned char)*text)) {
        text++;
        length--;
    }
    while (length > 0 && isspace((unsigned char)text[length - 1])) {
        length--;
    }
    return sm_format("%.*s", (int)length, text);
}

/* Splits at commas into v->texts; an empty text is an empty list. */
static void split_list(const char *text, value *v)
{
    size_t capacity = 1;
    for (const char *c = text; *c; c++) {
        capacity += *c == ',';
    }
    char **parts = sm_alloc(capacity * sizeof *parts);
    size_t count = 0;
    for (const char *c = text; *text != '\0';) {
        size_t length = strcspn(c, ",");
        parts[count++] = trimmed(c, length);
        if (c[length] == '\0') {
            break;
        }
        c += length + 1;
    }
    v->texts = sm_strings_pack((const char *const *)parts, count);
    v->count = count;
    for (size_t i = 0; i < count; i++) {
        sm_free(parts[i]);
    }
    sm_free(parts);
}

static int parse_list(const sm_key *key, value *v)
{
    int good = 1;
    split_list(v->text, v);
    v->integers = sm_alloc_zeroed(v->count * sizeof *v->integers);
    v->reals = sm_alloc_zeroed(v->count * sizeof *v->reals);
    for (size_t i = 0; i < v->count && good; i++) {
        const char *text = v->texts[i];
        if (key->type == SM_KEY_INTEGERS) {
            good = parse_integer(key, text, &v->integers[i]);
        } else if (key->type == SM_KEY_REALS) {
            good = parse_real(key, text, &v->reals[i]);
        } else {
            good = *text != '\0' && (!key->choices || choice_position(key->choices, text) >= 0);
        }
    }
    return good;
}

/* \return NULL, or what would have been allowed. `text` has no blanks around it. */
static const char *parse_value(const sm_key *key, const char *text, value *v, reason *why)
{
    int good = 1;
    v->text = sm_strdup(text);
    if (types[key->type].is_list) {
        good = parse_list(key, v);
    } else if (key->type == SM_KEY_BOOL) {
        good = parse_bool(text, &v->integer);
    } else if (key->type == SM_KEY_INTEGER) {
        good = parse_integer(key, text, &v->integer);
    } else if (key->type == SM_KEY_REAL) {
        good = parse_real(key, text, &v->real);
    } else if (key->type == SM_KEY_CHOICE) {
        v->integer = choice_position(key->choices, text);
        good = v->integer >= 0;
    }
    return good ? NULL : not_allowed(key, why);
}

/* ---- sections and keys ------------------------------------------------------------------------------------------- */

static int is_template(const char *section)
{
    size_t length = strlen(section), ending = strlen(template_ending);
    return length > ending && strcmp(section + length - ending, template_ending) == 0;
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

/* Does [name] have the keys of the declared `section`? */
static int section_matches(const char *section, const char *name)
{
    if (!is_template(section)) {
        return strcmp(section, name) == 0;
    }
    size_t family = strlen(section) - strlen(template_ending) + 1; /* with its dot */
    return strncmp(section, name, family) == 0 && is_identifier(name + family);
}

static entry *find_entry(const sm_config *config, const char *section, const char *key)
{
    for (size_t i = 0; i < config->entry_count; i++) {
        entry *e = &config->entries[i];
        if (strcmp(e->section, section) == 0 && strcmp(e->key->name, key) == 0) {
            return e;
        }
    }
    return NULL;
}

/* Gives [section] an entry with its default for each key that is declared for it. */
static void add_section(sm_config *config, const char *section)
{
    for (size_t i = 0; i < config->key_count; i++) {
        const sm_key *key = config->keys[i];
        if (!section_matches(key->section, section)) {
            continue;
        }
        assert(!find_entry(config, section, key->name) && "a key declared twice");
        config->entries = sm_realloc(config->entries, (config->entry_count + 1) * sizeof *config->entries);
        entry *e = &config->entries[config->entry_count++];
        *e = (entry){.section = sm_strdup(section), .key = key};
        if (key->fallback) {
            reason why;
            const char *allowed = parse_value(key, key->fallback, &e->value, &why);
            assert(!allowed && "a default that its own row refuses");
            (void)allowed;
        }
    }
}

/* \return the declared name ("task.NAME") of [section], or NULL. */
static const char *declared_section(const sm_config *config, const char *section)
{
    for (size_t i = 0; i < config->key_count; i++) {
        if (section_matches(config->keys[i]->section, section)) {
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

/* Levenshtein's distance, by rows; long texts count as far. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    size_t rows[2][LONGEST + 1], length_a = strlen(a), length_b = strlen(b);
    if (length_a > LONGEST || length_b > LONGEST) {
        return LONGEST;
    }
    for (size_t j = 0; j <= length_b; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= length_a; i++) {
        const size_t *above = rows[(i - 1) % 2];
        size_t *row = rows[i % 2];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            size_t removed = above[j] + 1, added = row[j - 1] + 1;
            row[j] = replaced < removed ? replaced : removed;
            row[j] = row[j] < added ? row[j] : added;
        }
    }
    return rows[length_a % 2][length_b];
}

/* Keeps the candidate if it is nearer than the best so far and near enough to be meant. */
static void consider(const char *found, const char *candidate, const char **best, size_t *best_distance)
{
    size_t distance = edit_distance(found, candidate);
    size_t near_enough = 1 + strlen(found) / 3;
    if (distance <= near_enough && (!*best || distance < *best_distance)) {
        *best = candidate;
        *best_distance = distance;
    }
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
    const char *best = NULL;
    size_t distance = 0;
    for (size_t i = 0; i < config->key_count; i++) {
        const char *known = config->keys[i]->section;
        size_t family = strlen(known) - (is_template(known) ? strlen(template_ending) - 1 : 0);
        if (is_template(known) && strncmp(section, known, family) == 0) {
            return fail_at(at, "[%s]: '%s' is not a name: expected a letter, then letters, digits and '_'", section,
                           section + family);
        }
        consider(section, known, &best, &distance);
    }
    char *known = all_sections(config);
    sm_status status = best ? fail_at(at, "unknown section [%s], did you mean [%s]?", section, best)
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
    const char *best = NULL;
    size_t distance = 0;
    for (size_t i = 0; i < config->entry_count; i++) {
        if (strcmp(config->entries[i].section, section) == 0) {
            consider(name, config->entries[i].key->name, &best, &distance);
        }
    }
    if (best) {
        return fail_at(at, "[%s] has no key '%s', did you mean '%s'?", section, name, best);
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
    add_section(config, section);
}

/* Checks that [section] is declared; makes it if it is a new instance. */
static sm_status enter_section(sm_config *config, const char *section, place at)
{
    const char *declared = declared_section(config, section);
    if (!declared) {
        return unknown_section(config, section, at);
    }
    if (is_template(declared) && !has_instance(config, section)) {
        add_instance(config, section);
    }
    return SM_OK;
}

/* The resolved text must be readable again: no comment may begin inside a value, no line be too long. */
enum { LONGEST_LINE = 199 };

static const char *not_writable(const char *name, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\n' || *c == '\r') {
            return "a value has no line breaks";
        }
        if (*c == ';' && (c == text || isspace((unsigned char)c[-1]))) {
            return "';' after a blank begins a comment";
        }
    }
    return strlen(name) + 3 + strlen(text) > LONGEST_LINE ? "name and value have more than 199 characters" : NULL;
}

static sm_status assign(sm_config *config, const char *section, const char *name, const char *text, int file, place at)
{
    entry *e = find_entry(config, section, name);
    if (!e) {
        return unknown_key(config, section, name, at);
    }
    if (e->value.file == file && e->value.origin) {
        return fail_at(at, "[%s] %s stands twice in this file, first at %s", section, name, e->value.origin);
    }
    const char *problem = not_writable(name, text);
    if (problem) {
        return fail_at(at, "[%s] %s = %s: %s", section, name, text, problem);
    }
    value parsed = {.origin = place_text(at), .file = file};
    reason why;
    const char *allowed = parse_value(e->key, text, &parsed, &why);
    if (allowed) {
        value_clear(&parsed);
        return fail_at(at, "[%s] %s = '%s': %s", section, name, text, allowed);
    }
    value_clear(&e->value);
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
    const char *next; /* text not read yet */
    int line;         /* of the line handed out last */
    char *section;    /* NULL before the first */
    sm_status status;
} reader;

static place here(const reader *r)
{
    return (place){r->name, r->line};
}

/* A section line: checked and entered here, since inih tells of sections only with their first key. */
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
    r->section = trimmed(line + 1, (size_t)(end - line - 1));
    return enter_section(r->config, r->section, here(r));
}

/* fgets() over the text, one line a call, for ini_parse_stream(). Blanks in front go (inih would join such a line to the
 * one before). After a failure the text has ended. */
static char *read_line(char *out, int bytes, void *stream)
{
    reader *r = stream;
    if (r->status != SM_OK || *r->next == '\0') {
        return NULL;
    }
    const char *line = r->next;
    size_t length = strcspn(line, "\n");
    r->next = line + length + (line[length] == '\n');
    r->line++;
    if (r->line == 1 && strncmp(line, "\xEF\xBB\xBF", 3) == 0) {
        line += 3;
        length -= 3;
    }
    char *text = trimmed(line, length);
    size_t longest = bytes - 1 < LONGEST_LINE ? (size_t)bytes - 1 : LONGEST_LINE;
    if (strlen(text) > longest) {
        r->status = fail_at(here(r), "the line has %zu characters, at most %zu are allowed", strlen(text), longest);
    } else if (*text == '[') {
        r->status = read_section(r, text);
    }
    snprintf(out, (size_t)bytes, "%s", *text == '[' ? "" : text);
    sm_free(text);
    return r->status == SM_OK ? out : NULL;
}

static sm_status read_file(sm_config *config, const char *path, const chain *outer);

static sm_status include(reader *r, const char *path)
{
    if (!r->chain) {
        return fail_at(here(r), "include is not possible here");
    }
    const char *slash = strrchr(r->name, '/');
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
    return status;
}

static int read_pair(void *user, const char *section, const char *name, const char *text)
{
    reader *r = user;
    (void)section; /* cut off at 50 characters by inih: the reader's own is whole */
    if (r->section && strcmp(name, "include") == 0) {
        r->status = fail_at(here(r), "include may only stand before the first [section]");
    } else if (r->section) {
        r->status = assign(r->config, r->section, name, text, r->file, here(r));
    } else if (strcmp(name, "include") == 0) {
        r->status = include(r, text);
    } else {
        r->status = fail_at(here(r), "'%s' stands before the first [section]; only include may", name);
    }
    return r->status == SM_OK;
}

static sm_status read_text(sm_config *config, const char *name, const char *text, const chain *files)
{
    reader r = {.config = config, .name = name, .chain = files, .file = ++config->files, .next = text};
    int bad_line = ini_parse_stream(read_line, &r, read_pair, &r);
    if (bad_line != 0 && (r.status == SM_OK || bad_line < r.line)) {
        for (int line = 1; line < bad_line; line++) {
            text += strcspn(text, "\n") + 1;
        }
        r.status = fail_at((place){name, bad_line}, "'%.*s' is neither [section] nor key = value",
                           (int)strcspn(text, "\r\n"), text);
    }
    sm_free(r.section);
    return r.status;
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
    name = trimmed(assignment, (size_t)(equals - assignment));
    text = trimmed(equals + 1, strlen(equals + 1));
    char *dot = strrchr(name, '.');
    if (!dot || dot == name || dot[1] == '\0') {
        status = fail_at(at, "'%s': expected section.key=value", assignment);
        goto done;
    }
    *dot = '\0';
    SM_TRY(enter_section(config, name, at));
    SM_TRY(assign(config, name, dot + 1, text, ++config->files, at));
done:
    sm_free(name);
    sm_free(text);
    return status;
}

/* ---- the config -------------------------------------------------------------------------------------------------- */

sm_status sm_config_new(const sm_key *const *tables, sm_config **out)
{
    sm_config *config = sm_alloc_zeroed(sizeof *config);
    for (; *tables; tables++) {
        for (const sm_key *key = *tables; key->section; key++) {
            assert((key->type != SM_KEY_CHOICE || key->choices) && "a choice without choices");
            config->keys = sm_realloc(config->keys, (config->key_count + 1) * sizeof *config->keys);
            config->keys[config->key_count++] = key;
        }
    }
    for (size_t i = 0; i < config->key_count; i++) {
        const char *section = config->keys[i]->section;
        if (!is_template(section) && !find_entry(config, section, config->keys[i]->name)) {
            add_section(config, section);
        }
    }
    *out = config;
    return SM_OK;
}

void sm_config_free(sm_config *config)
{
    if (!config) {
        return;
    }
    for (size_t i = 0; i < config->entry_count; i++) {
        value_clear(&config->entries[i].value);
        sm_free(config->entries[i].section);
    }
    for (size_t i = 0; i < config->instance_count; i++) {
        sm_free(config->instances[i]);
    }
    sm_free(config->keys);
    sm_free(config->entries);
    sm_free(config->instances);
    sm_free(config);
}

sm_status sm_config_check(const sm_config *config)
{
    for (size_t i = 0; i < config->entry_count; i++) {
        const entry *e = &config->entries[i];
        if (!e->value.text) {
            reason why;
            return sm_fail(SM_ERR_CONFIG, "[%s] %s is required (%s): %s", e->section, e->key->name,
                           e->key->help ? e->key->help : "no default", not_allowed(e->key, &why));
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
        const entry *e = &config->entries[i];
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

static const value *value_of(const sm_config *config, const char *section, const char *key, unsigned allowed_types)
{
    const entry *e = find_entry(config, section, key);
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
    return value_of(config, section, key, 1u << SM_KEY_TEXT | 1u << SM_KEY_CHOICE | 1u << SM_KEY_PATH)->text;
}

int sm_config_choice(const sm_config *config, const char *section, const char *key)
{
    return (int)value_of(config, section, key, 1u << SM_KEY_CHOICE)->integer;
}

const int64_t *sm_config_integers(const sm_config *config, const char *section, const char *key, size_t *count)
{
    const value *v = value_of(config, section, key, 1u << SM_KEY_INTEGERS);
    *count = v->count;
    return v->integers;
}

const double *sm_config_reals(const sm_config *config, const char *section, const char *key, size_t *count)
{
    const value *v = value_of(config, section, key, 1u << SM_KEY_REALS);
    *count = v->count;
    return v->reals;
}

const char *const *sm_config_texts(const sm_config *config, const char *section, const char *key, size_t *count)
{
    const value *v = value_of(config, section, key, 1u << SM_KEY_TEXTS);
    *count = v->count;
    return (const char *const *)v->texts;
}

int sm_config_is_set(const sm_config *config, const char *section, const char *key)
{
    const entry *e = find_entry(config, section, key);
    assert(e && "an undeclared key");
    return e->value.origin != NULL;
}

int sm_config_has(const sm_config *config, const char *section, const char *key)
{
    return find_entry(config, section, key) != NULL;
}

sm_status sm_config_fail(const sm_config *config, const char *section, const char *key, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const entry *e = find_entry(config, section, key);
    assert(e && "an undeclared key");
    return sm_fail(SM_ERR_CONFIG, "%s: [%s] %s = %s: %s", e->value.origin ? e->value.origin : "default", section, key,
                   e->value.text ? e->value.text : "", text);
}

/* ---- the reference ----------------------------------------------------------------------------------------------- */

/* The columns of one key; `out` keeps the text of column i. */
enum { HELP_COLUMNS = 4 };

static void help_columns(const sm_key *key, char out[HELP_COLUMNS][256])
{
    char limits[64];
    limits_of(key, limits, sizeof limits);
    snprintf(out[0], 256, "%s", key->name);
    snprintf(out[1], 256, "%s", types[key->type].name);
    snprintf(out[2], 256, "%s", !key->fallback ? "required" : *key->fallback ? key->fallback : "(empty)");
    snprintf(out[3], 256, "%s%s%s", key->choices ? key->choices : limits,
             key->unit && (key->choices || *limits) ? " " : "", key->unit ? key->unit : "");
}

/* Sections come in the order of their first row; a wide cell does not widen its column beyond WIDEST. */
void sm_config_help(const sm_key *const *tables, FILE *stream)
{
    enum { WIDEST = 32 };
    sm_config *config = NULL;
    sm_config_new(tables, &config);
    int widths[HELP_COLUMNS] = {0};
    char cells[HELP_COLUMNS][256];
    for (size_t i = 0; i < config->key_count; i++) {
        help_columns(config->keys[i], cells);
        for (int c = 0; c < HELP_COLUMNS; c++) {
            int width = (int)strlen(cells[c]);
            widths[c] = width > widths[c] && width <= WIDEST ? width : widths[c];
        }
    }
    for (size_t i = 0; i < config->key_count; i++) {
        const char *section = config->keys[i]->section;
        int is_first = 1;
        for (size_t j = 0; j < i && is_first; j++) {
            is_first = strcmp(config->keys[j]->section, section) != 0;
        }
        if (!is_first) {
            continue;
        }
        fprintf(stream, "%s[%s]\n", i ? "\n" : "", section);
        for (size_t j = i; j < config->key_count; j++) {
            if (strcmp(config->keys[j]->section, section) == 0) {
                help_columns(config->keys[j], cells);
                fprintf(stream, "  %-*s  %-*s  %-*s  %-*s  %s\n", widths[0], cells[0], widths[1], cells[1], widths[2],
                        cells[2], widths[3], cells[3], config->keys[j]->help ? config->keys[j]->help : "");
            }
        }
    }
    sm_config_free(config);
}
