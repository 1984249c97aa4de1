/* ranks: 1 2 3 */
#include "tiny_run.h"
#include "train/evaluator_views.h"

#include <sigmatic/data/data_options.h>
#include <sigmatic/data/scenes_dataset.h>
#include <sigmatic/ops/resize.h>
#include <sigmatic/train/predictor.h>

#include <math.h>
#include <string.h>

enum { HEIGHT = 64, WIDTH = 96 };

/* ---- the same numbers on any number of ranks ---- */

typedef struct measured {
    double values[TINY_VALUES], losses[TINY_TASKS], *class_values;
    int count, class_count;
} measured;

static measured measure(sm_comm *comm, const sm_evaluator_options *options, const char *const *sets)
{
    measured found = {.count = 0};
    sm_config *config = tiny_config(sets);
    sm_dataset *dataset;
    sm_session *session;
    sm_evaluator *evaluator = NULL;
    SM_TEST_OK(sm_data_open_validation(config, &dataset));
    SM_TEST_OK(sm_session_new(config, comm, dataset, &session));
    SM_TEST_OK(sm_evaluator_new(session, dataset, sm_dataset_input(dataset), options, &evaluator));
    found.count = sm_evaluator_value_count(evaluator);
    found.class_count = sm_evaluator_class_value_count(evaluator);
    found.class_values = sm_alloc_zeroed(((size_t)found.class_count + 1) * sizeof(double));
    CU_ASSERT_FATAL(found.count <= TINY_VALUES);
    SM_TEST_OK(sm_evaluator_run(evaluator, &(sm_evaluation){.class_values = found.class_values, .losses = found.losses},
                                found.values));
    sm_evaluator_free(evaluator);
    sm_session_free(session);
    sm_dataset_close(dataset);
    sm_config_free(config);
    return found;
}

/* Networks of any batch round alike; only sums of errors are added in another order. */
static void compare_values(const double *found, const double *expected, int count)
{
    for (int i = 0; i < count; i++) {
        CU_ASSERT(isnan(found[i]) == isnan(expected[i]));
        CU_ASSERT(isnan(expected[i]) || fabs(found[i] - expected[i]) <= 1e-6 * fabs(expected[i]));
    }
}

static void compare_with_one_rank(const sm_evaluator_options *options, const char *const *sets)
{
    measured alone = {.count = 0}, together;
    sm_free(tiny_dataset());
    if (sm_comm_rank(test_comm) == 0) {
        alone = measure(sm_comm_self(), options, sets);
    }
    together = measure(test_comm, options, sets);
    if (sm_comm_rank(test_comm) == 0) {
        CU_ASSERT(alone.count == together.count && alone.class_count == together.class_count && alone.class_count > 0);
        compare_values(together.values, alone.values, alone.count);
        compare_values(together.class_values, alone.class_values, alone.class_count);
        compare_values(together.losses, alone.losses, TINY_TASKS);
    }
    sm_free(alone.class_values);
    sm_free(together.class_values);
}

static void any_number_of_ranks_measures_instances_alike(void)
{
    compare_with_one_rank(&(sm_evaluator_options){.instances = 1}, NULL);
}

static void any_number_of_ranks_measures_views_alike(void)
{
    static const double scales[] = {0.5, 1, 1.25};
    compare_with_one_rank(&(sm_evaluator_options){.scales = scales, .scale_count = 3, .flip = 1}, NULL);
}

/* One sample: the other ranks have none. */
static void ranks_without_samples_measure_alike(void)
{
    static const double scales[] = {0.5, 1};
    char *path = sm_format("%s/one.h5", sm_test_folder()), *data = sm_format("data.validation=%s", path);
    sm_scenes_dataset_options made = {.output = path, .scene = sm_scene_options_default(), .train = 1, .validation = 1};
    made.scene.height = HEIGHT;
    made.scene.width = WIDTH;
    SM_TEST_OK(sm_scenes_dataset_write(test_comm, &made));
    compare_with_one_rank(&(sm_evaluator_options){.scales = scales, .scale_count = 2, .flip = 1, .instances = 1},
                          (const char *[]){data, NULL});
    sm_free(data);
    sm_free(path);
}

/* ---- predictions that are no numbers ---- */

/* \param broken  task whose decoder has a NaN among its parameters; -1 none */
static void expect_unmeasured(sm_evaluator *evaluator, const sm_session *session, int broken)
{
    double values[TINY_VALUES];
    const sm_slices *slices = &session->parameters->parameters;
    float *parameters = tiny_copy(session->values, slices->floats);
    for (int i = 0; broken >= 0 && i < slices->count; i++) {
        char *bias = sm_format("decoders.%s.3.bias", session->tasks[broken]->name);
        if (strcmp(slices->items[i].name, bias) == 0) {
            parameters[slices->items[i].offset] = NAN;
        }
        sm_free(bias);
    }
    SM_TEST_OK(sm_evaluator_run(evaluator, &(sm_evaluation){.parameters = parameters}, values));
    for (int t = 0, v = 0; t < TINY_TASKS; t++) {
        const sm_metric *metric;
        for (int i = 0; (metric = sm_task_kind_metric(session->tasks[t]->kind, i)); i++, v++) {
            int reads = t == broken || (broken == 0 && strncmp(metric->name, "ap", 2) == 0);
            CU_ASSERT(reads ? isnan(values[v]) : !isnan(values[v]) || strstr(metric->name, "category") != NULL);
        }
    }
    sm_free(parameters);
}

/* The likeliest class of NaN would be the first, and the distance nothing at all: neither is measured. */
static void predictions_that_are_no_numbers_are_not_measured(void)
{
    sm_config *config = tiny_config(NULL);
    sm_dataset *dataset;
    sm_session *session;
    sm_evaluator *evaluator = NULL;
    SM_TEST_OK(sm_data_open_validation(config, &dataset));
    SM_TEST_OK(sm_session_new(config, test_comm, dataset, &session));
    SM_TEST_OK(sm_evaluator_new(session, dataset, sm_dataset_input(dataset), &(sm_evaluator_options){.instances = 1},
                                &evaluator));
    for (int broken = -1; broken < TINY_TASKS; broken++) {
        expect_unmeasured(evaluator, session, broken);
    }
    sm_evaluator_free(evaluator);
    sm_session_free(session);
    sm_dataset_close(dataset);
    sm_config_free(config);
}

/* ---- losses ---- */

/* A step over the whole split, normalised by running statistics, sees the losses that an evaluation of the split finds: at
 * the learned temperature, by class weights, over valid items only. Those of each pixel's own uncertainty are not found. */
static void losses_are_those_of_a_step_over_the_split(void)
{
    static const char *const sets[] = {"data.validation_split=train",
                                       "run.batch=13",
                                       "run.evaluate_batch=5",
                                       "data.flip=no",
                                       "distributed.batch_norm=frozen",
                                       "task.semantic.likelihood=categorical_scaled",
                                       "task.semantic.log_variance=1",
                                       "task.instance.loss=huber",
                                       "task.depth.uncertainty=per_pixel",
                                       NULL};
    tiny_run run;
    double values[TINY_VALUES], losses[TINY_TASKS] = {0};
    sm_calibration found[TINY_TASKS];
    tiny_open(&run, test_comm, tiny_config(sets));
    SM_TEST_OK(sm_evaluator_run(run.evaluator, &(sm_evaluation){.losses = losses}, values));
    sm_calibrate(run.session, NULL, losses, found);
    tiny_steps(&run, 1);
    const double *expected = run.trainer->record.task_loss;
    for (int t = 0; t < 2; t++) { /* networks of another batch may round in another order */
        SM_TEST_AT_MOST(fabs(losses[t] - expected[t]), 1e-5 * expected[t]);
    }
    CU_ASSERT(isnan(losses[2]) && isnan(found[2].residual_scale) && isnan(found[2].ratio));
    CU_ASSERT(fabs(found[0].sigma - exp(0.5)) < 1e-6 && isnan(found[0].residual_scale));
    float *average = tiny_copy(run.session->values, tiny_parameter_floats(&run)); /* what is evaluated in their place */
    average[run.session->parameters->parameters.items[run.session->log_variances[0]].offset] = 2;
    sm_calibration averaged[TINY_TASKS];
    sm_calibrate(run.session, average, losses, averaged);
    CU_ASSERT(fabs(averaged[0].sigma - exp(1)) < 1e-6);
    sm_free(average);
    const sm_loss_shape shape = {2, 1};
    CU_ASSERT(found[1].sigma == 1 && found[1].residual_scale > 1); /* vectors of pixels, still predicted as 0 */
    SM_TEST_AT_MOST(fabs(sm_likelihood_find("huber")->slope(losses[1], 0, 2 * log(found[1].residual_scale), shape)),
                    1e-9);
    tiny_close(&run);
}

/* ---- instances that are found ---- */

/* Evaluates predictions that are the truth of one sample, for every sample. \return the average precision */
static double precision_of_truth(sm_comm *comm, int sample)
{
    double values[TINY_VALUES], precision = NAN;
    const float *fixed[TINY_TASKS];
    const sm_batch *batch;
    sm_loader *loader;
    sm_dataset *dataset;
    sm_session *session;
    sm_evaluator *evaluator = NULL;
    sm_config *config = tiny_config(NULL);
    SM_TEST_OK(sm_data_open_validation(config, &dataset));
    SM_TEST_OK(sm_session_new(config, comm, dataset, &session));
    SM_TEST_OK(sm_evaluator_new(session, dataset, sm_dataset_input(dataset), &(sm_evaluator_options){.instances = 1},
                                &evaluator));
    sm_target_builder *builders = sm_session_target_builders(session);
    SM_TEST_OK(sm_loader_new(&(sm_loader_options){.dataset = dataset,
                                                  .builders = builders,
                                                  .task_count = session->task_count,
                                                  .batch = TINY_VALIDATION,
                                                  .size = 1,
                                                  .order = SM_LOADER_BLOCKS,
                                                  .epochs = 1,
                                                  .input = *sm_dataset_input(dataset)},
                             &loader));
    SM_TEST_OK(sm_loader_next(loader, &batch));
    size_t pixels = (size_t)batch->height * (size_t)batch->width, classes = (size_t)session->tasks[0]->channels;
    float *logits = sm_alloc_zeroed(pixels * classes * sizeof *logits);
    const uint8_t *truth = (const uint8_t *)batch->target[0] + (size_t)sample * pixels;
    for (size_t i = 0; i < pixels; i++) {
        logits[i * classes + (truth[i] < classes ? truth[i] : 0)] = 10;
    }
    fixed[0] = logits;
    fixed[1] = (const float *)batch->target[1] + 2 * (size_t)sample * pixels;
    fixed[2] = (const float *)batch->target[2] + (size_t)sample * pixels;
    SM_TEST_OK(sm_evaluator_run(evaluator, &(sm_evaluation){.fixed = fixed}, values));
    for (int t = 0, v = 0; t < session->task_count; t++) {
        const sm_metric *metric;
        for (int i = 0; (metric = sm_task_kind_metric(session->tasks[t]->kind, i)); i++, v++) {
            precision = strcmp(metric->name, "ap") == 0 ? values[v] : precision;
        }
    }
    sm_free(logits);
    sm_loader_free(loader);
    sm_free(builders);
    sm_evaluator_free(evaluator);
    sm_session_free(session);
    sm_dataset_close(dataset);
    sm_config_free(config);
    return precision;
}

/* What one rank finds, the others have looked for, and hold wrong predictions beside it: the same bits. */
static void found_instances_of_all_ranks_count(void)
{
    double alone = 0;
    int sample = TINY_VALIDATION;
    sm_free(tiny_dataset());
    while (!(alone > 0) && sample > 0) {
        sm_comm_barrier(test_comm);
        alone = precision_of_truth(sm_comm_self(), --sample);
    }
    CU_ASSERT(alone > 0 && alone < 100);
    CU_ASSERT(precision_of_truth(test_comm, sample) == alone);
}

/* ---- several views ---- */

enum { SAMPLES = 3 };

static sm_loader_options loader_of(sm_dataset *dataset, const sm_target_builder *builders, int tasks, int scale)
{
    sm_loader_options options = {.dataset = dataset,
                                 .builders = builders,
                                 .task_count = tasks,
                                 .batch = SAMPLES,
                                 .size = 1,
                                 .order = SM_LOADER_BLOCKS,
                                 .epochs = 1,
                                 .input = *sm_dataset_input(dataset)};
    options.input.height = HEIGHT / scale;
    options.input.width = WIDTH / scale;
    return options;
}

/* What a network of one view says of the first batch, mirrored or not, at (HEIGHT, WIDTH) by the readable resize, and not
 * yet mirrored back. */
static float *say(sm_evaluator_views *plain, sm_loader_options *options, int task, int mirrored)
{
    const sm_batch *batch;
    const float *const *logits;
    sm_loader *loader;
    SM_TEST_OK(sm_loader_new(options, &loader));
    SM_TEST_OK(sm_loader_next(loader, &batch));
    SM_TEST_OK(sm_evaluator_views_begin(plain));
    sm_batch seen = *batch;
    int height = options->input.height, width = options->input.width, channels = plain->session->tasks[task]->channels;
    float *image = sm_alloc((size_t)SAMPLES * (size_t)height * (size_t)width * 3 * sizeof *image);
    for (int i = 0; i < SAMPLES * height * width; i++) {
        int from = mirrored ? i - i % width + width - 1 - i % width : i;
        memcpy(image + 3 * (size_t)i, batch->input + 3 * (size_t)from, 3 * sizeof *image);
    }
    seen.input = image;
    SM_TEST_OK(sm_evaluator_views_run(plain, &seen, &logits));
    const sm_resize_shape shape = {height, width, HEIGHT, WIDTH, channels, 0};
    float *out = sm_alloc((size_t)SAMPLES * HEIGHT * WIDTH * (size_t)channels * sizeof *out);
    sm_resize_forward_ref(&shape, SAMPLES, logits[task], out);
    sm_evaluator_views_end(plain);
    sm_loader_free(loader);
    sm_free(image);
    return out;
}

/* By definition, in double: the mean of the softmax, of vectors and of disparities, each as of the whole image. */
static void expect(const sm_task *task, const float *said, int scale, int mirrored, double *mean)
{
    int channels = task->channels;
    for (int i = 0; i < SAMPLES * HEIGHT * WIDTH; i++) {
        int from = mirrored ? i - i % WIDTH + WIDTH - 1 - i % WIDTH : i;
        const float *own = said + (size_t)from * (size_t)channels;
        double sum = 0;
        for (int c = 0; c < channels; c++) {
            sum += exp(own[c]);
        }
        for (int c = 0; c < channels; c++) {
            int negated = mirrored && task->target->type == SM_TARGET_INSTANCE && c == 0;
            double value =
                sm_task_is_classification(task) ? exp(own[c]) / sum : scale * (double)(negated ? -own[c] : own[c]);
            mean[(size_t)i * (size_t)channels + (size_t)c] += value / 4;
        }
    }
}

static void views_are_put_together_by_definition(void)
{
    static const double scales[] = {1, 0.5};
    const sm_batch *batch;
    const float *const *logits;
    sm_evaluator_views plain[2], both;
    sm_loader *loader;
    sm_dataset *dataset;
    sm_session *session;
    sm_config *config = tiny_config(NULL);
    SM_TEST_OK(sm_data_open_validation(config, &dataset));
    SM_TEST_OK(sm_session_new(config, sm_comm_self(), dataset, &session));
    sm_target_builder *builders = sm_session_target_builders(session);
    sm_loader_options options[2] = {loader_of(dataset, builders, session->task_count, 1),
                                    loader_of(dataset, builders, session->task_count, 2)};
    for (int v = 0; v < 2; v++) {
        SM_TEST_OK(sm_evaluator_views_init(&plain[v], session, &options[v], NULL, 0, 0));
        CU_ASSERT(plain[v].is_plain);
    }
    SM_TEST_OK(sm_evaluator_views_init(&both, session, &options[0], scales, 2, 1));
    sm_evaluator_views_bind(&both, session, NULL);
    for (int t = 0; t < session->task_count; t++) {
        const sm_task *task = session->tasks[t];
        size_t count = (size_t)SAMPLES * HEIGHT * WIDTH * (size_t)task->channels;
        double *mean = sm_alloc_zeroed(count * sizeof *mean), worst = 0;
        for (int k = 0; k < 4; k++) {
            sm_evaluator_views_bind(&plain[k / 2], session, NULL);
            float *said = say(&plain[k / 2], &options[k / 2], t, k % 2);
            expect(task, said, k / 2 + 1, k % 2, mean);
            sm_free(said);
        }
        SM_TEST_OK(sm_loader_new(&options[0], &loader));
        SM_TEST_OK(sm_loader_next(loader, &batch));
        SM_TEST_OK(sm_evaluator_views_begin(&both));
        SM_TEST_OK(sm_evaluator_views_run(&both, batch, &logits));
        for (size_t i = 0; i < count; i++) {
            double found = sm_task_is_classification(task) ? exp(logits[t][i]) : logits[t][i];
            sm_test_worse(&worst, fabs(found - mean[i]) / (1 + fabs(mean[i])));
        }
        SM_TEST_AT_MOST(worst, 1e-5); /* floats, resized by kernels of another order of additions */
        sm_evaluator_views_end(&both);
        sm_loader_free(loader);
        sm_free(mean);
    }
    sm_evaluator_views_free(&both);
    sm_evaluator_views_free(&plain[0]);
    sm_evaluator_views_free(&plain[1]);
    sm_free(builders);
    sm_session_free(session);
    sm_dataset_close(dataset);
    sm_config_free(config);
}

/* ---- one mean of evaluations and predictions ---- */

/* The validation set's images, and a network of classes of temperature exp(s), vectors, and depths whose logarithm is
 * learnt: what the dataset calls disparity is taken for metres. */
typedef struct network {
    sm_config *config;
    sm_dataset *dataset;
    sm_session *session;
    sm_sample_storage *storage;
} network;

static network open_network(const char *log_variance)
{
    network n;
    sm_augmentation size;
    const char *const sets[] = {"task.semantic.likelihood=categorical_scaled", log_variance, "task.depth.encoding=log",
                                NULL};
    n.config = tiny_config(sets);
    SM_TEST_OK(sm_data_open_validation(n.config, &n.dataset));
    SM_TEST_OK(sm_data_augmentation(n.config, n.dataset, &size));
    sm_data_description *data = sm_data_description_new(n.dataset, &size);
    for (int t = 0; t < data->target_count; t++) {
        sm_target *target = data->targets[t];
        if (strcmp(target->name, "disparity") == 0) {
            target->scaling = SM_SCALING_NONE;
            target->least = 0.001;
            target->most = 1e6;
        }
    }
    SM_TEST_OK(sm_session_new_described(n.config, sm_comm_self(), data, &n.session));
    n.storage = sm_sample_storage_new(n.dataset);
    sm_data_description_free(data);
    return n;
}

static void close_network(network *n)
{
    sm_sample_storage_free(n->storage);
    sm_session_free(n->session);
    sm_dataset_close(n->dataset);
    sm_config_free(n->config);
}

/* \param column  of the part's first pixel \return (HEIGHT, width, 3), freed with sm_free() */
static uint8_t *cut_image(const network *n, int column, int width, int mirrored)
{
    sm_sample sample;
    SM_TEST_OK(sm_dataset_read(n->dataset, 0, n->storage, &sample));
    const uint8_t *whole = sample.input;
    uint8_t *part = sm_alloc(3 * HEIGHT * (size_t)width);
    for (int i = 0; i < HEIGHT * width; i++) {
        int x = mirrored ? width - 1 - i % width : i % width;
        memcpy(part + 3 * i, whole + 3 * (i / width * WIDTH + column + x), 3);
    }
    return part;
}

/* What is averaged, in double: one map a task, (pixels, channels). */
typedef struct maps {
    double *task[TINY_TASKS];
} maps;

static void free_maps(maps *m)
{
    for (int t = 0; t < TINY_TASKS; t++) {
        sm_free(m->task[t]);
    }
}

static int numbers_of(const network *n, int task, int width)
{
    return HEIGHT * width * n->session->tasks[task]->channels;
}

static maps no_maps(const network *n)
{
    maps m;
    for (int t = 0; t < TINY_TASKS; t++) {
        m.task[t] = sm_alloc_zeroed((size_t)numbers_of(n, t, WIDTH) * sizeof(double));
    }
    return m;
}

static double *values_of(const sm_task_prediction *p)
{
    size_t channels = (size_t)p->task->channels;
    double *values = sm_alloc(p->items * channels * sizeof *values);
    for (size_t i = 0; i < p->items; i++) {
        double sum = 0;
        for (size_t c = 0; c < channels && p->logits; c++) {
            sum += exp(p->logits[i * channels + c]);
        }
        for (size_t c = 0; c < channels; c++) {
            values[i * channels + c] =
                p->logits ? exp(p->logits[i * channels + c]) / sum : ((const float *)p->values)[i * channels + c];
        }
    }
    return values;
}

static maps predict(const network *n, const sm_predictor_options *options, const uint8_t *image, int width)
{
    maps m;
    const sm_task_prediction *tasks;
    sm_predictor *predictor = sm_predictor_new(&n->session, 1, options);
    SM_TEST_OK(sm_predictor_run(predictor, image, HEIGHT, width, 0, &tasks));
    for (int t = 0; t < TINY_TASKS; t++) {
        m.task[t] = values_of(&tasks[t]);
    }
    sm_predictor_free(predictor);
    return m;
}

/* Adds what `predict` says of one of four views. */
static void add_prediction(const network *n, int scale, int mirrored, maps *mean)
{
    const sm_predictor_options options = {.mode = SM_PREDICT_SCALE, .height = HEIGHT / scale, .width = WIDTH / scale};
    uint8_t *image = cut_image(n, 0, WIDTH, mirrored);
    maps said = predict(n, &options, image, WIDTH);
    for (int t = 0; t < TINY_TASKS; t++) {
        const sm_task *task = n->session->tasks[t];
        for (int i = 0; i < numbers_of(n, t, WIDTH); i++) {
            int pixel = i / task->channels, c = i % task->channels;
            int from = mirrored ? pixel - pixel % WIDTH + WIDTH - 1 - pixel % WIDTH : pixel;
            int negated = mirrored && task->target->type == SM_TARGET_INSTANCE && c == 0;
            mean->task[t][i] += (negated ? -1 : 1) * said.task[t][from * task->channels + c] / 4;
        }
    }
    free_maps(&said);
    sm_free(image);
}

/* What an evaluation of two scales and the mirrored images makes of the first image. */
static maps evaluate_views(const network *n)
{
    static const double scales[] = {1, 0.5};
    const sm_batch *batch;
    const float *const *logits;
    sm_evaluator_views views;
    sm_loader *loader;
    maps m;
    sm_loader_options options = loader_of(n->dataset, NULL, 0, 1);
    SM_TEST_OK(sm_evaluator_views_init(&views, n->session, &options, scales, 2, 1));
    sm_evaluator_views_bind(&views, n->session, NULL);
    SM_TEST_OK(sm_loader_new(&options, &loader));
    SM_TEST_OK(sm_loader_next(loader, &batch));
    SM_TEST_OK(sm_evaluator_views_begin(&views));
    SM_TEST_OK(sm_evaluator_views_run(&views, batch, &logits));
    for (int t = 0; t < TINY_TASKS; t++) {
        int count = numbers_of(n, t, WIDTH);
        float *values = sm_alloc((size_t)count * sizeof *values);
        m.task[t] = sm_alloc((size_t)count * sizeof(double));
        sm_task_values(n->session->tasks[t], HEIGHT * WIDTH, logits[t], values);
        for (int i = 0; i < count; i++) {
            m.task[t][i] = values[i];
        }
        sm_free(values);
    }
    sm_evaluator_views_end(&views);
    sm_evaluator_views_free(&views);
    sm_loader_free(loader);
    sm_session_release_memory(n->session);
    return m;
}

static void expect_near(const network *n, const maps *found, const maps *expected)
{
    double worst = 0;
    for (int t = 0; t < TINY_TASKS; t++) {
        for (int i = 0; i < numbers_of(n, t, WIDTH); i++) {
            double one = expected->task[t][i];
            sm_test_worse(&worst, fabs(found->task[t][i] - one) / (1 + fabs(one)));
        }
    }
    SM_TEST_AT_MOST(worst, 2e-6); /* rounding of floats, and of a logarithm and back */
}

static void evaluations_average_what_predictions_say(void)
{
    sm_free(tiny_dataset());
    if (sm_comm_rank(test_comm) > 0) {
        return;
    }
    network n = open_network("task.semantic.log_variance=-3");
    maps mean = no_maps(&n), views = evaluate_views(&n);
    for (int v = 0; v < 4; v++) {
        add_prediction(&n, 1 + v / 2, v % 2, &mean);
    }
    expect_near(&n, &views, &mean);
    free_maps(&views);
    free_maps(&mean);
    close_network(&n);
}

static double weight_at(int position, int window)
{
    return position + 1 < window - position ? position + 1 : window - position;
}

/* Two windows of 64 columns over 96: each pixel by the pyramid of windows.h. */
static void windows_average_what_predictions_say(void)
{
    enum { SIDE = 64, STEP = WIDTH - SIDE };
    const sm_predictor_options windows = {.mode = SM_PREDICT_WINDOWS, .height = HEIGHT, .width = SIDE, .overlap = 0.5};
    sm_free(tiny_dataset());
    if (sm_comm_rank(test_comm) > 0) {
        return;
    }
    network n = open_network("task.semantic.log_variance=-3");
    uint8_t *whole = cut_image(&n, 0, WIDTH, 0);
    maps mean = no_maps(&n), found = predict(&n, &windows, whole, WIDTH);
    for (int w = 0; w < 2; w++) {
        uint8_t *image = cut_image(&n, STEP * w, SIDE, 0);
        maps part = predict(&n, &(sm_predictor_options){.mode = SM_PREDICT_WHOLE}, image, SIDE);
        for (int t = 0; t < TINY_TASKS; t++) {
            int channels = n.session->tasks[t]->channels;
            for (int i = 0; i < numbers_of(&n, t, SIDE); i++) {
                int row = i / channels / SIDE, x = i / channels % SIDE, column = x + STEP * w,
                    other = column - STEP * !w;
                double own = weight_at(x, SIDE), others = other >= 0 && other < SIDE ? weight_at(other, SIDE) : 0;
                mean.task[t][(row * WIDTH + column) * channels + i % channels] +=
                    own / (own + others) * part.task[t][i];
            }
        }
        free_maps(&part);
        sm_free(image);
    }
    expect_near(&n, &found, &mean);
    free_maps(&found);
    free_maps(&mean);
    sm_free(whole);
    close_network(&n);
}

/* Of the same network with s = 0 and s = -3, logits differ by the factor exp(3): the softmax is of temperature exp(s). */
static void probabilities_are_of_the_learned_temperature(void)
{
    sm_free(tiny_dataset());
    if (sm_comm_rank(test_comm) > 0) {
        return;
    }
    network one = open_network("task.semantic.log_variance=0"), sharp = open_network("task.semantic.log_variance=-3");
    uint8_t *image = cut_image(&one, 0, WIDTH, 0);
    for (int m = 0; m < SM_PREDICT_MODES; m++) {
        const sm_predictor_options options = {.mode = (sm_predict_mode)m, .overlap = 0.5, .uncertainty = 1};
        const sm_task_prediction *said, *sharper;
        sm_predictor *a = sm_predictor_new(&one.session, 1, &options),
                     *b = sm_predictor_new(&sharp.session, 1, &options);
        SM_TEST_OK(sm_predictor_run(a, image, HEIGHT, WIDTH, 0, &said));
        SM_TEST_OK(sm_predictor_run(b, image, HEIGHT, WIDTH, 0, &sharper));
        size_t classes = (size_t)said->task->channels;
        double worst = 0, worst_entropy = 0;
        for (size_t i = 0; i < said->items; i++) {
            double sum = 0, entropy = 0;
            for (size_t c = 0; c < classes; c++) {
                sum += exp(exp(3) * said->logits[i * classes + c]);
            }
            for (size_t c = 0; c < classes; c++) {
                double p = exp(exp(3) * said->logits[i * classes + c]) / sum;
                const float *other = sharper->logits + i * classes;
                double from_first = exp(3) * (said->logits[i * classes + c] - said->logits[i * classes]);
                sm_test_worse(&worst, fabs((double)other[c] - other[0] - from_first));
                entropy -= p * log(p);
            }
            sm_test_worse(&worst_entropy, fabs(sharper->entropy[i] - entropy));
        }
        SM_TEST_AT_MOST(worst, 1e-4); /* differences of floats times 20 */
        SM_TEST_AT_MOST(worst_entropy, 1e-5);
        sm_predictor_free(a);
        sm_predictor_free(b);
    }
    sm_free(image);
    close_network(&one);
    close_network(&sharp);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(any_number_of_ranks_measures_instances_alike);
    SM_TEST(any_number_of_ranks_measures_views_alike);
    SM_TEST(ranks_without_samples_measure_alike);
    SM_TEST(predictions_that_are_no_numbers_are_not_measured);
    SM_TEST(losses_are_those_of_a_step_over_the_split);
    SM_TEST(found_instances_of_all_ranks_count);
    SM_TEST(views_are_put_together_by_definition);
    SM_TEST(evaluations_average_what_predictions_say);
    SM_TEST(windows_average_what_predictions_say);
    SM_TEST(probabilities_are_of_the_learned_temperature);
    return sm_test_end();
}
