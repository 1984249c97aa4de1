#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/evaluator.h>

#include "cli/arguments.h"
#include "cli/checkpoint_data.h"
#include "cli/command.h"
#include "cli/configuration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct eval_options {
    const char *checkpoint, *data, *split, *predictions;
    long long prediction_count;
    int no_average, trivial, json;
    argument_list sets;
} eval_options;

/* Before all work: one typing error must not cost a dataset or a checkpoint. */
static sm_status check_predictions(sm_comm *comm, const char *path)
{
    int looks = path && sm_comm_rank(comm) == 0;
    return sm_comm_agree(comm, looks ? sm_evaluator_check_predictions(path) : SM_OK);
}

/* The network learnt with the training set's mean and std; without that file the evaluated one's stand in. */
static sm_status open_train(const eval_options *options, const sm_config *config, sm_dataset **train)
{
    const char *split = sm_config_text_of(config, "data", "train_split");
    if (checkpoint_data_open(config, options->checkpoint, "train", split, "--set data.train=FILE", train) == SM_OK) {
        return SM_OK;
    }
    *train = NULL;
    return options->trivial ? sm_fail(SM_ERR_INPUT, "--trivial needs the training files of the checkpoint's config: %s",
                                      sm_error_message())
                            : SM_OK;
}

static sm_status open_data(const eval_options *options, const sm_config *config, sm_dataset **train,
                           sm_dataset **dataset)
{
    sm_status status = SM_OK;
    const char *split = options->split ? options->split : sm_config_text_of(config, "data", "validation_split");
    size_t validation_files;
    sm_config_texts(config, "data", "validation", &validation_files);
    const char *key = validation_files > 0 ? "validation" : "train";
    if (*split == 0) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "eval: the checkpoint's config has no validation_split; name one with --split"));
    }
    if (options->data) {
        SM_TRY(sm_dataset_open(&options->data, 1, split, dataset));
    } else {
        SM_TRY(checkpoint_data_open(config, options->checkpoint, key, split, "--data", dataset));
        checkpoint_data_announce(config, options->checkpoint, key);
    }
    SM_TRY(open_train(options, config, train));
    if (options->trivial && (options->data || validation_files > 0)) {
        checkpoint_data_announce(config, options->checkpoint, "train");
    }
done:
    return status;
}

static sm_status evaluate_trivial(sm_evaluator *evaluator, const sm_session *session, sm_dataset *train, double *values)
{
    sm_status status = SM_OK;
    size_t tasks = (size_t)session->task_count;
    float **maps = sm_alloc_zeroed(tasks * sizeof *maps);
    const float **fixed = sm_alloc_zeroed(tasks * sizeof *fixed);
    SM_TRY(sm_evaluator_learn_trivial(evaluator, train, (size_t)1 << 30, maps));
    for (size_t i = 0; i < tasks; i++) {
        fixed[i] = maps[i];
    }
    SM_TRY(sm_evaluator_run(evaluator, &(sm_evaluation){.fixed = fixed}, values));
done:
    for (size_t i = 0; i < tasks; i++) {
        sm_free(maps[i]);
    }
    sm_free(maps);
    sm_free(fixed);
    return status;
}

/* Another number of classes makes another decoder: that is the dataset's doing, not the checkpoint's. */
static sm_status check_classes(const eval_options *options, const sm_session *session, const sm_dataset *dataset)
{
    sm_status status = SM_OK;
    for (int i = 0; i < session->task_count; i++) {
        const sm_task *task = session->tasks[i];
        const char *target = task->target->name;
        int learnt;
        if (!task->target->classes) {
            continue;
        }
        SM_TRY(sm_checkpoint_task_channels(options->checkpoint, task->name, &learnt));
        if (learnt > 0 && learnt != sm_task_outputs(task)) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s has %d classes of '%s', but task '%s' of %s has learnt %d",
                           sm_dataset_target_file(dataset, target), task->channels, target, task->name,
                           options->checkpoint, learnt));
        }
    }
done:
    return status;
}

static sm_status print_results(const eval_options *options, const sm_evaluator *evaluator, const sm_dataset *dataset,
                               const sm_augmentation *size, const double *values, const double *trivial)
{
    if (!options->json) {
        sm_log_result("%s on %lld samples at %dx%d", options->checkpoint, (long long)sm_dataset_count(dataset),
                      size->height, size->width);
        sm_evaluator_report(evaluator, values, trivial);
        return SM_OK;
    }
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "checkpoint", options->checkpoint);
    sm_json_set_integer(json, "samples", sm_dataset_count(dataset));
    sm_json_set_integer(json, "height_pixels", size->height);
    sm_json_set_integer(json, "width_pixels", size->width);
    sm_evaluator_set_json(evaluator, values, trivial, sm_json_set_object(json, "tasks"));
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

static sm_status evaluate(sm_comm *comm, const eval_options *options, const sm_config *config)
{
    sm_status status = SM_OK;
    sm_dataset *train = NULL, *dataset = NULL;
    sm_session *session = NULL;
    sm_evaluator *evaluator = NULL;
    sm_augmentation augmentation;
    double *values = NULL, *trivial = NULL;
    SM_TRY(sm_comm_agree(comm, open_data(options, config, &train, &dataset)));
    int64_t missing = !train; /* a training set that one rank cannot read is nobody's: all take the same statistics */
    sm_comm_max_int64(comm, &missing, 1);
    if (missing) {
        sm_dataset_close(train);
        train = NULL;
    }
    const sm_dataset *reference = train ? train : dataset;
    SM_TRY(sm_comm_agree(comm, sm_data_augmentation(config, reference, &augmentation)));
    sm_input input = *sm_dataset_input(reference);
    input.height = augmentation.height;
    input.width = augmentation.width;
    SM_TRY(sm_session_new(config, comm, dataset, &session));
    SM_TRY(sm_comm_agree(comm, sm_comm_rank(comm) == 0 ? check_classes(options, session, dataset) : SM_OK));
    SM_TRY(sm_comm_agree(comm, sm_evaluator_new(session, dataset, &input, &evaluator)));
    SM_TRY(sm_checkpoint_load(session, NULL, options->checkpoint, !options->no_average));
    size_t bytes = (size_t)sm_evaluator_value_count(evaluator) * sizeof(double);
    values = sm_alloc(bytes);
    SM_TRY(sm_evaluator_run(
        evaluator, &(sm_evaluation){.predictions = options->predictions, .prediction_count = options->prediction_count},
        values));
    if (options->trivial) {
        trivial = sm_alloc(bytes);
        SM_TRY(evaluate_trivial(evaluator, session, train, trivial));
    }
    SM_TRY(sm_comm_agree(comm, sm_comm_rank(comm) == 0
                                   ? print_results(options, evaluator, dataset, &augmentation, values, trivial)
                                   : SM_OK));
    if (options->predictions) {
        sm_log_info("predictions: %s", options->predictions);
    }
done:
    sm_free(values);
    sm_free(trivial);
    sm_evaluator_free(evaluator);
    sm_session_free(session);
    sm_dataset_close(dataset);
    sm_dataset_close(train);
    return status;
}

sm_status command_eval(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    sm_config *config = NULL;
    static const int USUAL_COUNT = 8;
    eval_options options = {.prediction_count = USUAL_COUNT};
    int help;
    const argument table[] = {
        {"CHECKPOINT", ARGUMENT_POSITIONAL, &options.checkpoint, NULL, "runs/NAME/checkpoints/best.h5, or any other"},
        {"data", ARGUMENT_TEXT, &options.data, "FILE",
         "dataset file; default: the validation files of the checkpoint's config, here or above the checkpoint"},
        {"split", ARGUMENT_TEXT, &options.split, "NAME",
         "its split; default: validation_split of the checkpoint's config"},
        {"predictions", ARGUMENT_TEXT, &options.predictions, "FILE",
         "write pictures and maps of the first samples (HDF5); replaces earlier predictions only"},
        {"prediction-count", ARGUMENT_INTEGER, &options.prediction_count, "N",
         "how many samples --predictions writes (8)"},
        {"trivial", ARGUMENT_FLAG, &options.trivial, NULL,
         "compare with the trivial predictor, learnt from the training files of the config"},
        {"no-average", ARGUMENT_FLAG, &options.no_average, NULL, "use the last parameters, not their moving average"},
        {"json", ARGUMENT_FLAG, &options.json, NULL, "print one JSON object instead of a table (README, Files)"},
        {"set", ARGUMENT_LIST, &options.sets, "SECTION.KEY=VALUE", "override a key of the checkpoint's config"},
        {0},
    };
    SM_TRY(command_arguments(context, "eval", "Evaluates a checkpoint; any number of ranks gives the same numbers.",
                             table, argc, argv, &help));
    if (!help) {
        if (options.prediction_count < 1) {
            SM_TRY(
                sm_fail(SM_ERR_USAGE, "eval: --prediction-count %lld: at least 1 expected", options.prediction_count));
        }
        if (options.prediction_count != USUAL_COUNT && !options.predictions) {
            SM_TRY(sm_fail(SM_ERR_USAGE, "eval: --prediction-count goes with --predictions FILE"));
        }
        SM_TRY(check_predictions(context->comm, options.predictions));
        SM_TRY(checkpoint_config(context->comm, options.checkpoint, &options.sets, &config));
        char *ranks = sm_format("%s.ranks", options.checkpoint);
        sm_comm_set_stall_limit(sm_config_real(config, "distributed", "stall_seconds"));
        sm_comm_set_stall_folder(ranks);
        sm_free(ranks);
        SM_TRY(evaluate(context->comm, &options, config));
    }
done:
    sm_config_free(config);
    return status;
}
