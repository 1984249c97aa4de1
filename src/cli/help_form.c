#include "cli/help_form.h"

static const help_form *chosen;

void help_form_choose(const help_form *form)
{
    chosen = form;
}

const help_form *help_form_chosen(void)
{
    return chosen;
}

int help_form_is_option(const argument *a)
{
    return a->kind != ARGUMENT_POSITIONAL && a->kind != ARGUMENT_REST;
}

const sm_key *help_form_next_key(const sm_key *const **table, const sm_key *key)
{
    key = key ? key + 1 : **table;
    while (key && (!key->section || key->type == SM_KEY_FORMER || key->type == SM_KEY_ELSEWHERE)) {
        key = key->section ? key + 1 : *++*table;
    }
    return key;
}
