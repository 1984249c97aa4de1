#include "cli/help_form.h"

#include <sigmatic/base/version.h>
#include <sigmatic/train/settings.h>

#include <stdio.h>
#include <string.h>

static const help_form *chosen;

const help_form *help_form_chosen(void)
{
    return chosen;
}

static int is_option(const argument *a)
{
    return a->kind != ARGUMENT_POSITIONAL && a->kind != ARGUMENT_REST;
}

/* ---- a manual page (man 7 man) ------------------------------------------------------------------------------------ */

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
        if (!is_option(a)) {
            printf(a->name[length] ? " [\\fI%.*s\\fR]" : " \\fI%.*s\\fR", length, a->name);
        }
    }
    printf(" [\\fIOPTION\\fR]...\n");
    man_text(summary);
    for (const argument *a = table; a->name; a++) {
        if (is_option(a)) {
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

/* \return the next key of all tables, but of words that only old files have; NULL at the end */
static const sm_key *next_key(const sm_key *const **table, const sm_key *key)
{
    key = key ? key + 1 : **table;
    while (key && (!key->section || key->type == SM_KEY_FORMER)) {
        key = key->section ? key + 1 : *++*table;
    }
    return key;
}

static int is_first_of_section(const sm_key *key)
{
    const sm_key *const *table = sm_all_keys();
    const sm_key *each = next_key(&table, NULL);
    while (strcmp(each->section, key->section) != 0) {
        each = next_key(&table, each);
    }
    return each == key;
}

static void man_end(void)
{
    printf(".SH CONFIGURATION\nSections of a config and their keys; \\fBsigmatic train \\-\\-help\\-config\\fR\n"
           ".I SECTION.KEY\nexplains one.\n");
    const sm_key *const *table = sm_all_keys();
    for (const sm_key *key = next_key(&table, NULL); key; key = next_key(&table, key)) {
        const sm_key *const *inner = sm_all_keys();
        if (is_first_of_section(key)) {
            printf(".SS [%s]\n", key->section);
            for (const sm_key *own = next_key(&inner, NULL); own; own = next_key(&inner, own)) {
                if (strcmp(own->section, key->section) == 0) {
                    man_key(own);
                }
            }
        }
    }
}

/* ---- a completion of bash ----------------------------------------------------------------------------------------- */

static void bash_begin(const char *summary)
{
    (void)summary;
    printf("# Completion of sigmatic " SM_VERSION " for bash, as 'sigmatic --help-bash' writes it.\n"
           "_sigmatic_rows() { # WORDS: what may come behind them\n    case $1 in\n");
}

static void bash_commands(const char *family, const char *summary, const command_row *table)
{
    (void)summary;
    printf("    '%s') commands='", family);
    for (const command_row *c = table; c->name; c++) {
        printf("%s%s", c == table ? "" : " ", c->name);
    }
    printf("' options='--help%s' ;;\n", strchr(family, ' ') ? "" : " --version");
}

/* Of "auto|FILE" the words that are no name of something else. */
static void bash_values(const char *command, const argument *a)
{
    static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ,:= ";
    int count = 0;
    for (const char *word = a->metavar; word && *word; word += strcspn(word, "|"), word += *word == '|') {
        size_t length = strcspn(word, "|");
        if (strcspn(word, others) >= length) {
            if (count++ == 0) {
                printf("    'sigmatic %s --%s') values='", command, a->name);
            }
            printf("%.*s ", (int)length, word);
        }
    }
    if (count > 0) {
        printf("' ;;\n");
    }
}

static void bash_arguments(const char *command, const char *summary, const argument *table)
{
    (void)summary;
    printf("    'sigmatic %s') options='--help", command);
    for (const argument *a = table; a->name; a++) {
        if (is_option(a)) {
            printf(" --%s", a->name);
        }
    }
    printf("' with_value='");
    for (const argument *a = table; a->name; a++) {
        if (is_option(a) && a->kind != ARGUMENT_FLAG) {
            printf(" --%s", a->name);
        }
    }
    printf(" ' ;;\n");
    for (const argument *a = table; a->name; a++) {
        bash_values(command, a);
    }
}

static const char bash_function[] =
    "_sigmatic() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} path=sigmatic\n"
    "    local i commands options values with_value\n"
    "    _sigmatic_rows \"$path\"\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        [[ \" $commands \" == *\" ${COMP_WORDS[i]} \"* ]] || break\n"
    "        path+=\" ${COMP_WORDS[i]}\" commands='' options=''\n"
    "        _sigmatic_rows \"$path\"\n"
    "    done\n"
    "    COMPREPLY=()\n"
    "    if [[ $before == --set ]]; then\n"
    "        compopt -o nospace\n"
    "        COMPREPLY=($(compgen -S = -W \"$_sigmatic_keys\" -- \"$word\"))\n"
    "    elif [[ $before == --help-config ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$_sigmatic_keys\" -- \"$word\"))\n"
    "    elif [[ $with_value == *\" $before \"* ]]; then\n"
    "        _sigmatic_rows \"$path $before\"\n"
    "        COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
    "    elif [[ $word == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
    "    else\n"
    "        COMPREPLY=($(compgen -W \"$commands\" -- \"$word\"))\n"
    "    fi\n"
    "}\n"
    "complete -o default -F _sigmatic sigmatic\n";

static void bash_end(void)
{
    printf("    esac\n}\n_sigmatic_keys='");
    const sm_key *const *table = sm_all_keys();
    for (const sm_key *key = next_key(&table, NULL); key; key = next_key(&table, key)) {
        if (!strstr(key->section, "NAME")) {
            printf("%s.%s ", key->section, key->name);
        }
    }
    printf("'\n%s", bash_function);
}

const help_form help_forms[] = {
    {"--help-man", man_begin, man_commands, man_arguments, man_end},
    {"--help-bash", bash_begin, bash_commands, bash_arguments, bash_end},
    {0},
};

sm_status help_form_print(const help_form *form, command_context *context, const char *summary,
                          const command_row *commands)
{
    char family[] = "sigmatic", help[] = "--help", *words[] = {family, help, NULL};
    int is_root = sm_comm_rank(context->comm) == 0;
    chosen = form;
    if (is_root) {
        form->begin(summary);
    }
    sm_status status = command_dispatch(context, family, summary, commands, 2, words);
    if (is_root && status == SM_OK) {
        form->end();
    }
    chosen = NULL;
    return status;
}
