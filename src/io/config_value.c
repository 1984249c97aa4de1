/* What a text may be: types, limits, choices, lists. */
#define _XOPEN_SOURCE 700
#include "io/config_private.h"

#include "io/string_list.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    [SM_KEY_PATHS] = {"paths", "paths separated by commas", 1, 0},
};

const char *sm_config_limits(const sm_key *key, char *out, size_t bytes)
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

const char *sm_config_allowed(const sm_key *key, sm_config_reason *why)
{
    char limits[64];
    if (key->choices) {
        snprintf(why->text, sizeof why->text, "expected %s%s", types[key->type].is_list ? "a list of " : "one of ",
                 key->choices);
    } else if (*sm_config_limits(key, limits, sizeof limits)) {
        snprintf(why->text, sizeof why->text, "expected %s, %s%s", types[key->type].expected,
                 types[key->type].is_list ? "each " : "", limits);
    } else {
        snprintf(why->text, sizeof why->text, "expected %s", types[key->type].expected);
    }
    return why->text;
}

/* Adds to what is allowed the choice that was probably meant by `word`. */
static const char *allowed_choice(const sm_key *key, const char *choices, const char *word, sm_config_reason *why)
{
    char words[512];
    sm_nearest nearest = {.wanted = word};
    snprintf(words, sizeof words, "%s", choices);
    for (char *rest, *choice = strtok_r(words, "|", &rest); choice; choice = strtok_r(NULL, "|", &rest)) {
        sm_nearest_consider(&nearest, choice);
    }
    sm_config_allowed(key, why);
    size_t length = strlen(why->text);
    if (nearest.best) {
        snprintf(why->text + length, sizeof why->text - length, ", did you mean '%s'?", nearest.best);
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

void sm_config_value_clear(sm_config_value *v)
{
    sm_free(v->text);
    sm_free(v->meant);
    sm_free(v->origin);
    sm_free(v->integers);
    sm_free(v->reals);
    sm_free(v->texts);
    *v = (sm_config_value){0};
}

char *sm_config_trimmed(const char *text, size_t length)
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

/* ---- texts, quotes and HOME -------------------------------------------------------------------------------------- */

/* Bytes of the quoted text that begins here, with its quotes; 0: none does, or it is not closed. */
static size_t quoted_bytes(const char *text)
{
    const char *end = *text == '"' ? strchr(text + 1, '"') : NULL;
    return end ? (size_t)(end - text) + 1 : 0;
}

/* First of `mark` and, if `mark` is 0, of a comment, or the end. Quotes count where an item begins: there they hide both. */
static const char *end_of(const char *text, char mark)
{
    int begins = 1;
    const char *c = text;
    while (*c != '\0' && *c != mark) {
        int behind_blank = c == text || isspace((unsigned char)c[-1]);
        if (mark == '\0' && behind_blank && (*c == ';' || *c == '#')) {
            break;
        }
        size_t quoted = begins ? quoted_bytes(c) : 0;
        begins = *c == ',' || (begins && isspace((unsigned char)*c));
        c += quoted > 0 ? quoted : 1;
    }
    return c;
}

const char *sm_config_value_end(const char *text)
{
    return end_of(text, '\0');
}

const char *sm_config_text_parse(const char *text, int is_path, char **meant)
{
    size_t bytes = strlen(text);
    if (*text == '"' && quoted_bytes(text) != bytes) {
        return "a quote is not closed, or something stands behind it";
    }
    char *plain = *text == '"' ? sm_format("%.*s", (int)bytes - 2, text + 1) : sm_strdup(text);
    const char *home = getenv("HOME"), *problem = NULL;
    *meant = plain;
    if (is_path && *plain == '~') {
        problem = plain[1] != '\0' && plain[1] != '/'
                      ? "only ~/ is understood; a name that begins with ~ is written ./~"
                  : !home || *home == '\0' ? "~ is HOME, which is not set"
                                           : NULL;
        *meant = problem ? NULL : sm_format("%s%s", home, plain + 1);
        sm_free(plain);
    }
    return problem;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* Splits at commas into v->texts; an empty text is an empty list. */
static void split_list(const char *text, sm_config_value *v)
{
    size_t capacity = 1;
    for (const char *c = text; *c; c++) {
        capacity += *c == ',';
    }
    char **parts = sm_alloc(capacity * sizeof *parts);
    size_t count = 0;
    for (const char *c = text; *text != '\0';) {
        const char *end = end_of(c, ',');
        parts[count++] = sm_config_trimmed(c, (size_t)(end - c));
        if (*end == '\0') {
            break;
        }
        c = end + 1;
    }
    v->texts = sm_strings_pack((const char *const *)parts, count);
    v->count = count;
    for (size_t i = 0; i < count; i++) {
        sm_free(parts[i]);
    }
    sm_free(parts);
}

static int parse_numbers(const sm_key *key, sm_config_value *v)
{
    int good = 1;
    split_list(v->text, v);
    v->integers = sm_alloc_zeroed(v->count * sizeof *v->integers);
    v->reals = sm_alloc_zeroed(v->count * sizeof *v->reals);
    for (size_t i = 0; i < v->count && good; i++) {
        good = key->type == SM_KEY_INTEGERS ? parse_integer(key, v->texts[i], &v->integers[i])
                                            : parse_real(key, v->texts[i], &v->reals[i]);
    }
    return good;
}

/* Replaces the items of a list by what they mean. \return NULL, or what is wrong */
static const char *parse_texts(const sm_key *key, sm_config_value *v, sm_config_reason *why)
{
    const char *problem = NULL;
    split_list(v->text, v);
    char **split = v->texts, **meant = sm_alloc_zeroed(v->count * sizeof *meant);
    for (size_t i = 0; i < v->count && !problem; i++) {
        problem = sm_config_text_parse(split[i], key->type == SM_KEY_PATHS, &meant[i]);
        if (!problem && *meant[i] == '\0') {
            problem = sm_config_allowed(key, why);
        } else if (!problem && key->choices && choice_position(key->choices, meant[i]) < 0) {
            problem = allowed_choice(key, key->choices, meant[i], why);
        }
    }
    v->texts = problem ? NULL : sm_strings_pack((const char *const *)meant, v->count);
    for (size_t i = 0; i < v->count; i++) {
        sm_free(meant[i]);
    }
    sm_free(meant);
    sm_free(split);
    return problem;
}

const char *sm_config_value_parse(const sm_key *key, const char *text, sm_config_value *v, sm_config_reason *why)
{
    int good = 1;
    v->text = sm_strdup(text);
    switch (key->type) {
    case SM_KEY_BOOL:
        return parse_bool(text, &v->integer) ? NULL : allowed_choice(key, "true|false", text, why);
    case SM_KEY_INTEGER:
        good = parse_integer(key, text, &v->integer);
        break;
    case SM_KEY_REAL:
        good = parse_real(key, text, &v->real);
        break;
    case SM_KEY_CHOICE:
        v->integer = choice_position(key->choices, text);
        return v->integer >= 0 ? NULL : allowed_choice(key, key->choices, text, why);
    case SM_KEY_TEXT:
    case SM_KEY_PATH:
        return sm_config_text_parse(text, key->type == SM_KEY_PATH, &v->meant);
    case SM_KEY_INTEGERS:
    case SM_KEY_REALS:
        good = parse_numbers(key, v);
        break;
    case SM_KEY_TEXTS:
    case SM_KEY_PATHS:
        return parse_texts(key, v, why);
    case SM_KEY_FORMER:
    case SM_KEY_ELSEWHERE:
        assert(0 && "a word is no key");
    }
    return good ? NULL : sm_config_allowed(key, why);
}

const char *sm_config_type_name(sm_key_type type)
{
    return types[type].name;
}
