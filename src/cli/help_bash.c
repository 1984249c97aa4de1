/* Help as a completion of bash. */
#include "cli/help_form.h"

#include <sigmatic/base/memory.h>
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

/* \return 1 if it printed words of "a|b" or "auto|FILE", but for those that are names of something else */
static int bash_words(const char *words, const char *begin)
{
    static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ[.:= ";
    int count = 0;
    for (const char *word = words; word && *word; word += strcspn(word, "|,"), word += *word != '\0') {
        size_t length = strcspn(word, "|,");
        if (strcspn(word, others) >= length) {
            printf("%s%.*s", count++ == 0 ? begin : " ", (int)length, word);
        }
    }
    return count > 0;
}

static void bash_values(const char *command, const argument *a)
{
    char *begin = sm_format("    'sigmatic %s --%s') values='", command, a->name);
    if (bash_words(a->metavar, begin)) {
        printf("'%s ;;\n", strchr(a->metavar, ',') ? " joined=yes" : "");
    }
    sm_free(begin);
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
    "_sigmatic_sections() { # CONFIG: its sections with a name of their own, and those of what it includes\n"
    "    local files=(\"$1\") file included i\n"
    "    for ((i = 0; i < ${#files[@]} && i < 20; i++)); do\n"
    "        file=${files[i]}\n"
    "        sed -n 's/^[[:blank:]]*\\[\\([a-z_]*\\.[A-Za-z0-9_]*\\)\\].*/\\1/p' \"$file\"\n"
    "        while read -r included; do\n"
    "            [[ $included == /* ]] || included=$(dirname \"$file\")/$included\n"
    "            files+=(\"$included\")\n"
    "        done < <(sed -n "
    "'s/^[[:blank:]]*include[[:blank:]]*[=:][[:blank:]]*\"\\{0,1\\}\\([^\";#]*[^\";#[:space:]]\\).*/\\1/p' \"$file\")\n"
    "    done 2>/dev/null\n"
    "}\n"
    "_sigmatic_keys() { # CONFIG: all keys, those of its tasks; without any those of tasks that are called as their "
    "kinds\n"
    "    local key section sections values\n"
    "    sections=$([[ -z $1 ]] || _sigmatic_sections \"$1\")\n"
    "    if [[ -z $sections ]]; then\n"
    "        _sigmatic_values task.NAME.kind\n"
    "        sections=$(printf 'task.%s ' $values)\n"
    "    fi\n"
    "    echo \"$_sigmatic_plain\"\n"
    "    for key in $_sigmatic_named; do\n"
    "        for section in $sections; do\n"
    "            [[ $section != \"${key%%.NAME*}\".* ]] || echo \"$section${key#*.NAME}\"\n"
    "        done\n"
    "    done\n"
    "}\n"
    "_sigmatic() {\n"
    "    local i path=sigmatic words=() word before part config='' list='' suffix='' prefix=''\n"
    "    local commands='' options='' values='' with_value='' joined=''\n"
    "    for ((i = 0; i <= COMP_CWORD; i++)); do # bash cuts words at '='\n"
    "        if [[ $i -gt 0 && (${COMP_WORDS[i]} == '=' || ${COMP_WORDS[i-1]} == '=') ]]; then\n"
    "            words[${#words[@]}-1]+=${COMP_WORDS[i]}\n"
    "        else\n"
    "            words+=(\"${COMP_WORDS[i]}\")\n"
    "        fi\n"
    "        [[ ${COMP_WORDS[i]} != *.ini || -n $config ]] || config=${COMP_WORDS[i]}\n"
    "    done\n"
    "    word=${words[${#words[@]}-1]} before=${words[${#words[@]}-2]} part=$word\n"
    "    [[ $word != --*=* ]] || before=${word%%=*} part=${word#*=}\n"
    "    _sigmatic_rows \"$path\"\n"
    "    for ((i = 1; i < ${#words[@]} - 1; i++)); do\n"
    "        [[ \" $commands \" == *\" ${words[i]} \"* ]] || break\n"
    "        path+=\" ${words[i]}\" commands='' options=''\n"
    "        _sigmatic_rows \"$path\"\n"
    "    done\n"
    "    if [[ $before == --set && $part == *=* ]]; then\n"
    "        _sigmatic_values \"${part%%=*}\"\n"
    "        list=$values part=${part#*=}\n"
    "    elif [[ $before == --set ]]; then\n"
    "        compopt -o nospace\n"
    "        list=$(_sigmatic_keys \"$config\") suffix='='\n"
    "    elif [[ $before == --help-config ]]; then\n"
    "        list=\"$_sigmatic_plain $_sigmatic_named\"\n"
    "    elif [[ $with_value == *\" $before \"* ]]; then\n"
    "        _sigmatic_rows \"$path $before\"\n"
    "        list=$values\n"
    "    elif [[ $word == -* ]]; then\n"
    "        list=$options\n"
    "    else\n"
    "        list=$commands\n"
    "    fi\n"
    "    [[ $COMP_WORDBREAKS == *=* ]] || prefix=${word%\"$part\"}\n"
    "    [[ -z $joined || $part != *,* ]] || prefix+=${part%,*}, part=${part##*,}\n"
    "    COMPREPLY=($(compgen -P \"$prefix\" -S \"$suffix\" -W \"$list\" -- \"$part\"))\n"
    "}\n"
    "complete -o default -F _sigmatic sigmatic\n";

/* Keys of sections with a NAME, or those of the others. */
static void bash_keys(const char *variable, int named)
{
    printf("%s='", variable);
    const sm_key *const *table = sm_all_keys();
    for (const sm_key *key = help_form_next_key(&table, NULL); key; key = help_form_next_key(&table, key)) {
        if (!strstr(key->section, "NAME") == !named) {
            printf("%s.%s ", key->section, key->name);
        }
    }
    puts("'");
}

/* The words that a key may be; of task.NAME, which stands for any task, too. */
static void bash_choices(const sm_key *key)
{
    const char *choices = key->type == SM_KEY_BOOL ? "true|false" : key->choices;
    const char *name = strstr(key->section, "NAME");
    char *begin = sm_format("    %.*s%s.%s) values='", name ? (int)(name - key->section) : (int)strlen(key->section),
                            key->section, name ? "*" : "", key->name);
    if (bash_words(choices, begin)) {
        printf("'%s ;;\n", key->type == SM_KEY_TEXTS ? " joined=yes" : "");
    }
    sm_free(begin);
}

static void bash_end(void)
{
    puts("    esac\n}\n_sigmatic_values() { # KEY: what it may be\n    case $1 in");
    const sm_key *const *table = sm_all_keys();
    for (const sm_key *key = help_form_next_key(&table, NULL); key; key = help_form_next_key(&table, key)) {
        bash_choices(key);
    }
    puts("    esac\n}");
    bash_keys("_sigmatic_plain", 0);
    bash_keys("_sigmatic_named", 1);
    fputs(bash_function, stdout);
}

const help_form help_bash = {"--help-bash", bash_begin, bash_commands, bash_arguments, bash_end};
