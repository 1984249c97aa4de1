#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/help_form.h"

#include <stdio.h>
#include <string.h>

static void list_commands(const char *family, const char *summary, const command_row *table)
{
    printf("usage: %s COMMAND ...\n\n%s\n\n", family, summary);
    for (const command_row *c = table; c->name; c++) {
        arguments_print_row(c->name, c->summary);
    }
    printf("\n'%s COMMAND --help' explains one\n", family);
}

/* In another form than a text, with what each of the commands says. */
static sm_status print_help(command_context *context, const char *family, const char *summary, const command_row *table)
{
    const help_form *form = help_form_chosen();
    if (sm_comm_rank(context->comm) == 0) {
        (form ? form->commands : list_commands)(family, summary, table);
    }
    for (const command_row *c = table; form && c->name; c++) {
        char *name = sm_strdup(c->name), help[] = "--help", *words[] = {name, help, NULL};
        sm_status status = c->run(context, 2, words);
        sm_free(name);
        if (status != SM_OK) {
            return status;
        }
    }
    return SM_OK;
}

sm_status command_dispatch(command_context *context, const char *family, const char *summary, const command_row *table,
                           int argc, char **argv)
{
    if (argc < 2) {
        return sm_fail(SM_ERR_USAGE, "no command given; see '%s --help'", family);
    }
    sm_nearest nearest = {.wanted = argv[1]};
    if (arguments_is_help(argv[1]) || strcmp(argv[1], "help") == 0) {
        return print_help(context, family, summary, table);
    }
    for (const command_row *c = table; c->name; c++) {
        if (strcmp(argv[1], c->name) == 0) {
            return c->run(context, argc - 1, argv + 1);
        }
        sm_nearest_consider(&nearest, c->name);
    }
    if (nearest.best) {
        return sm_fail(SM_ERR_USAGE, "%s: unknown command '%s', did you mean '%s'?", family, argv[1], nearest.best);
    }
    return sm_fail(SM_ERR_USAGE, "%s: unknown command '%s'; see '%s --help'", family, argv[1], family);
}
