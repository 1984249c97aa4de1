/* ranks: 1 2 3 */
#include "tiny_run.h"
#include "train/evaluator_views.h"

#include <sigmatic/ops/resize.h>

#include <math.h>
#include <string.h>

/* ---- the same numbers on any number of ranks ---- */

typedef struct measured {
    double values[TINY_VALUES], *class_values;
    int count, class_count;
} measured;

static measured measure(sm_comm *comm, const sm_evaluator_options *options)
{
    measured found = {.count = 0};
    sm_config *config = tiny_config(NULL);
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
    SM_TEST_OK(sm_evaluator_run(evaluator, &(sm_evaluation){.class_values = found.class_values}, found.values));
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

static void compare_with_one_rank(const sm_evaluator_options *options)
{
    measured alone = {.count = 0}, together;
    sm_free(tiny_dataset());
    if (sm_comm_rank(test_comm) == 0) {
        alone = measure(sm_comm_self(), options);
    }
    together = measure(test_comm, options);
    if (sm_comm_rank(test_comm) == 0) {
        CU_ASSERT(alone.count == together.count && alone.class_count == together.class_count && alone.class_count > 0);
        compare_values(together.values, alone.values, alone.count);
        compare_values(together.class_values, alone.class_values, alone.class_count);
    }
    sm_free(alone.class_values);
    sm_free(together.class_values);
}

static void any_number_of_ranks_measures_instances_alike(void)
{
    compare_with_one_rank(&(sm_evaluator_options){.instances = 1});
}

static void any_number_of_ranks_measures_views_alike(void)
{
    static const double scales[] = {0.5, 1, 1.25};
    compare_with_one_rank(&(sm_evaluator_options){.scales = scales, .scale_count = 3, .flip = 1});
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

enum { HEIGHT = 64, WIDTH = 96, SAMPLES = 3 };

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

int main(int argc, char **argv)
{
    sm_h5_begin();
    sm_test_begin(&argc, &argv);
    SM_TEST(any_number_of_ranks_measures_instances_alike);
    SM_TEST(any_number_of_ranks_measures_views_alike);
    SM_TEST(found_instances_of_all_ranks_count);
    SM_TEST(views_are_put_together_by_definition);
    return sm_test_end();
}
