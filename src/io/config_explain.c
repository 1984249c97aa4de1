/* One key or section in full sentences, and all of them as Markdown. A sentence is made from a row of a table. */
#define _GNU_SOURCE /* open_memstream(), strchrnul() */
#include "io/config_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/config_help.h>

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- sentences ---------------------------------------------------------------------------------------------------- */

/* "a|b|c" as "a, b or c". */
static void print_words(FILE *stream, const char *words, const char *last)
{
    for (const char *word = words, *end; *word; word = *end ? end + 1 : end) {
        end = strchrnul(word, '|');
        const char *before = word == words ? "" : *end ? ", " : last;
        fprintf(stream, "%s%.*s", before, (int)(end - word), word);
    }
}

/* Behind "a number" or "each": ", at least 1", " from 0 to 1". */
static void print_limits(FILE *stream, const sm_key *key, const char *comma)
{
    if (isinf(key->max)) {
        fprintf(stream, "%s at least %.15g", comma, key->min);
    } else if (isinf(key->min)) {
        fprintf(stream, "%s at most %.15g", comma, key->max);
    } else {
        fprintf(stream, " from %.15g to %.15g", key->min, key->max);
    }
}

/* What a value may be: "a whole number from 1 to 64, in steps". */
static void print_value(FILE *stream, const sm_key *key)
{
    static const struct {
        const char *name;
        int is_list;
    } types[] = {
        [SM_KEY_BOOL] = {"true or false", 0},
        [SM_KEY_INTEGER] = {"a whole number", 0},
        [SM_KEY_REAL] = {"a number", 0},
        [SM_KEY_TEXT] = {"a text", 0},
        [SM_KEY_CHOICE] = {"one of ", 0},
        [SM_KEY_PATH] = {"a path", 0},
        [SM_KEY_INTEGERS] = {"a list of whole numbers, separated by commas", 1},
        [SM_KEY_REALS] = {"a list of numbers, separated by commas", 1},
        [SM_KEY_TEXTS] = {"a list of texts, separated by commas", 1},
        [SM_KEY_PATHS] = {"a list of paths, separated by commas", 1},
    };
    int is_list = types[key->type].is_list;
    fputs(types[key->type].name, stream);
    if (key->choices) {
        fputs(is_list ? ", each one of " : "", stream);
        print_words(stream, key->choices, " or ");
    } else if (key->min < key->max) {
        fputs(is_list ? ", each" : "", stream);
        print_limits(stream, key, is_list ? "" : ",");
    }
    if (key->unit) {
        fprintf(stream, ", in %s", key->unit);
    }
}

static const sm_key *key_of(const sm_config *config, const char *section, const char *name)
{
    for (size_t i = 0; i < config->key_count; i++) {
        if (strcmp(config->keys[i]->section, section) == 0 && strcmp(config->keys[i]->name, name) == 0) {
            return config->keys[i];
        }
    }
    return NULL;
}

/* \param before  " It has no effect", or what joins it to an earlier condition */
static void print_condition(FILE *stream, const sm_config *config, const sm_key_condition *c, const char *before)
{
    const sm_key *other = key_of(config, c->other_section, c->other_key);
    int is_not = *c->values == '!';
    const char *values = c->values + is_not;
    fprintf(stream, "%s %s %s.%s %s ", before, is_not ? "where" : "unless", c->other_section, c->other_key,
            *values ? "=" : "is");
    if (*values == '\0') {
        fputs("empty", stream);
    } else if (other && other->type == SM_KEY_BOOL) {
        fprintf(stream, "%.*s", (int)strcspn(values, "|"), values); /* its other words mean the same */
    } else {
        print_words(stream, values, " or ");
    }
}

static void print_conditions(FILE *stream, const sm_config *config, const sm_config_manual *manual, const sm_key *key)
{
    static const char first[] = " It has no effect";
    const char *before = first;
    for (const sm_key_condition *c = manual->conditions; c && c->section; c++) {
        if (strcmp(c->section, key->section) == 0 && strcmp(c->key, key->name) == 0) {
            print_condition(stream, config, c, before);
            before = ", nor";
        }
    }
    fputs(before == first ? "" : ".", stream);
}

static const sm_key_text *text_of(const sm_config_manual *manual, const char *section, const char *key)
{
    for (const sm_key_text *t = manual->texts; t && t->section; t++) {
        if (strcmp(t->section, section) == 0 && (key ? t->key && strcmp(t->key, key) == 0 : !t->key)) {
            return t;
        }
    }
    return NULL;
}

/* Keys whose effect depends on this one. */
static void print_dependents(FILE *stream, const sm_config_manual *manual, const sm_key *key)
{
    const char *before = " It decides whether these have an effect: ";
    const sm_key_condition *previous = NULL;
    for (const sm_key_condition *c = manual->conditions; c && c->section; c++) {
        int is_again = previous && strcmp(previous->section, c->section) == 0 && strcmp(previous->key, c->key) == 0;
        if (strcmp(c->other_section, key->section) == 0 && strcmp(c->other_key, key->name) == 0 && !is_again) {
            int is_near = strcmp(c->section, key->section) == 0;
            fprintf(stream, "%s%s%s%s", before, is_near ? "" : c->section, is_near ? "" : ".", c->key);
            before = ", ";
            previous = c;
        }
    }
    fputs(previous ? "." : "", stream);
}

static int is_named(const char *item, size_t length, const char *section, const char *key)
{
    size_t before = strlen(section);
    return length == before + 1 + strlen(key) && strncmp(item, section, before) == 0 && item[before] == '.' &&
           strncmp(item + before + 1, key, length - before - 1) == 0;
}

/* Does a condition, which is printed anyway, join the key with what `item` names? */
static int is_joined(const sm_config_manual *manual, const sm_key *key, const char *item, size_t length)
{
    int found = 0;
    for (const sm_key_condition *c = manual->conditions; c && c->section && !found; c++) {
        int is_key = strcmp(c->section, key->section) == 0 && strcmp(c->key, key->name) == 0;
        int is_other = strcmp(c->other_section, key->section) == 0 && strcmp(c->other_key, key->name) == 0;
        found = (is_key && is_named(item, length, c->other_section, c->other_key)) ||
                (is_other && is_named(item, length, c->section, c->key));
    }
    return found;
}

static void print_see(FILE *stream, const sm_config_manual *manual, const sm_key *key, const char *see)
{
    const char *before = " See also ";
    for (const char *item = see; item && *item; item += strspn(item, ", ")) {
        size_t length = strcspn(item, ",");
        if (!is_joined(manual, key, item, length)) {
            fprintf(stream, "%s%.*s", before, (int)length, item);
            before = ", ";
        }
        item += length;
    }
    fputs(*before == ',' ? "." : "", stream);
}

/* What the key does, when it has no effect, and what else to look at. */
static void print_meaning(FILE *stream, const sm_config *config, const sm_config_manual *manual, const sm_key *key)
{
    const sm_key_text *text = text_of(manual, key->section, key->name);
    fputs(text ? text->text : key->help ? key->help : "", stream);
    print_conditions(stream, config, manual, key);
    print_dependents(stream, manual, key);
    print_see(stream, manual, key, text ? text->see : NULL);
}

/* ---- for a terminal ----------------------------------------------------------------------------------------------- */

static FILE *open_text(char **text, size_t *bytes)
{
    FILE *stream = open_memstream(text, bytes);
    if (!stream) {
        sm_abort("out of memory for the explanation of a key");
    }
    return stream;
}

static void print_wrapped(FILE *stream, const char *text, const char *indent)
{
    enum { LAST_COLUMN = 100 };
    const size_t room = LAST_COLUMN - strlen(indent);
    while (*text) {
        size_t length = strlen(text);
        if (length > room) {
            for (length = room; length > 0 && text[length] != ' '; length--) {
            }
            length = length > 0 ? length : strcspn(text, " "); /* a word longer than a line stays whole */
        }
        fprintf(stream, "%s%.*s\n", indent, (int)length, text);
        text += length + strspn(text + length, " ");
    }
}

static void explain_key(FILE *stream, const sm_config *config, const sm_config_manual *manual, const sm_key *key)
{
    char *text = NULL;
    size_t bytes;
    FILE *memory = open_text(&text, &bytes);
    fprintf(memory, "[%s] %s is ", key->section, key->name);
    print_value(memory, key);
    fputs(!key->fallback   ? "; it must be given."
          : *key->fallback ? "; by default "
                           : "; by default it is empty.",
          memory);
    if (key->fallback && *key->fallback) {
        fprintf(memory, "%s.", key->fallback);
    }
    fclose(memory);
    print_wrapped(stream, text, "");
    free(text);
    memory = open_text(&text, &bytes);
    print_meaning(memory, config, manual, key);
    fclose(memory);
    print_wrapped(stream, text, "    ");
    free(text);
}

static void explain_section(FILE *stream, const sm_config *config, const sm_config_manual *manual, const char *section)
{
    const sm_key_text *text = text_of(manual, section, NULL);
    char *about = sm_format("[%s]%s%s", section, text ? ": " : "", text ? text->text : "");
    print_wrapped(stream, about, "");
    sm_free(about);
    for (size_t i = 0; i < config->key_count; i++) {
        if (strcmp(config->keys[i]->section, section) == 0) {
            fputc('\n', stream);
            explain_key(stream, config, manual, config->keys[i]);
        }
    }
}

/* \return the declared section that `name` means: "task.NAME" for "task" too; NULL: none */
static const char *section_meant(const sm_config *config, const char *name)
{
    char *of_template = sm_format("%s" SM_CONFIG_TEMPLATE, name);
    const char *section = sm_config_declared(config, name);
    section = section ? section : sm_config_declared(config, of_template);
    sm_free(of_template);
    return section;
}

/* A key's name alone: in each section that has it. \return how many have */
static size_t explain_everywhere(FILE *stream, const sm_config *config, const sm_config_manual *manual,
                                 const char *name)
{
    size_t found = 0;
    for (size_t i = 0; i < config->key_count; i++) {
        if (strcmp(config->keys[i]->name, name) == 0) {
            if (stream) {
                fputs(found > 0 ? "\n" : "", stream);
                explain_key(stream, config, manual, config->keys[i]);
            }
            found++;
        }
    }
    return found;
}

/* \return the key that "section.key" means; NULL: none. \param [out] section  what stands before the last dot, if declared */
static const sm_key *key_meant(const sm_config *config, const char *topic, const char **section)
{
    const char *dot = strrchr(topic, '.');
    *section = NULL;
    if (!dot) {
        return NULL;
    }
    char *before = sm_format("%.*s", (int)(dot - topic), topic);
    *section = section_meant(config, before);
    sm_free(before);
    return *section ? key_of(config, *section, dot + 1) : NULL;
}

/* \return the row in which the topic, or what stands behind its last dot, is what others call a key; NULL: none */
static const sm_key *word_meant(const sm_config *config, const char *topic, const char *section)
{
    const char *dot = strrchr(topic, '.');
    return sm_config_elsewhere(config, section, dot ? dot + 1 : topic);
}

static sm_status explain_word(FILE *stream, const sm_config *config, const sm_config_manual *manual, const char *topic,
                              const sm_key *row)
{
    const sm_key *key = key_of(config, row->section, row->name);
    if (stream) {
        fprintf(stream, "%s is called %s.%s here%s%s.\n\n", topic, row->section, row->name, row->help ? ": " : "",
                row->help ? row->help : "");
        explain_key(stream, config, manual, key);
    }
    return SM_OK;
}

static sm_status unknown_topic(const sm_config *config, const char *topic, const char *section)
{
    static const sm_config_place at = {"--help-config", 0};
    const char *dot = strrchr(topic, '.');
    const sm_key *word = word_meant(config, topic, section);
    if (word) {
        char *unknown = sm_format("there is no key '%s'", topic);
        sm_status status = sm_config_called_elsewhere(word, unknown, at);
        sm_free(unknown);
        return status;
    }
    if (section) {
        return sm_config_unknown_key(config, section, dot + 1, at);
    }
    char *before = sm_format("%.*s", (int)(dot ? dot - topic : (ptrdiff_t)strlen(topic)), topic);
    char *guess = dot ? NULL : sm_config_guess(config, topic);
    sm_status status = guess ? sm_config_fail_at(at, "there is no section or key '%s', did you mean %s?", topic, guess)
                             : sm_config_unknown_section(config, before, at);
    sm_free(before);
    sm_free(guess);
    return status;
}

static const char include_text[] =
    "include = FILE\n\n  Stands before the first [section] of a file, as often as there are files: what FILE says "
    "holds unless "
    "this\n  file or --set says something else. A relative path begins at the folder of the file that includes.\n";

/* "task.kind" is the key before it is a task of that name. */
static sm_status explain(FILE *stream, const sm_config *config, const sm_config_manual *manual, const char *topic)
{
    if (strcmp(topic, "include") == 0) {
        if (stream) {
            fputs(include_text, stream);
        }
        return SM_OK;
    }
    const char *before, *section = section_meant(config, topic);
    const sm_key *key = key_meant(config, topic, &before);
    if (key && stream) {
        explain_key(stream, config, manual, key);
    } else if (!key && section && stream) {
        explain_section(stream, config, manual, section);
    }
    if (key || section || explain_everywhere(stream, config, manual, topic) > 0) {
        return SM_OK;
    }
    const sm_key *word = word_meant(config, topic, before);
    return word && *word->section ? explain_word(stream, config, manual, topic, word)
                                  : unknown_topic(config, topic, before);
}

sm_status sm_config_explain(const sm_config_manual *manual, const char *topic, FILE *stream)
{
    sm_config *config = sm_config_new(manual->tables);
    sm_status status = explain(stream, config, manual, topic);
    sm_config_free(config);
    return status;
}

/* ---- Markdown ----------------------------------------------------------------------------------------------------- */

/* Characters that Markdown, or a table of it, would take for its own. */
static void print_escaped(FILE *stream, const char *text)
{
    for (; *text; text++) {
        fputs(strchr("|*<", *text) ? "\\" : "", stream);
        fputc(*text, stream);
    }
}

static void reference_row(FILE *stream, const sm_config *config, const sm_config_manual *manual, const sm_key *key)
{
    char *text = NULL;
    size_t bytes;
    FILE *memory = open_text(&text, &bytes);
    fprintf(stream, "| `%s` | ", key->name);
    print_value(stream, key);
    if (key->fallback && *key->fallback) {
        fprintf(stream, " | `%s` | ", key->fallback);
    } else {
        fprintf(stream, " | %s | ", key->fallback ? "empty" : "required");
    }
    print_meaning(memory, config, manual, key);
    fclose(memory);
    print_escaped(stream, text);
    fputs(" |\n", stream);
    free(text);
}

void sm_config_reference(const sm_config_manual *manual, FILE *stream)
{
    sm_config *config = sm_config_new(manual->tables);
    for (size_t i = 0; i < config->key_count; i++) {
        if (!sm_config_begins_section(config, i)) {
            continue;
        }
        const char *section = config->keys[i]->section;
        const sm_key_text *text = text_of(manual, section, NULL);
        fprintf(stream, "\n### [%s]\n\n", section);
        if (text) {
            fprintf(stream, "%s\n\n", text->text);
        }
        fputs("| key | value | default | |\n|---|---|---|---|\n", stream);
        for (size_t j = i; j < config->key_count; j++) {
            if (strcmp(config->keys[j]->section, section) == 0) {
                reference_row(stream, config, manual, config->keys[j]);
            }
        }
    }
    sm_config_free(config);
}
