/* Help as a manual page (man 7 man). */
#include "cli/help_form.h"

#include <sigmatic/base/version.h>

#include <stdio.h>
#include <string.h>

static void man_character(char character)
{
    if (character == '\\') {
        fputs("\\e", stdout);
    } else {
        printf(character == '-' ? "\\%c" : "%c", character);
    }
}

/* Text as it is, whatever groff would make of it; lines that end within a sentence are filled. */
static void man_text(const char *text)
{
    char before = '\n';
    for (; *text; before = *text++) {
        if (before == '\n' && (*text == '.' || *text == '\'')) {
            fputs("\\&", stdout);
        }
        if (*text != '\n') {
            man_character(*text);
        } else if (before == '\n') {
            fputs(".sp\n", stdout);
        } else {
            fputs(strchr(".:;", before) && text[1] != '\n' ? "\n.br\n" : "\n", stdout);
        }
    }
    putchar('\n');
}

static void man_option(const argument *option)
{
    fputs(".TP\n\\fB\\-\\-", stdout);
    for (const char *name = option->name; *name; name++) {
        man_character(*name);
    }
    printf("\\fR%s%s\n", option->metavar ? " " : "", option->metavar ? option->metavar : "");
}

static const char man_head[] = ".TH SIGMATIC 1 \"\" \"Sigmatic " SM_VERSION "\" \"User Commands\"\n"
                               ".ad l\n"
                               ".SH NAME\n"
                               "sigmatic \\- multi\\-task training that weighs its own losses\n"
                               ".SH SYNOPSIS\n"
                               ".B sigmatic\n.I COMMAND\n[\\fIOPTION\\fR]...\n"
                               ".br\n"
                               ".B mpirun \\-n\n.I N\n.B sigmatic\n.I COMMAND\n[\\fIOPTION\\fR]...\n"
                               ".SH DESCRIPTION\n";

static void man_begin(const char *summary)
{
    fputs(man_head, stdout);
    man_text(summary);
    printf(".SH COMMANDS\n");
}

static void man_commands(const char *family, const char *summary, const command_row *table)
{
    if (strchr(family, ' ')) { /* what the program itself is, man_begin() has said */
        printf(".SS %s \\fICOMMAND\\fR\n", family);
        man_text(summary);
    }
    for (const command_row *c = table; c->name; c++) {
        printf(".TP\n.B %s %s\n", family, c->name);
        man_text(c->summary);
    }
}

static void man_arguments(const char *command, const char *summary, const argument *table)
{
    printf(".SS sigmatic %s", command);
    for (const argument *a = table; a->name; a++) {
        int length = (int)strcspn(a->name, "?");
        if (!help_form_is_option(a)) {
            printf(a->name[length] ? " [\\fI%.*s\\fR]" : " \\fI%.*s\\fR", length, a->name);
        }
    }
    printf(" [\\fIOPTION\\fR]...\n");
    man_text(summary);
    for (const argument *a = table; a->name; a++) {
        if (help_form_is_option(a)) {
            man_option(a);
        } else {
            printf(".TP\n.I %.*s\n", (int)strcspn(a->name, "?"), a->name);
        }
        man_text(a->help);
    }
}

static void man_key(const sm_key *key)
{
    printf(".TP\n.B %s\n", key->name);
    man_text(key->help);
    printf(".br\n");
    for (const char *choice = key->choices; choice && *choice;
         choice += strcspn(choice, "|"), choice += *choice == '|') {
        printf("%s%.*s", choice == key->choices ? "One of " : ", ", (int)strcspn(choice, "|"), choice);
    }
    fputs(key->choices ? ".\n" : "", stdout);
    if (key->min < key->max) {
        printf("From %g to %g%s%s.\n", key->min, key->max, key->unit ? " " : "", key->unit ? key->unit : "");
    }
    printf(key->fallback ? "Default: " : "Required.\n");
    man_text(!key->fallback ? "" : *key->fallback ? key->fallback : "none.");
}

static int is_first_of_section(const sm_key *key)
{
    const sm_key *const *table = sm_all_keys();
    const sm_key *each = help_form_next_key(&table, NULL);
    while (strcmp(each->section, key->section) != 0) {
        each = help_form_next_key(&table, each);
    }
    return each == key;
}

static void man_end(void)
{
    printf(".SH CONFIGURATION\nSections of a config and their keys; \\fBsigmatic train \\-\\-help\\-config\\fR\n"
           ".I SECTION.KEY\nexplains one.\n");
    const sm_key *const *table = sm_all_keys();
    for (const sm_key *key = help_form_next_key(&table, NULL); key; key = help_form_next_key(&table, key)) {
        const sm_key *const *inner = sm_all_keys();
        if (is_first_of_section(key)) {
            printf(".SS [%s]\n", key->section);
            for (const sm_key *own = help_form_next_key(&inner, NULL); own; own = help_form_next_key(&inner, own)) {
                if (strcmp(own->section, key->section) == 0) {
                    man_key(own);
                }
            }
        }
    }
}

const help_form help_man = {"--help-man", man_begin, man_commands, man_arguments, man_end};
