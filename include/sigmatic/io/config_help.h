/** \file
 * What people read about the keys of a configuration: the list of all, one key or section explained, the reference as
 * Markdown. All of it comes from the tables of keys, of conditions (config.h) and of texts. */
#ifndef SIGMATIC_IO_CONFIG_HELP_H
#define SIGMATIC_IO_CONFIG_HELP_H

#include <sigmatic/io/config.h>

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a key, or a section, is for, in full sentences; a row with section NULL ends a table. */
typedef struct sm_key_text {
    const char *section; /**< as declared: "task.NAME" */
    const char *key;     /**< NULL: the section as a whole */
    const char *text;    /**< not what type, default, limits and conditions say already */
    const char *see;     /**< "run.epochs, schedule.kind": what else to look at, or NULL */
} sm_key_text;

/** All there is to say of some tables of keys. */
typedef struct sm_config_manual {
    const sm_key *const *tables;        /**< as of sm_config_new() */
    const sm_key_condition *conditions; /**< or NULL */
    const sm_key_text *texts;           /**< or NULL; a key without a text is explained by its `help` */
} sm_config_manual;

/** Prints a line a key, by section in the order of their first rows: name, type, default, range or choices, unit, help. */
void sm_config_help(const sm_key *const *tables, FILE *stream);

/** Explains a section or a key: what it may be, its default, what it does, when it has no effect, what depends on it, and
 * what else to look at.
 * \param topic   "run.batch", "run"; of a template "task.NAME.kind", "task.kind", "task.depth.kind", "task"; a key's name
 *                alone explains it in every section that has it
 * \param stream  NULL: the topic is only checked
 * \return SM_ERR_CONFIG naming the nearest section or key */
sm_status sm_config_explain(const sm_config_manual *manual, const char *topic, FILE *stream);

/** Prints a Markdown section with a table for each section of the configuration. */
void sm_config_reference(const sm_config_manual *manual, FILE *stream);

#ifdef __cplusplus
}
#endif
#endif
