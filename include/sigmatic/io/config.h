/** \file
 * Strict INI configuration. Modules export tables of keys; the command joins them; anything that no table declares is an error that names the file, the line, the key, what was found and what is allowed.
 *
 *     ; a comment; also '#'; at the start of a line or after a blank
 *     include = base.ini          ; only before the first section; relative to this file, which overrides what it includes
 *     [data]
 *     train = ~/a.h5, "b, #2.h5"  ; in quotes commas, ';' and '#' are plain; ~ at the start of a path is HOME
 *     [optimizer]
 *     learning_rate = 0.01
 *     [task.semantic]             ; an instance of a section declared as "task.NAME"
 *     weight = 2
 *
 * A key may stand once in a file, and a file is included once, by itself or by another: what it says a second time would undo what was said since. A text, path or list item that begins with a quote (") ends with the next one. Later reads and sets override earlier ones. Relative paths mean the working directory; the resolved text keeps all as written.
 * Not collective; not thread-safe while it is changed. */
#ifndef SIGMATIC_IO_CONFIG_H
#define SIGMATIC_IO_CONFIG_H

#include <sigmatic/base/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sm_key_type {
    SM_KEY_BOOL,     /**< true false yes no on off */
    SM_KEY_INTEGER,  /**< int64_t, decimal */
    SM_KEY_REAL,     /**< double, finite */
    SM_KEY_TEXT,     /**< anything on one line, may be empty */
    SM_KEY_CHOICE,   /**< one of `choices` */
    SM_KEY_PATH,     /**< text that names a file or folder */
    SM_KEY_INTEGERS, /**< comma-separated list, may be empty */
    SM_KEY_REALS,
    SM_KEY_TEXTS, /**< elements are trimmed and not empty; with `choices` each is one of them */
    SM_KEY_PATHS,
    SM_KEY_FORMER, /**< no key, but a word that the choice of this name once had: `choices` is now called `fallback` */
    SM_KEY_ELSEWHERE /**< no key, but what other programs call the key of this name, or without a name the section: words in
                        `choices`, those that begin with a dot only where they stand in this section; `help`, if any,
                        says what differs. Section "": what is no key here; `help` says what there is instead */
} sm_key_type;

/** One row of a module's table; a row with section NULL ends it. */
typedef struct sm_key {
    const char *section; /**< "optimizer", or a template "task.NAME": any [task.<identifier>] has these keys */
    const char *name;
    sm_key_type type;
    const char *fallback; /**< default as text; NULL: the key is required */
    double min, max;      /**< of a number, or of each in a list, both included; min == max (0, 0): no limits */
    const char *choices;  /**< "sgd|adamw", or NULL */
    const char *unit;     /**< for the reference, or NULL */
    const char *help;     /**< one sentence for the reference */
} sm_key;

typedef struct sm_config sm_config;

/** Joins tables; all keys have their defaults. A section may be spread over several tables, a key may not (asserted).
 * \param tables  NULL-terminated; must outlive the config
 * \return freed with sm_config_free() */
sm_config *sm_config_new(const sm_key *const *tables);

/** NULL is legal. */
void sm_config_free(sm_config *config);

/** Reads a file over what is there. SM_ERR_IO: cannot be read; SM_ERR_CONFIG: any of the mistakes above, a file that includes itself, or that is included twice; messages name the file and line where the key stands, of several mistakes each in a line of its own. After a failure the config is only good for freeing. */
sm_status sm_config_read(sm_config *config, const char *path);

/** Reads text, e.g. of sm_config_text() from a checkpoint. `name` takes the file's place in messages; `include` is refused.
 * A choice's former word means the present one here; files and --set are told what to write instead. */
sm_status sm_config_read_text(sm_config *config, const char *name, const char *text);

/** Sets "section.key=value" ("task.semantic.weight=2"); messages name --set. A new instance of a template is made if the name is new. */
sm_status sm_config_set(sm_config *config, const char *assignment);

/** SM_ERR_CONFIG naming the first required key without a value, the file and, of an instance, the line where its section begins. Call before getting values. */
sm_status sm_config_check(const sm_config *config);

/** Leaves out the instances of "<family>.NAME" that the list [section] key does not name, as though they had not been given; an empty list
 * keeps all. SM_ERR_CONFIG: a name without a section, and nothing is left out. Call before sm_config_check(): what is left out may lack keys. */
sm_status sm_config_keep_instances(sm_config *config, const char *family, const char *section, const char *key);

/** \return the resolved configuration: every key with its value, readable by sm_config_read_text(), which gives the same config and the same text. Freed with sm_free(). */
char *sm_config_text(const sm_config *config);

/** Instances of the template "<family>.NAME" in the order in which they first appeared.
 * \param [out] sections  full names ("task.semantic"), owned by the config, valid until it changes; may be NULL
 * \return how many */
size_t sm_config_sections(const sm_config *config, const char *family, const char *const **sections);

/** \return "semantic" of "task.semantic". */
const char *sm_config_instance(const char *section);

/** Values. An undeclared key, a wrong type or a required key without a value is a bug (asserted). Pointers are owned by the config and valid until that key changes. */
int sm_config_bool(const sm_config *config, const char *section, const char *key);
int64_t sm_config_integer(const sm_config *config, const char *section, const char *key);
double sm_config_real(const sm_config *config, const char *section, const char *key);
/** Also of a choice and a path. */
const char *sm_config_text_of(const sm_config *config, const char *section, const char *key);
/** \return the position of the value in the key's `choices`, from 0. */
int sm_config_choice(const sm_config *config, const char *section, const char *key);
/** Of the lists; sm_config_texts() also of paths.
 * \param [out] count  elements of the list */
const int64_t *sm_config_integers(const sm_config *config, const char *section, const char *key, size_t *count);
const double *sm_config_reals(const sm_config *config, const char *section, const char *key, size_t *count);
const char *const *sm_config_texts(const sm_config *config, const char *section, const char *key, size_t *count);

/** Says that a key counts only while another one has certain values; a row with section NULL ends a table. */
typedef struct sm_key_condition {
    /** As declared: "task.NAME" is every task's, and as other_section too that of the same task. */
    const char *section, *key, *other_section, *other_key;
    const char *values; /**< of the other key: "sgd", "false|no|off"; "!0": any but 0; "!": any but the empty one */
} sm_key_condition;

/** Warns of each key that was given a value other than its default without any effect, by its place, name and reason;
 * not of one in an included file, if what takes its effect stands elsewhere.
 * Any rank prints: call it on one. Of several conditions on one key the first that is not met is named. */
void sm_config_warn_without_effect(const sm_config *config, const sm_key_condition *conditions);

/** Puts "<file>:<line>: [section] key: " before the message of a failure that is about what the key names, such as a file.
 * \return `status`; nothing is done with SM_OK */
sm_status sm_config_name_key(const sm_config *config, const char *section, const char *key, sm_status status);

/** Fails with SM_ERR_CONFIG and "<file>:<line>: [section] key = value: <message>", for checks that one row cannot express. */
sm_status sm_config_fail(const sm_config *config, const char *section, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#ifdef __clang_analyzer__ /* as of sm_fail() */
#define sm_config_fail(...) (sm_config_fail(__VA_ARGS__), SM_ERR_CONFIG)
#endif

#ifdef __cplusplus
}
#endif
#endif
