/* A program of one's own: registers a backbone, a weighting and a task kind, and trains them in a loop of its own.
 *
 *     cc *.c $(pkg-config --cflags --libs sigmatic) -o own_training
 *     mpirun -n 2 ./own_training FOLDER
 *
 * It writes a data set of 24 street scenes into FOLDER, trains 30 steps, prints every tenth, and evaluates:
 * the same on any number of ranks. */
#include "own_kinds.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/data/scenes_dataset.h>
#include <sigmatic/train/evaluator.h>
#include <sigmatic/train/init.h>
#include <sigmatic/train/trainer.h>

#include <stdio.h>

static const char config_text[] = "[run]\nbatch = 4\nsteps = 30\n"
                                  "[model]\nbackbone = plain\ndepth = 5\nwidth = 0.25\naspp_rates = 1,2,3\n"
                                  "[task.classes]\nkind = semantic\n"
                                  "[task.near]\nkind = log_disparity\nleast_disparity = 0.25\n"
                                  "[weighting]\nmethod = balanced\nmemory = 0.8\n"
                                  "[optimizer]\nkind = adamw\nlearning_rate = 0.01\n"
                                  "[distributed]\nreproducible = true\n";

static sm_status register_own(void)
{
    sm_status status = SM_OK;
    SM_TRY(sm_backbone_register(&own_plain));
    SM_TRY(sm_weighting_register(&own_balanced));
    SM_TRY(sm_task_kind_register(&own_log_disparity));
done:
    return status;
}

static sm_status write_scenes(sm_comm *comm, const char *path)
{
    sm_scenes_dataset_options options = {
        .output = path, .scene = sm_scene_options_default(), .train = 16, .validation = 8, .overwrite = 1};
    options.scene.height = 64;
    options.scene.width = 96;
    return sm_scenes_dataset_write(comm, &options);
}

static sm_status make_config(const char *dataset, sm_config **out)
{
    sm_status status = SM_OK;
    char *train = sm_format("data.train=\"%s\"", dataset);
    *out = sm_config_new(sm_all_keys()); /* with the keys of what is registered */
    SM_TRY(sm_config_read_text(*out, "own_training", config_text));
    SM_TRY(sm_config_set(*out, train));
    SM_TRY(sm_settings_check(*out));
done:
    sm_free(train);
    return status;
}

static void print_step(const sm_session *session, const sm_step_record *record)
{
    if (sm_comm_rank(session->comm) == 0 && (record->step == 1 || record->step % 10 == 0)) {
        printf("step %2d", (int)record->step);
        for (int k = 0; k < session->task_count; k++) {
            printf("   %s: loss %.4f weight %.4f", session->tasks[k]->name, record->task_loss[k], record->weight[k]);
        }
        printf("\n");
    }
}

static sm_status evaluate(sm_evaluator *evaluator)
{
    const sm_evaluation plain = {0};
    double *values = sm_alloc_zeroed((size_t)sm_evaluator_value_count(evaluator) * sizeof *values);
    sm_status status = sm_evaluator_run(evaluator, &plain, values);
    if (status == SM_OK) {
        sm_evaluator_report(evaluator, values, NULL); /* rank 0 prints */
    }
    sm_free(values);
    return status;
}

/* What sm_train() does, without run log and checkpoints. Engines come before memory, memory before the first step. */
static sm_status train(const sm_config *config, sm_comm *comm)
{
    sm_status status = SM_OK;
    sm_dataset *data = NULL, *validation = NULL;
    sm_session *session = NULL;
    sm_trainer *trainer = NULL;
    sm_evaluator *evaluator = NULL;
    sm_target_builder *builders = NULL;
    sm_loader *loader = NULL;
    int at_end = 0;

    SM_TRY(sm_comm_agree(comm, sm_data_open_train(config, &data)));
    SM_TRY(sm_comm_agree(comm, sm_data_open_validation(config, &validation)));
    SM_TRY(sm_session_new(config, comm, data, &session));
    builders = sm_session_target_builders(session);
    sm_loader_options options = {.dataset = data,
                                 .builders = builders,
                                 .task_count = session->task_count,
                                 .batch = session->settings.batch,
                                 .rank = sm_comm_rank(comm),
                                 .size = sm_comm_size(comm),
                                 .seed = session->settings.seed,
                                 .order = SM_LOADER_SHUFFLED,
                                 .input = *sm_dataset_input(data)};
    SM_TRY(sm_trainer_new(session, options.input.height, options.input.width, sm_loader_capacity(&options),
                          session->settings.steps, &trainer));
    SM_TRY(sm_evaluator_new(session, validation, &options.input, NULL, &evaluator));
    sm_trainer_bind(trainer);
    SM_TRY(sm_comm_agree(comm, sm_loader_new(&options, &loader)));
    while (trainer->step < session->settings.steps && !at_end) {
        SM_TRY(sm_trainer_step(trainer, loader, 0, &at_end));
        print_step(session, &trainer->record);
    }
    SM_TRY(evaluate(evaluator));
done:
    sm_loader_free(loader);
    sm_free(builders);
    sm_evaluator_free(evaluator);
    sm_trainer_free(trainer);
    sm_session_free(session);
    sm_dataset_close(validation);
    sm_dataset_close(data);
    return status;
}

int main(int argc, char **argv)
{
    sm_status status = SM_OK;
    sm_config *config = NULL;
    sm_comm *comm = sm_init(&argc, &argv);
    char *dataset = sm_format("%s/scenes.h5", argc > 1 ? argv[1] : ".");

    SM_TRY(register_own());
    SM_TRY(write_scenes(comm, dataset));
    SM_TRY(sm_comm_agree(comm, make_config(dataset, &config)));
    SM_TRY(train(config, comm));
done:
    if (status != SM_OK && sm_comm_rank(comm) == 0) {
        fprintf(stderr, "own_training: %s\n", sm_error_message());
    }
    sm_config_free(config);
    sm_free(dataset);
    sm_finalize();
    return sm_status_exit_code(status, 0);
}
