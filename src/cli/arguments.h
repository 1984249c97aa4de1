/** \file
 * Command lines from a table: positional arguments and --options, --help generated from the same rows. */
#ifndef SIGMATIC_CLI_ARGUMENTS_H
#define SIGMATIC_CLI_ARGUMENTS_H

#include <sigmatic/base/status.h>

#include <limits.h>
#include <stddef.h>

/** Default of an ARGUMENT_INTEGER whose absence is to be told from every number. */
#define ARGUMENT_NOT_GIVEN LLONG_MIN

typedef enum argument_kind {
    ARGUMENT_POSITIONAL, /* text; required unless its name ends with "?" */
    ARGUMENT_REST,       /* argument_words: the positional ones behind those before, one or more; last */
    ARGUMENT_FLAG,       /* int */
    ARGUMENT_TEXT,       /* const char * */
    ARGUMENT_MAYBE_TEXT, /* const char *; its value, behind '=' or the next word unless that is an option, may be left out:
                            then "" */
    ARGUMENT_INTEGER,    /* long long */
    ARGUMENT_REAL,       /* double */
    ARGUMENT_LIST        /* argument_list: may be repeated */
} argument_kind;

typedef struct argument_list {
    const char *items[256];
    int count;
} argument_list;

typedef struct argument_words {
    const char **items; /* freed with sm_free() */
    int count;
} argument_words;

typedef struct argument {
    const char *name; /* "CONFIG", or "resume" for --resume; NULL ends the table */
    argument_kind kind;
    void *value; /* by kind; holds the default */
    const char
        *metavar; /* of options with a value: "FILE"; "auto|FILE", words in small letters are meant as they stand;
                            "a|b,..." several of them joined by commas */
    const char *help;
} argument;

/** Parses argv[1..]. A word that begins with "--" is no value of the option before it. --help sets *help, and prints the usage if `is_root`.
 * \return SM_ERR_USAGE naming the argument, and the nearest option if there is none of that name */
sm_status arguments_parse(const char *command, const char *summary, const argument *table, int argc, char **argv,
                          int is_root, int *help);

/** \return 1 for --help and -h */
int arguments_is_help(const char *word);

/** Prints a row of a help text: the word, and behind it what it means, in as many lines as that takes. */
void arguments_print_row(const char *word, const char *meaning);

/** Reads "HxW": whole numbers from `least` to `most`, and nothing behind them.
 * \param [out] height, width  untouched on failure
 * \return 1 if the text is such a size */
int arguments_read_size(const char *text, int least, int most, int *height, int *width);

#endif
