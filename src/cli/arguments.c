#include "cli/arguments.h"

#include "cli/help_form.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_optional(const argument *a)
{
    return a->name[strlen(a->name) - 1] == '?';
}

static int is_positional(const argument *a)
{
    return a->kind == ARGUMENT_POSITIONAL || a->kind == ARGUMENT_REST;
}

int arguments_is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* Choices that one line does not hold, but for those of the last line. \return what is left for that */
static const char *print_full_lines(const char *word, size_t width)
{
    while (strlen(word) > width) {
        size_t length = width;
        while (length > 0 && word[length - 1] != '|') {
            length--;
        }
        length = length > 0 ? length : width;
        printf("  %.*s\n    ", (int)length, word);
        word += length;
    }
    return word;
}

void arguments_print_row(const char *word, const char *meaning)
{
    enum { MEANING_COLUMN = 31, LAST_COLUMN = 110, WIDTH = LAST_COLUMN - MEANING_COLUMN };
    const char *rest = print_full_lines(word, LAST_COLUMN - 6);
    int is_wide = rest != word || strlen(word) > MEANING_COLUMN - 3;
    printf("  %-*s%s%*s", MEANING_COLUMN - 2, rest, is_wide ? "\n" : "", is_wide ? MEANING_COLUMN : 0, "");
    while (strlen(meaning) > WIDTH) {
        int length = WIDTH;
        while (length > 0 && meaning[length] != ' ') {
            length--;
        }
        length = length > 0 ? length : WIDTH; /* a word longer than a line is cut */
        printf("%.*s\n%*s", length, meaning, MEANING_COLUMN, "");
        meaning += length + (meaning[length] == ' ');
    }
    printf("%s\n", meaning);
}

static void print_help(const char *command, const char *summary, const argument *table)
{
    printf("usage: sigmatic %s", command);
    for (const argument *a = table; a->name; a++) {
        if (is_positional(a)) {
            printf(is_optional(a) ? " [%.*s]" : " %.*s", (int)strcspn(a->name, "?"), a->name);
        }
    }
    printf(" [OPTION]...\n\n%s\n\n", summary);
    for (const argument *a = table; a->name; a++) {
        char left[256];
        if (is_positional(a)) {
            snprintf(left, sizeof left, "%.*s", (int)strcspn(a->name, "?"), a->name);
        } else {
            snprintf(left, sizeof left, "--%s%s%s", a->name, a->metavar ? " " : "", a->metavar ? a->metavar : "");
        }
        arguments_print_row(left, a->help);
    }
    arguments_print_row("--help", "this text");
}

static sm_status set_value(const char *command, const argument *a, const char *text)
{
    char *end = NULL;
    errno = 0;
    switch (a->kind) {
    case ARGUMENT_POSITIONAL:
    case ARGUMENT_TEXT:
    case ARGUMENT_MAYBE_TEXT:
        *(const char **)a->value = text;
        return SM_OK;
    case ARGUMENT_REST: {
        argument_words *words = a->value;
        words->items = sm_realloc(words->items, (size_t)(words->count + 1) * sizeof *words->items);
        words->items[words->count++] = text;
        return SM_OK;
    }
    case ARGUMENT_INTEGER:
        *(long long *)a->value = strtoll(text, &end, 10);
        break;
    case ARGUMENT_REAL:
        *(double *)a->value = strtod(text, &end);
        break;
    case ARGUMENT_LIST: {
        argument_list *list = a->value;
        if (list->count == (int)(sizeof list->items / sizeof *list->items)) {
            return sm_fail(SM_ERR_USAGE, "%s: too many --%s", command, a->name);
        }
        list->items[list->count++] = text;
        return SM_OK;
    }
    case ARGUMENT_FLAG:
        return SM_OK;
    }
    if (end == text || *end || errno) {
        return sm_fail(SM_ERR_USAGE, "%s: --%s '%s': %s expected", command, a->name, text,
                       a->kind == ARGUMENT_INTEGER ? "a whole number" : "a number");
    }
    return SM_OK;
}

static const argument *find_option(const argument *table, const char *name, size_t length)
{
    for (const argument *a = table; a->name; a++) {
        if (!is_positional(a) && strlen(a->name) == length && strncmp(a->name, name, length) == 0) {
            return a;
        }
    }
    return NULL;
}

static const argument *next_positional(const argument *table, int seen)
{
    for (const argument *a = table; a->name; a++) {
        if (a->kind == ARGUMENT_REST || (a->kind == ARGUMENT_POSITIONAL && seen-- == 0)) {
            return a;
        }
    }
    return NULL;
}

static sm_status unknown_option(const char *command, const argument *table, const char *word, size_t length)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    sm_nearest nearest = {.wanted = name + strspn(name, "-")};
    for (const argument *a = table; a->name; a++) {
        if (!is_positional(a)) {
            sm_nearest_consider(&nearest, a->name);
        }
    }
    if (nearest.best) {
        return sm_fail(SM_ERR_USAGE, "%s: unknown option %s, did you mean --%s?", command, name, nearest.best);
    }
    return sm_fail(SM_ERR_USAGE, "%s: unknown option %s; see 'sigmatic %s --help'%s", command, name, command,
                   find_option(table, "set", 3) ? "; a key of the config is set by --set SECTION.KEY=VALUE" : "");
}

/* One --option, with its value after '=' or as the next word. */
static sm_status parse_option(const char *command, const argument *table, int argc, char **argv, int *i)
{
    const char *word = argv[*i], *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    const argument *a = strncmp(word, "--", 2) == 0 ? find_option(table, word + 2, length - 2) : NULL;
    if (!a) {
        return unknown_option(command, table, word, length);
    }
    if (a->kind == ARGUMENT_FLAG) {
        *(int *)a->value = 1;
        return equals ? sm_fail(SM_ERR_USAGE, "%s: --%s takes no value", command, a->name) : SM_OK;
    }
    if (equals) {
        return set_value(command, a, equals + 1);
    }
    if (a->kind == ARGUMENT_MAYBE_TEXT && (*i + 1 >= argc || *argv[*i + 1] == '-')) {
        return set_value(command, a, "");
    }
    if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0) {
        const char *next = *i + 1 < argc ? argv[*i + 1] : "";
        return sm_fail(SM_ERR_USAGE, "%s: --%s needs a value (%s)%s%s%s", command, a->name, a->metavar,
                       *next ? ", but what follows is " : "", next,
                       *next ? "; a value that begins so stands behind '='" : "");
    }
    return set_value(command, a, argv[++*i]);
}

sm_status arguments_parse(const char *command, const char *summary, const argument *table, int argc, char **argv,
                          int is_root, int *help)
{
    sm_status status = SM_OK;
    int positionals = 0;
    *help = 0;
    for (int i = 1; i < argc; i++) {
        if (arguments_is_help(argv[i])) {
            if (is_root) {
                (help_form_chosen() ? help_form_chosen()->arguments : print_help)(command, summary, table);
            }
            *help = 1;
            return SM_OK;
        }
    }
    for (int i = 1; i < argc; i++) {
        if (*argv[i] == '-') {
            SM_TRY(parse_option(command, table, argc, argv, &i));
        } else {
            const argument *a = next_positional(table, positionals++);
            if (!a) {
                SM_TRY(sm_fail(SM_ERR_USAGE, "%s: unexpected argument '%s'; see 'sigmatic %s --help'", command, argv[i],
                               command));
            }
            SM_TRY(set_value(command, a, argv[i]));
        }
    }
    const argument *missing = next_positional(table, positionals);
    int is_given = missing && missing->kind == ARGUMENT_REST && ((const argument_words *)missing->value)->count > 0;
    if (missing && !is_optional(missing) && !is_given) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "%s: %s is missing; see 'sigmatic %s --help'", command, missing->name, command));
    }
done:
    return status;
}

int arguments_read_size(const char *text, int least, int most, int *height, int *width)
{
    int h = 0, w = 0, end = 0;
    if (sscanf(text, "%6dx%6d%n", &h, &w, &end) != 2 || text[end] != '\0' || h < least || w < least || h > most ||
        w > most) {
        return 0;
    }
    *height = h;
    *width = w;
    return 1;
}
