#include <sigmatic/base/memory.h>
#include <sigmatic/data/import.h>
#include <sigmatic/io/config_help.h>
#include <sigmatic/train/settings.h>
#include <sigmatic/train/train.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"

#include <stdio.h>

/* The reference: keys of configs, and of the files that describe data. */
static void print_reference(void)
{
    const sm_config_manual manual = sm_settings_manual();
    puts("\n## Keys of a config");
    sm_config_reference(&manual, stdout);
    for (int i = 0; sm_importers[i]; i++) {
        if (sm_importers[i]->keys) {
            const sm_config_manual description = {.tables = sm_importers[i]->keys};
            printf("\n## Keys of a description of data (`sigmatic data %s --describe`)\n", sm_importers[i]->name);
            sm_config_reference(&description, stdout);
        }
    }
}

/* What --help-config and --reference ask for, on the rank that prints. \param topic  NULL: the reference; "": the list */
static sm_status print_keys(const char *topic, int is_root)
{
    const sm_config_manual manual = sm_settings_manual();
    if (topic && *topic) {
        return sm_config_explain(&manual, topic, is_root ? stdout : NULL);
    }
    if (is_root && topic) {
        sm_config_help(manual.tables, stdout);
        puts("\n--help-config SECTION.KEY explains one of them in full, --help-config SECTION those of one section");
    } else if (is_root) {
        print_reference();
    }
    return SM_OK;
}

sm_status command_train(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    sm_config *config = NULL;
    sm_train_options options = {0};
    static const char usual_window[] = "10:12";
    const char *window = usual_window;
    const char *path = NULL;
    argument_list sets = {0};
    const char *topic = NULL;
    int help, reference = 0, print_config = 0;
    const argument table[] = {
        {"CONFIG?", ARGUMENT_POSITIONAL, &path, NULL, "the run's configuration (INI); see --help-config"},
        {"set", ARGUMENT_LIST, &sets, "SECTION.KEY=VALUE", "override a key; may be repeated"},
        {"resume", ARGUMENT_TEXT, &options.resume, "auto|FILE|FOLDER",
         "go on from the newest checkpoint of the run folder, from a checkpoint, or from the newest of a run's folder"},
        {"overwrite", ARGUMENT_FLAG, &options.overwrite, NULL, "replace what an earlier run left in the run folder"},
        {"dry-run", ARGUMENT_FLAG, &options.dry_run, NULL, "print ops, parameters, memory and FLOPs, then stop"},
        {"json", ARGUMENT_FLAG, &options.json, NULL,
         "with --dry-run: print one JSON object instead (include/README.md, JSON)"},
        {"trace", ARGUMENT_TEXT, &options.trace, "FILE",
         "write a timeline of some steps (chrome://tracing, Perfetto); replaces earlier timelines only"},
        {"trace-steps", ARGUMENT_TEXT, &window, "A:B", "its steps (10:12)"},
        {"print-config", ARGUMENT_FLAG, &print_config, NULL, "print the resolved configuration and stop"},
        {"help-config", ARGUMENT_MAYBE_TEXT, &topic, "[TOPIC]",
         "list every key with default, range and meaning; TOPIC, SECTION.KEY or SECTION, explains in full"},
        {"reference", ARGUMENT_FLAG, &reference, NULL, "print the explanations of all keys (Markdown)"},
        {0},
    };
    SM_TRY(command_arguments(context, "train", "Trains a network as CONFIG says.", table, argc, argv, &help));
    if (help) {
        goto done;
    }
    if (topic || reference) {
        SM_TRY(print_keys(topic, sm_comm_rank(context->comm) == 0));
        goto done;
    }
    long long first, last;
    if (sscanf(window, "%lld:%lld", &first, &last) != 2 || first < 1 || last < first) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "train: --trace-steps '%s': two step numbers FIRST:LAST expected", window));
    }
    options.trace_first = first;
    options.trace_last = last;
    if (window != usual_window && !options.trace) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "train: --trace-steps goes with --trace FILE"));
    }
    if (options.resume && options.overwrite) {
        SM_TRY(sm_fail(SM_ERR_USAGE,
                       "train: --resume goes on with a run, --overwrite replaces it: only one of them expected"));
    }
    if (options.json && !options.dry_run) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "train: --json goes with --dry-run; 'sigmatic show RUN.h5 --json' prints a run"));
    }
    if (!path) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "train: CONFIG is missing; see 'sigmatic train --help'"));
    }
    SM_TRY(sm_comm_agree(context->comm, command_config(path, NULL, &sets, &config)));
    if (sm_comm_rank(context->comm) == 0) {
        sm_settings_warn_without_effect(config);
    }
    if (print_config) {
        SM_TRY(sm_comm_agree(context->comm, sm_train_check_config(config)));
        if (sm_comm_rank(context->comm) == 0) {
            char *text = sm_config_text(config);
            fputs(text, stdout);
            sm_free(text);
        }
        goto done;
    }
    status = sm_train(config, context->comm, &options, &context->started);
done:
    sm_config_free(config);
    return status;
}
