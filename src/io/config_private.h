/** \file
 * What the files config*.c share: config.c holds sections and keys and answers questions, config_value.c knows what a text may be, config_read.c
 * takes files and assignments apart, config_unknown.c answers what no table declares,
 * config_list.c and config_explain.c print what there is. */
#ifndef SIGMATIC_IO_CONFIG_PRIVATE_H
#define SIGMATIC_IO_CONFIG_PRIVATE_H

#include <sigmatic/io/config.h>

#include <stddef.h>
#include <stdint.h>

/* What a key has: its text and, by type, what the text means. */
typedef struct sm_config_value {
    char *text;   /* as written; NULL: a required key without a value */
    char *meant;  /* of a text or path: without quotes, HOME in place of ~ */
    char *origin; /* "file:line" or "--set"; NULL: the default */
    int file;     /* number of the file (text, --set) that gave it */
    int64_t integer;
    double real;
    size_t count;
    int64_t *integers;
    double *reals;
    char **texts;
} sm_config_value;

typedef struct sm_config_entry {
    char *section;     /* as in the file: "task.semantic" */
    char *begun;       /* of an instance: where its section stands first, "file:line" or "--set" */
    size_t in_section; /* entries of this section, which follow one another */
    const sm_key *key;
    sm_config_value value;
} sm_config_entry;

struct sm_config {
    const sm_key **keys; /* of all tables */
    size_t key_count;
    const sm_key **former; /* rows of SM_KEY_FORMER */
    size_t former_count;
    const sm_key **elsewhere; /* rows of SM_KEY_ELSEWHERE */
    size_t elsewhere_count;
    sm_config_entry *entries; /* by section in the order of their first mention, instances behind all others */
    size_t entry_count, entry_capacity;
    char **instances; /* full names of the sections made from templates; those of one template side by side, in order */
    size_t instance_count;
    int files;                         /* given numbers so far */
    int first_included, last_included; /* numbers of the files that the one read last includes */
    char *source;                      /* the file or text that was read last, without what it includes; NULL: none */
};

/* The end of a section's declared name that stands for any identifier. */
#define SM_CONFIG_TEMPLATE ".NAME"

/** \name Values (config_value.c) */
/** \{ */

/** Room for the words that say why a text is not a value of a key. */
typedef struct sm_config_reason {
    char text[512];
} sm_config_reason;

/** Reads `text`, which has no blanks around it. \return NULL, or what would have been allowed (in `why`). */
const char *sm_config_value_parse(const sm_key *key, const char *text, sm_config_value *v, sm_config_reason *why);
void sm_config_value_clear(sm_config_value *v);

/** \return what a value of the key may be: "expected an integer, at least 1". */
const char *sm_config_allowed(const sm_key *key, sm_config_reason *why);

/** Writes "0 .. 1", "at least 1", "at most 8" or "". \return `out` */
const char *sm_config_limits(const sm_key *key, char *out, size_t bytes);

/** \return "integer", ... as the reference says. */
const char *sm_config_type_name(sm_key_type type);

/** \return where the comment behind a value begins, or the end of `text`: ';' or '#' after a blank, but not in quotes. */
const char *sm_config_value_end(const char *text);

/** What a text means: without its quotes and, of a path, with HOME in place of a leading ~.
 * \param [out] meant  freed with sm_free(); NULL on failure
 * \return NULL, or what is wrong */
const char *sm_config_text_parse(const char *text, int is_path, char **meant);

/** Copies text[0..length) without the blanks around it; freed with sm_free(). */
char *sm_config_trimmed(const char *text, size_t length);
/** \} */

/** \name Sections and keys (config.c) */
/** \{ */
int sm_config_is_template(const char *section);

/** Is row `i` of config->keys the first of its section? So each section is met once, in order. */
int sm_config_begins_section(const sm_config *config, size_t i);

/** Does [name] have the keys of the declared `section`? */
int sm_config_section_matches(const char *section, const char *name);

/** \return NULL if there is no such section or key. */
sm_config_entry *sm_config_find(const sm_config *config, const char *section, const char *key);

/** Gives [section] an entry with its default for each key that is declared for it. */
void sm_config_add_section(sm_config *config, const char *section);
/** \} */

/** \name What is not declared (config_unknown.c) */
/** \{ */

/** A position for messages: "file:line", "--set". */
typedef struct sm_config_place {
    const char *name;
    int line; /* 0: none */
} sm_config_place;

/** \return freed with sm_free() */
char *sm_config_place_text(sm_config_place at);

/** \return SM_ERR_CONFIG, the message behind the place */
sm_status sm_config_fail_at(sm_config_place at, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** \return the declared name ("task.NAME") of [section], or NULL */
const char *sm_config_declared(const sm_config *config, const char *section);

/** \return SM_ERR_CONFIG, naming the nearest section, or all */
sm_status sm_config_unknown_section(const sm_config *config, const char *section, sm_config_place at);

/** \return SM_ERR_CONFIG, naming the nearest key of [section], the section that has the key, or all keys */
sm_status sm_config_unknown_key(const sm_config *config, const char *section, const char *name, sm_config_place at);

/** \return "run.batch" for the name of a key without its section, for what others call it, or for a similar name; NULL;
 * freed with sm_free() */
char *sm_config_guess(const sm_config *config, const char *name);

/** \return the row in which `name` is what other programs call a key, one of [section] first; NULL: none
 * \param section  where `name` was looked for; NULL: anywhere */
const sm_key *sm_config_elsewhere(const sm_config *config, const char *section, const char *name);

/** Says what `what` is here, as a row of SM_KEY_ELSEWHERE knows. \return SM_ERR_CONFIG */
sm_status sm_config_called_elsewhere(const sm_key *row, const char *what, sm_config_place at);
/** \} */

#endif
