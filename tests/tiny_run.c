#include "tiny_run.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/scenes_dataset.h>

#include <math.h>
#include <string.h>

char *tiny_dataset(void)
{
    static int written;
    char *path = sm_format("%s/tiny.h5", sm_test_folder());
    if (!written) {
        sm_scenes_dataset_options options = {
            .output = path, .scene = sm_scene_options_default(), .train = TINY_TRAIN, .validation = TINY_VALIDATION};
        options.scene.height = 64;
        options.scene.width = 96;
        options.scene.seed = 4;
        SM_TEST_OK(sm_scenes_dataset_write(test_comm, &options));
        written = 1;
    }
    return path;
}

sm_config *tiny_config(const char *const *sets)
{
    char *dataset = tiny_dataset();
    char *text = sm_format(
        "[run]\nfolder = %s/run\nprecision = highest\nbatch = 5\nsteps = 100\nseed = 3\nprogress_seconds = 1000000\n"
        "[model]\nbackbone = resnet18\nwidth = 0.0625\naspp_rates = 1,2,3\n[data]\ntrain = %s\n"
        "[task.semantic]\nkind = semantic\n[task.instance]\nkind = instance\n[task.depth]\nkind = depth\n"
        "[optimizer]\nlearning_rate = 0.02\nweight_decay = 0.001\n[distributed]\nthreads = 1\n",
        sm_test_folder(), dataset);
    sm_config *config = sm_config_new(sm_all_keys());
    SM_TEST_OK(sm_config_read_text(config, "tiny.ini", text));
    for (int i = 0; sets && sets[i]; i++) {
        SM_TEST_OK(sm_config_set(config, sets[i]));
    }
    SM_TEST_OK(sm_settings_check(config));
    sm_free(text);
    sm_free(dataset);
    return config;
}

static void tiny_describe_loader(tiny_run *run)
{
    const sm_session *session = run->session;
    for (int i = 0; i < session->task_count; i++) {
        run->builders[i] = sm_task_builder(session->tasks[i]);
    }
    run->options = (sm_loader_options){.dataset = run->train,
                                       .builders = run->builders,
                                       .task_count = session->task_count,
                                       .batch = session->settings.batch,
                                       .rank = sm_comm_rank(session->comm),
                                       .size = sm_comm_size(session->comm),
                                       .seed = session->settings.seed,
                                       .order = SM_LOADER_SHUFFLED,
                                       .augmentation = &run->augmentation,
                                       .input = *sm_dataset_input(run->train),
                                       .micro_batches = session->settings.micro_batches};
    run->options.input.height = run->augmentation.crop_height;
    run->options.input.width = run->augmentation.crop_width;
}

void tiny_start_loader(tiny_run *run)
{
    sm_loader_free(run->loader);
    run->options.start_position = run->trainer->position;
    SM_TEST_OK(sm_loader_new(&run->options, &run->loader));
}

/* \return what sm_trainer_new() says: else there is neither trainer nor evaluator nor loader */
static sm_status open_run(tiny_run *run, sm_comm *comm, sm_config *config, int shares, const sm_weighting_kind *kind)
{
    sm_status status = SM_OK;
    *run = (tiny_run){.config = config};
    SM_TEST_OK(sm_data_open_train(config, &run->train));
    SM_TEST_OK(sm_data_open_validation(config, &run->validation));
    SM_TEST_OK(sm_data_augmentation(config, run->train, &run->augmentation));
    SM_TEST_OK(sm_session_new(config, comm, run->train, &run->session));
    if (!shares) {
        sm_session_stop_sharing(run->session);
    }
    if (kind) {
        run->session->weighting->kind = kind;
        run->session->weighting->needs = kind->needs;
        SM_TEST_OK(kind->make ? kind->make(run->session->weighting, config) : SM_OK);
    }
    tiny_describe_loader(run);
    SM_TRY(sm_trainer_new(run->session, run->options.input.height, run->options.input.width,
                          sm_loader_capacity(&run->options), run->session->settings.steps, &run->trainer));
    sm_input whole = run->options.input;
    whole.height = run->augmentation.height;
    whole.width = run->augmentation.width;
    SM_TEST_OK(sm_evaluator_new(run->session, run->validation, &whole, NULL, &run->evaluator));
    sm_trainer_bind(run->trainer);
    tiny_start_loader(run);
done:
    return status;
}

void tiny_open_as(tiny_run *run, sm_comm *comm, sm_config *config, int shares)
{
    SM_TEST_OK(open_run(run, comm, config, shares, NULL));
}

sm_status tiny_open_weighted(tiny_run *run, sm_comm *comm, sm_config *config, const sm_weighting_kind *kind)
{
    return open_run(run, comm, config, 1, kind);
}

void tiny_open(tiny_run *run, sm_comm *comm, sm_config *config)
{
    tiny_open_as(run, comm, config, 1);
}

void tiny_close(tiny_run *run)
{
    sm_loader_free(run->loader);
    sm_evaluator_free(run->evaluator);
    sm_trainer_free(run->trainer);
    sm_session_free(run->session);
    sm_dataset_close(run->train);
    sm_dataset_close(run->validation);
    sm_config_free(run->config);
}

void tiny_steps(tiny_run *run, int count)
{
    for (int i = 0; i < count; i++) {
        int done;
        SM_TEST_OK(sm_trainer_step(run->trainer, run->loader, 0, &done));
        CU_ASSERT(!done);
    }
}

sm_status tiny_next_spoiled(void *user, const sm_batch **batch)
{
    static sm_batch spoiled;
    static float image[3 * 64 * 96 * 8];
    sm_status status = sm_loader_next(((tiny_run *)user)->loader, batch);
    if (status == SM_OK && *batch && (*batch)->count_local > 0) {
        size_t numbers = 3 * (size_t)(*batch)->count_local * (size_t)(*batch)->height * (size_t)(*batch)->width;
        CU_ASSERT_FATAL(numbers <= sizeof image / sizeof *image);
        memcpy(image, (*batch)->input, numbers * sizeof *image);
        image[7] = NAN;
        spoiled = **batch;
        spoiled.input = image;
        *batch = &spoiled;
    }
    return status;
}

size_t tiny_parameter_floats(const tiny_run *run)
{
    return run->session->parameters->parameters.floats;
}

size_t tiny_buffer_floats(const tiny_run *run)
{
    return run->session->parameters->buffers.floats;
}

float *tiny_copy(const float *values, size_t count)
{
    return memcpy(sm_alloc(count * sizeof *values), values, count * sizeof *values);
}

int tiny_same_bits(const float *a, const float *b, size_t count)
{
    return memcmp(a, b, count * sizeof *a) == 0;
}

void tiny_same_on_all_ranks(const float *values, size_t count)
{
    float *root = tiny_copy(values, count);
    sm_comm_broadcast(test_comm, root, count * sizeof *root, 0);
    CU_ASSERT(tiny_same_bits(values, root, count));
    sm_free(root);
}

double tiny_parameters_differ(const tiny_run *a, const tiny_run *b)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < tiny_parameter_floats(a); i++) {
        double x = a->session->values[i], y = b->session->values[i];
        error += (x - y) * (x - y);
        norm += y * y;
    }
    return sqrt(error / norm);
}
