/** \file
 * Other forms of all help texts than --help: a manual page, a completion of bash. Made from the same rows. */
#ifndef SIGMATIC_CLI_HELP_FORM_H
#define SIGMATIC_CLI_HELP_FORM_H

#include "cli/arguments.h"
#include "cli/command.h"

#include <sigmatic/train/settings.h>

/** How help is written while a form is chosen: instead of its text, each command's rows. */
typedef struct help_form {
    const char *option; /* of the program, that chooses it: "--help-man" */
    void (*begin)(const char *summary);
    void (*commands)(const char *family, const char *summary, const command_row *table);
    void (*arguments)(const char *command, const char *summary, const argument *table);
    void (*end)(void);
} help_form;

extern const help_form help_man, help_bash;

/** From now on help is written in this form; NULL: as text. */
void help_form_choose(const help_form *form);

/** \return the form in which help is written; NULL: as text. */
const help_form *help_form_chosen(void);

int help_form_is_option(const argument *a);

/** Goes through the keys of all configs, but for words that only old files or other programs have.
 * \param [in,out] table  sm_all_keys() at first
 * \param key             NULL at first
 * \return the next key; NULL at the end */
const sm_key *help_form_next_key(const sm_key *const **table, const sm_key *key);

#endif
