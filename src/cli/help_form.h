/** \file
 * Other forms of all help texts than --help: a manual page, a completion of bash. Made from the same rows. */
#ifndef SIGMATIC_CLI_HELP_FORM_H
#define SIGMATIC_CLI_HELP_FORM_H

#include "cli/arguments.h"
#include "cli/command.h"

/** How help is written while a form is chosen: instead of its text, each command's rows. */
typedef struct help_form {
    const char *option; /* of the program, that chooses it: "--help-man" */
    void (*begin)(const char *summary);
    void (*commands)(const char *family, const char *summary, const command_row *table);
    void (*arguments)(const char *command, const char *summary, const argument *table);
    void (*end)(void);
} help_form;

/** All forms; ends with a NULL option. */
extern const help_form help_forms[];

/** \return the form in which help is written; NULL: as text. */
const help_form *help_form_chosen(void);

/** Writes the help of the program and all its commands in a form.
 * \param run  the dispatch of the program, called for its --help */
sm_status help_form_print(const help_form *form, command_context *context, const char *summary,
                          const command_row *commands);

#endif
