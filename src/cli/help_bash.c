/* Help as a completion of bash. */
#include "cli/help_form.h"

#include <sigmatic/base/version.h>

#include <stdio.h>
#include <string.h>

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
        if (help_form_is_option(a)) {
            printf(" --%s", a->name);
        }
    }
    printf("' with_value='");
    for (const argument *a = table; a->name; a++) {
        if (help_form_is_option(a) && a->kind != ARGUMENT_FLAG) {
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
    for (const sm_key *key = help_form_next_key(&table, NULL); key; key = help_form_next_key(&table, key)) {
        if (!strstr(key->section, "NAME")) {
            printf("%s.%s ", key->section, key->name);
        }
    }
    printf("'\n%s", bash_function);
}

const help_form help_bash = {"--help-bash", bash_begin, bash_commands, bash_arguments, bash_end};
