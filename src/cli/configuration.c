#include "cli/configuration.h"

#include <sigmatic/train/settings.h>

#include <stdio.h>
#include <string.h>

sm_status command_arguments(const command_context *context, const char *command, const char *summary,
                            const argument *table, int argc, char **argv, int *help)
{
    return arguments_parse(command, summary, table, argc, argv, sm_comm_rank(context->comm) == 0, help);
}

sm_status command_config(const char *path, const char *text, const argument_list *sets, sm_config **out)
{
    sm_status status = SM_OK;
    sm_config *config = sm_config_new(sm_all_keys());
    SM_TRY(text ? sm_config_read_text(config, path, text) : sm_config_read(config, path));
    for (int i = 0; i < sets->count; i++) {
        SM_TRY(sm_config_set(config, sets->items[i]));
    }
    SM_TRY(sm_config_check(config));
    *out = config;
    config = NULL;
done:
    sm_config_free(config);
    return status;
}
