#include "cli/configuration.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/import.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/train/settings.h>

#include <stdio.h>
#include <string.h>

sm_status command_arguments(const command_context *context, const char *command, const char *summary,
                            const argument *table, int argc, char **argv, int *help)
{
    return arguments_parse(command, summary, table, argc, argv, sm_comm_rank(context->comm) == 0, help);
}

/* \return the importer of which `path` describes the data: the file is right for it; NULL: none */
static const sm_importer *described_importer(const char *path)
{
    for (int i = 0; sm_importers[i]; i++) {
        if (sm_importers[i]->keys) {
            sm_config *description = sm_config_new(sm_importers[i]->keys);
            sm_status status = sm_config_read(description, path);
            sm_config_free(description);
            if (status == SM_OK) {
                return sm_importers[i];
            }
        }
    }
    return NULL;
}

/* What else the project writes, and what takes it. */
static sm_status refuse_own_file(const char *path)
{
    static const struct {
        const char *format, *use;
    } own[] = {
        {"sigmatic-dataset", "a dataset, which a config names: [data] train = FILE"},
        {"sigmatic-checkpoint",
         "a checkpoint: --resume FILE goes on with it, 'sigmatic predict' and 'sigmatic eval' take it"},
        {"sigmatic-run", "the log of a run, for 'sigmatic show FILE'"},
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (sm_h5_has_format(path, own[i].format)) {
            return sm_fail(SM_ERR_INPUT, "%s: this file is %s; a config (INI) expected", path, own[i].use);
        }
    }
    return SM_OK;
}

/* Both kinds of INI lie side by side: who gives the wrong one is told what it is. */
static sm_status read_file(sm_config *config, const char *path)
{
    sm_status own = refuse_own_file(path);
    sm_status status = own == SM_OK ? sm_config_read(config, path) : own;
    if (status != SM_ERR_CONFIG) {
        return status;
    }
    char *message = sm_strdup(sm_error_message());
    const sm_importer *importer = described_importer(path);
    status = importer
                 ? sm_fail(SM_ERR_CONFIG,
                           "%s: this file describes data: it is for 'sigmatic data %s ROOT OUTPUT.h5 --describe FILE'; "
                           "a config has [model], [data] and [task.NAME]",
                           path, importer->name)
                 : sm_fail(SM_ERR_CONFIG, "%s", message);
    sm_free(message);
    return status;
}

sm_status command_config(const char *path, const char *text, const argument_list *sets, sm_config **out)
{
    sm_status status = SM_OK;
    sm_config *config = sm_config_new(sm_all_keys());
    SM_TRY(text ? sm_config_read_text(config, path, text) : read_file(config, path));
    for (int i = 0; i < sets->count; i++) {
        SM_TRY(sm_config_set(config, sets->items[i]));
    }
    SM_TRY(sm_settings_check(config));
    *out = config;
    config = NULL;
done:
    sm_config_free(config);
    return status;
}
