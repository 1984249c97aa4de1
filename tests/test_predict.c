/* ranks: 1 2 */
#include "tiny_run.h"
#include "train/overlay.h"
#include "train/prediction_mean.h"
#include "train/windows.h"
#include "whole_run.h"

#include <sigmatic/io/npy.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/prediction_files.h>
#include <sigmatic/train/predictor.h>

#include <math.h>
#include <string.h>

/* ---- windows ------------------------------------------------------------------------------------------------------- */

static void windows_cover_an_image_of_any_size(void)
{
    static const int extents[] = {1, 5, 15, 16, 17, 31, 32, 33, 100};
    for (size_t e = 0; e < sizeof extents / sizeof *extents; e++) {
        for (int o = 0; o < 10; o++) {
            sm_window_axis axis = sm_window_axis_of(extents[e], 16, o / 10.0);
            int end = 0;
            for (int i = 0; i < axis.count; i++) {
                int begin = sm_window_begin(&axis, i);
                CU_ASSERT(begin <= end && begin + 16 > end);
                CU_ASSERT(i == 0 || end - begin >= (int)(16 * o / 10.0 - 1e-9));
                CU_ASSERT(extents[e] < 16 || (begin >= 0 && begin + 16 <= extents[e]));
                end = begin + 16;
            }
            CU_ASSERT(end >= extents[e] && (extents[e] > 16 || axis.count == 1));
        }
    }
}

static void blend_all(const sm_window_axis *y, const sm_window_axis *x, const float *window, float *map)
{
    float *weights = sm_alloc_zeroed((size_t)y->extent * (size_t)x->extent * sizeof *weights);
    for (int i = 0; i < y->count * x->count; i++) {
        sm_window_blend(y, x, i / x->count, i % x->count, 2, window, weights, map);
    }
    sm_free(weights);
}

static void what_all_windows_agree_on_keeps_its_bits(void)
{
    enum { WINDOW = 8, EXTENT = 29, VALUES = 2 * EXTENT * EXTENT };
    sm_window_axis axis = sm_window_axis_of(EXTENT, WINDOW, 0.6);
    float window[2 * WINDOW * WINDOW], map[VALUES];
    for (int i = 0; i < 2 * WINDOW * WINDOW; i++) {
        window[i] = i % 2 ? -0.1f : 1 / 3.0f;
    }
    memset(map, 0xff, sizeof map); /* NaN */
    blend_all(&axis, &axis, window, map);
    for (int i = 0; i < VALUES; i++) {
        CU_ASSERT(map[i] == window[i % 2]);
    }
}

/* Two windows of 4 over 6 pixels: the middle two have weights 2 : 1 and 1 : 2 there. */
static void windows_are_blended_by_their_weights(void)
{
    sm_window_axis y = {1, 1, 1}, x = sm_window_axis_of(6, 4, 0.5);
    float zeros[8] = {0}, ones[8] = {1, 1, 1, 1, 1, 1, 1, 1}, map[12], weights[6] = {0};
    static const double expected[] = {0, 0, 1 / 3.0, 2 / 3.0, 1, 1};
    sm_window_blend(&y, &x, 0, 0, 2, zeros, weights, map);
    sm_window_blend(&y, &x, 0, 1, 2, ones, weights, map);
    for (int i = 0; i < 6; i++) {
        SM_TEST_AT_MOST(fabs(map[2 * i] - expected[i]), 1e-7);
    }
}

/* ---- means --------------------------------------------------------------------------------------------------------- */

static double term(double p)
{
    return -p * log(p);
}

static void classes_that_networks_disagree_on_have_information(void)
{
    static const char *const names[] = {"a", "b"};
    static const sm_class_list classes = {.count = 2, .names = names};
    static sm_target target = {.name = "semantic", .type = SM_TARGET_CLASS, .components = 1, .classes = &classes};
    const sm_task task = {.kind = sm_task_kind_find("semantic"), .target = &target, .channels = 2};
    /* Two items: the runs disagree on the first, 0.9 and 0.1; on the second both say 0.5. */
    const float runs[2][4] = {{(float)log(9), 0, 3, 3}, {0, (float)log(9), -1, -1}};
    float values[4], logits[4], entropy[2], information[2];
    sm_prediction_mean mean = {0};
    sm_prediction_mean_begin(&mean, &task, 2, 1);
    for (int r = 0; r < 2; r++) {
        sm_task_values(&task, 2, runs[r], values);
        sm_prediction_mean_add(&mean, r, 0, 1, values); /* an item at a time, as views of a batch are */
        sm_prediction_mean_add(&mean, r, 1, 1, values + 2);
    }
    sm_prediction_entropy(&task, 2, mean.mean, entropy);
    sm_prediction_mean_spread(&mean, information);
    sm_task_logits(&task, 2, mean.mean, logits);
    SM_TEST_AT_MOST(fabs(entropy[0] - log(2)), 1e-6);
    SM_TEST_AT_MOST(fabs(information[0] - (log(2) - term(0.9) - term(0.1))), 1e-6);
    SM_TEST_AT_MOST(fabs(entropy[1] - log(2)), 1e-6);
    SM_TEST_AT_MOST(information[1], 1e-6);
    SM_TEST_AT_MOST(fabs(logits[0] - log(0.5)), 1e-6);
    sm_prediction_mean_free(&mean);
}

static void values_have_the_variance_of_their_runs(void)
{
    static sm_target target = {.name = "disparity", .type = SM_TARGET_REAL, .components = 1, .unit = "px"};
    const sm_task task = {.kind = sm_task_kind_find("depth"), .target = &target, .channels = 1};
    sm_prediction_mean mean = {0};
    float variance[2];
    sm_prediction_mean_begin(&mean, &task, 2, 1);
    sm_prediction_mean_add(&mean, 0, 0, 2, (float[]){1, 7});
    sm_prediction_mean_add(&mean, 1, 0, 2, (float[]){2, 7});
    sm_prediction_mean_add(&mean, 2, 0, 2, (float[]){6, 7});
    sm_prediction_mean_spread(&mean, variance);
    CU_ASSERT(mean.mean[0] == 3 && mean.mean[1] == 7 && variance[0] == 7 && variance[1] == 0);
    sm_prediction_mean_free(&mean);
}

/* What is averaged of depths are metres, whatever is learnt of them; of labels and classes probabilities, 0 and 1 too. */
static void values_and_logits_are_two_ways(void)
{
    static sm_target depth = {.name = "depth", .type = SM_TARGET_REAL, .components = 1, .unit = "m", .most = 1e6};
    sm_task task = {.kind = sm_task_kind_find("depth"), .target = &depth, .channels = 1};
    const float metres[] = {2, 50, NAN};
    float learnt[3], back[3];
    for (int k = 0; sm_task_kinds[k]; k++) {
        task.kind = sm_task_kinds[k]->encode ? sm_task_kinds[k] : task.kind;
    }
    for (int e = SM_DEPTH_LINEAR; e <= SM_DEPTH_INVERSE; e++) {
        const double expected[][2] = {{2, 50}, {log(2), log(50)}, {0.5, 0.02}};
        task.encoding = (sm_depth_encoding)e;
        sm_task_logits(&task, 3, metres, learnt);
        sm_task_values(&task, 3, learnt, back);
        for (int i = 0; i < 2; i++) {
            SM_TEST_AT_MOST(fabs(learnt[i] / expected[e][i] - 1), 1e-7);
            SM_TEST_AT_MOST(fabs(back[i] / metres[i] - 1), 3e-7);
        }
        CU_ASSERT(isnan(learnt[2]) && isnan(back[2]));
    }
    const sm_task labels = {.kind = sm_task_kind_find("labels"), .target = &depth, .channels = 3};
    const float probabilities[] = {0, 0.25f, 1};
    sm_task_logits(&labels, 1, probabilities, learnt);
    sm_task_values(&labels, 1, learnt, back);
    CU_ASSERT(isfinite(learnt[0]) && isfinite(learnt[2]));
    SM_TEST_AT_MOST(fabs(learnt[1] + log(3)), 1e-6);
    SM_TEST_AT_MOST(fmax(back[0], fmax(fabs(back[1] - 0.25), fabs(back[2] - 1.0))), 1e-7);
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

static void what_is_unknown_has_no_metres(void)
{
    static sm_target target = {
        .name = "disparity", .type = SM_TARGET_REAL, .components = 1, .scaling = SM_SCALING_WIDTH, .unit = "px"};
    const sm_task task = {.name = "depth", .kind = sm_task_kind_find("depth"), .target = &target, .channels = 1};
    const float disparities[] = {NAN, 0, 4, -1};
    const sm_task_prediction prediction = {.task = &task, .items = 4, .components = 1, .values = disparities};
    const sm_predicted_image image = {.name = "a",
                                      .height = 2,
                                      .width = 2,
                                      .baseline_metres = 0.5,
                                      .fx_pixels = 100,
                                      .tasks = &prediction,
                                      .task_count = 1};
    char *folder = sm_format("%s/metres-%d", sm_test_folder(), sm_comm_rank(test_comm));
    char *path = sm_format("%s/metres/depth/a.npy", folder);
    sm_npy array;
    SM_TEST_OK(sm_prediction_format_write(sm_prediction_format_find("metres"), (const uint8_t[]){1}, folder, &image));
    SM_TEST_OK(sm_npy_read(path, &array));
    const float *metres = array.data;
    CU_ASSERT_EQUAL_FATAL(array.count, 4);
    CU_ASSERT(isnan(metres[0]) && metres[1] == INFINITY && metres[2] == 12.5f && metres[3] == INFINITY);
    sm_npy_free(&array);
    sm_free(folder);
    sm_free(path);
}

/* ---- pictures ------------------------------------------------------------------------------------------------------ */

/* Pixels of the colours of captions, and of the texts beside ranges. */
static int count_letters(const sm_canvas *canvas)
{
    int count = 0;
    for (int i = 0; i < canvas->height * canvas->width; i++) {
        const uint8_t *pixel = canvas->rgb + 3 * i;
        count += (pixel[0] == 235 && pixel[1] == 235) || (pixel[0] == 150 && pixel[1] == 150);
    }
    return count;
}

/* Of a task whose captions and ranges fill a line of a panel of `width` pixels, and of more. */
static sm_canvas draw_overlay(int width, const char *name, const char *unit)
{
    enum { HEIGHT = 4, MOST_WIDTH = 700 };
    static uint8_t rgb[3 * HEIGHT * MOST_WIDTH];
    static float values[HEIGHT * MOST_WIDTH], variance[HEIGHT * MOST_WIDTH];
    sm_target target = {.name = "tilt", .type = SM_TARGET_REAL, .components = 1, .least = -100, .most = 100};
    target.unit = (char *)unit;
    const sm_task task = {
        .name = (char *)name, .kind = sm_task_kind_find("regression"), .target = &target, .channels = 1};
    for (int i = 0; i < HEIGHT * width; i++) {
        values[i] = 12.34f;
        variance[i] = 0.0123f;
    }
    const sm_task_prediction prediction = {.task = &task,
                                           .items = (size_t)HEIGHT * (size_t)width,
                                           .components = 1,
                                           .values = values,
                                           .variance = variance};
    return sm_overlay_draw(&(sm_predicted_image){
        .name = "a", .rgb = rgb, .height = HEIGHT, .width = width, .tasks = &prediction, .task_count = 1});
}

static void no_letter_covers_another(void)
{
    sm_canvas wide = draw_overlay(700, "inclination", "degrees"), narrow = draw_overlay(320, "inclination", "degrees");
    CU_ASSERT(count_letters(&wide) > 300);
    CU_ASSERT_EQUAL(count_letters(&narrow), count_letters(&wide)); /* letters are as large in both */
    sm_free(wide.rgb);
    sm_free(narrow.rgb);
    narrow = draw_overlay(320, "a_name_of_as_many_letters_as_a_task_may_ever_have",
                          "degrees"); /* cut, inside of the canvas */
    CU_ASSERT(count_letters(&narrow) > 300);
    sm_free(narrow.rgb);
}

/* ---- networks ------------------------------------------------------------------------------------------------------ */

typedef struct network {
    sm_config *config;
    sm_session *session;
    sm_dataset *dataset;
    sm_sample_storage *storage;
} network;

/* Of a run of a few steps, with nothing but its checkpoint: the dataset only lends images. */
static network open_trained(const char *folder, const char *const *sets, int *trained)
{
    network n = {0};
    sm_data_description *data = NULL;
    if (!*trained) {
        SM_TEST_OK(train(folder, NULL, sets));
        *trained = 1;
    }
    char *path = path_in(folder, "checkpoints/step-00000003.h5");
    n.config = tiny_config(sets);
    SM_TEST_OK(sm_checkpoint_read_data(path, &data));
    SM_TEST_OK(sm_session_new_described(n.config, test_comm, data, &n.session));
    SM_TEST_OK(sm_checkpoint_load(n.session, NULL, path, 0));
    SM_TEST_OK(sm_data_open_validation(n.config, &n.dataset));
    n.storage = sm_sample_storage_new(n.dataset);
    sm_data_description_free(data);
    sm_free(path);
    return n;
}

static network open_network(void)
{
    static int trained;
    return open_trained("predict", (const char *[]){"run.steps=3", "model.dropout=0.3", NULL}, &trained);
}

/* Classes and depths have log-variances beside them. */
static network open_per_pixel(void)
{
    static int trained;
    return open_trained("pixels",
                        (const char *[]){"run.steps=3", "task.semantic.uncertainty=per_pixel",
                                         "task.depth.uncertainty=per_pixel", NULL},
                        &trained);
}

static void close_network(network *n)
{
    sm_sample_storage_free(n->storage);
    sm_dataset_close(n->dataset);
    sm_session_free(n->session);
    sm_config_free(n->config);
}

static size_t value_bytes(const sm_task_prediction *p)
{
    return p->items * (size_t)p->components * (sm_task_is_classification(p->task) ? 1 : sizeof(float));
}

/* Values of all tasks of one image, one behind the other, freed with sm_free(). */
static char *run_on(sm_predictor *predictor, const network *n, const uint8_t *image, int height, int width,
                    size_t *bytes)
{
    const sm_task_prediction *tasks = NULL;
    SM_TEST_OK(sm_predictor_run(predictor, image, height, width, 2, &tasks));
    char *all = NULL;
    *bytes = 0;
    for (int t = 0; t < n->session->task_count; t++) {
        all = sm_realloc(all, *bytes + value_bytes(&tasks[t]));
        memcpy(all + *bytes, tasks[t].values, value_bytes(&tasks[t]));
        *bytes += value_bytes(&tasks[t]);
    }
    return all;
}

static char *predict_sample(const network *n, int64_t index, const sm_predictor_options *options, size_t *bytes)
{
    sm_sample sample;
    SM_TEST_OK(sm_dataset_read(n->dataset, index, n->storage, &sample));
    sm_predictor *predictor = sm_predictor_new(&n->session, 1, options);
    char *values = run_on(predictor, n, sample.input, sample.height, sample.width, bytes);
    sm_predictor_free(predictor);
    return values;
}

static void compare_sample(const network *n, const sm_h5 *file, sm_predictor *predictor, int64_t index)
{
    sm_sample sample;
    const sm_task_prediction *tasks;
    SM_TEST_OK(sm_dataset_read(n->dataset, index, n->storage, &sample));
    SM_TEST_OK(sm_predictor_run(predictor, sample.input, sample.height, sample.width, index, &tasks));
    for (int t = 0; t < n->session->task_count; t++) {
        size_t bytes;
        char *object = sm_format("/tasks/%s/prediction", n->session->tasks[t]->name);
        char *evaluated = read_numbers(file, object, &bytes);
        CU_ASSERT_EQUAL(bytes, value_bytes(&tasks[t]) * TINY_VALIDATION);
        CU_ASSERT(memcmp(evaluated + value_bytes(&tasks[t]) * (size_t)index, tasks[t].values, value_bytes(&tasks[t])) ==
                  0);
        sm_free(evaluated);
        sm_free(object);
    }
}

/* What an evaluation of one image at a time computes, to the bit, whatever number of ranks made it. */
static void expect_as_evaluated(network n)
{
    sm_evaluator *evaluator = NULL;
    n.session->settings.evaluate_batch = sm_comm_size(test_comm);
    SM_TEST_OK(sm_evaluator_new(n.session, n.dataset, &n.session->data->input, NULL, &evaluator));
    char *path = sm_format("%s/evaluated.h5", sm_test_folder());
    double *values = sm_alloc((size_t)sm_evaluator_value_count(evaluator) * sizeof *values);
    SM_TEST_OK(sm_evaluator_run(evaluator, &(sm_evaluation){.predictions = path, .prediction_count = TINY_VALIDATION},
                                values));
    sm_evaluator_free(evaluator);
    sm_session_release_memory(n.session);
    sm_predictor *predictor = sm_predictor_new(&n.session, 1, &(sm_predictor_options){.mode = SM_PREDICT_SCALE});
    if (is_root()) {
        sm_h5 *file = NULL;
        SM_TEST_OK(sm_h5_open(path, &file));
        for (int64_t i = 0; i < TINY_VALIDATION; i++) {
            compare_sample(&n, file, predictor, i);
        }
        sm_h5_close(file);
    }
    sm_predictor_free(predictor);
    sm_free(values);
    sm_free(path);
    close_network(&n);
}

static void images_of_training_size_are_predicted_as_evaluated(void)
{
    expect_as_evaluated(open_network());
    expect_as_evaluated(open_per_pixel());
}

static void one_window_is_the_whole(void)
{
    network n = open_network();
    size_t bytes, others;
    char *whole = predict_sample(&n, 0, &(sm_predictor_options){.mode = SM_PREDICT_WHOLE}, &bytes);
    char *window = predict_sample(&n, 0, &(sm_predictor_options){.mode = SM_PREDICT_WINDOWS, .overlap = 0.5}, &others);
    char *other = predict_sample(
        &n, 0, &(sm_predictor_options){.mode = SM_PREDICT_WINDOWS, .height = 32, .width = 48, .overlap = 0.5}, &others);
    CU_ASSERT_EQUAL(bytes, others);
    CU_ASSERT(memcmp(whole, window, bytes) == 0);
    CU_ASSERT(memcmp(whole, other, bytes) != 0);
    sm_free(whole);
    sm_free(window);
    sm_free(other);
    close_network(&n);
}

static void images_smaller_than_a_window_keep_their_size(void)
{
    network n = open_network();
    uint8_t *image = sm_alloc_zeroed(3 * 7 * 200);
    size_t bytes, pixels = 7 * 200;
    for (int m = 0; m < SM_PREDICT_MODES; m++) {
        sm_predictor *predictor =
            sm_predictor_new(&n.session, 1, &(sm_predictor_options){.mode = (sm_predict_mode)m, .overlap = 0.3});
        char *values = run_on(predictor, &n, image, 7, 200, &bytes);
        CU_ASSERT_EQUAL(bytes, pixels * (1 + 2 * sizeof(float) + sizeof(float)));
        sm_free(values);
        sm_predictor_free(predictor);
    }
    sm_free(image);
    close_network(&n);
}

static double mean_of(const float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum / (double)count;
}

/* The network sees the same picture; its disparities are of twice the width. */
static void disparities_are_those_of_the_image(void)
{
    network n = open_network();
    sm_sample sample;
    const sm_task_prediction *tasks;
    SM_TEST_OK(sm_dataset_read(n.dataset, 1, n.storage, &sample));
    int height = sample.height, width = sample.width;
    const uint8_t *image = sample.input;
    uint8_t *larger = sm_alloc(3 * 4 * (size_t)height * (size_t)width);
    for (int i = 0; i < 4 * height * width; i++) {
        int row = i / (2 * width) / 2, column = i % (2 * width) / 2;
        memcpy(larger + 3 * i, image + 3 * (row * width + column), 3);
    }
    sm_predictor *predictor = sm_predictor_new(&n.session, 1, &(sm_predictor_options){.mode = SM_PREDICT_SCALE});
    SM_TEST_OK(sm_predictor_run(predictor, image, height, width, 0, &tasks));
    const sm_task_prediction *depth = &tasks[TINY_TASKS - 1];
    CU_ASSERT_STRING_EQUAL(depth->task->name, "depth");
    double small = mean_of(depth->values, depth->items), sigma = depth->sigma;
    SM_TEST_OK(sm_predictor_run(predictor, larger, 2 * height, 2 * width, 0, &tasks));
    CU_ASSERT_EQUAL(depth->items, 4 * (size_t)height * (size_t)width);
    SM_TEST_AT_MOST(fabs(mean_of(depth->values, depth->items) / small - 2), 0.05); /* another antialiasing */
    SM_TEST_AT_MOST(fabs(depth->sigma / sigma - 2), 1e-9);
    sm_predictor_free(predictor);
    sm_free(larger);
    close_network(&n);
}

/* A pixel of the image is two of the network's in x, one in y: sigma falls by the root of the mean of 1/4 and 1. */
static void sigmas_of_vectors_grow_with_both_axes(void)
{
    network n = open_network();
    sm_sample sample;
    const sm_task_prediction *tasks;
    SM_TEST_OK(sm_dataset_read(n.dataset, 0, n.storage, &sample));
    sm_predictor_options options = {.mode = SM_PREDICT_SCALE, .height = sample.height, .width = sample.width};
    double sigma[2];
    for (int i = 0; i < 2; i++) {
        options.width = sample.width * (i + 1);
        sm_predictor *predictor = sm_predictor_new(&n.session, 1, &options);
        SM_TEST_OK(sm_predictor_run(predictor, sample.input, sample.height, sample.width, 0, &tasks));
        CU_ASSERT_STRING_EQUAL(tasks[1].task->name, "instance");
        sigma[i] = tasks[1].sigma;
        sm_predictor_free(predictor);
    }
    SM_TEST_AT_MOST(fabs(sigma[1] / sigma[0] - sqrt(0.625)), 1e-12);
    close_network(&n);
}

/* Scaled with the area, the least number of samples would fall below what clustering takes. */
static void small_images_have_instances_too(void)
{
    static int trained;
    network n =
        open_trained("samples", (const char *[]){"run.steps=3", "task.instance.cluster_min_samples=2", NULL}, &trained);
    static const uint8_t image[3 * 8 * 12];
    const sm_task_prediction *tasks;
    sm_predictor *predictor =
        sm_predictor_new(&n.session, 1, &(sm_predictor_options){.mode = SM_PREDICT_SCALE, .instances = 1});
    SM_TEST_OK(sm_predictor_run(predictor, image, 8, 12, 0, &tasks));
    CU_ASSERT(tasks[1].instances && tasks[1].instances->height == 8 && tasks[1].instances->width == 12);
    sm_predictor_free(predictor);
    close_network(&n);
}

static void dropped_features_follow_from_the_seed(void)
{
    network n = open_network();
    size_t bytes;
    sm_predictor_options options = {.mode = SM_PREDICT_WHOLE, .samples = 4, .seed = 7, .uncertainty = 1};
    char *first = predict_sample(&n, 0, &options, &bytes), *again = predict_sample(&n, 0, &options, &bytes);
    options.seed = 8;
    char *other = predict_sample(&n, 0, &options, &bytes);
    options.samples = 0;
    char *without = predict_sample(&n, 0, &options, &bytes);
    CU_ASSERT(memcmp(first, again, bytes) == 0);
    CU_ASSERT(memcmp(first, other, bytes) != 0);
    CU_ASSERT(memcmp(first, without, bytes) != 0);
    sm_free(first);
    sm_free(again);
    sm_free(other);
    sm_free(without);
    close_network(&n);
}

static float most_of(const float *values, size_t count)
{
    float most = 0;
    for (size_t i = 0; i < count; i++) {
        most = fmaxf(most, values[i]);
    }
    return most;
}

/* \param [out] spread  the most variance of depth, the most mutual information of classes */
static void find_spread(const network *n, sm_session *const *sessions, int count, int samples, float spread[2])
{
    sm_sample sample;
    const sm_task_prediction *tasks;
    sm_predictor_options options = {.mode = SM_PREDICT_WHOLE, .samples = samples, .uncertainty = 1};
    SM_TEST_OK(sm_dataset_read(n->dataset, 0, n->storage, &sample));
    sm_predictor *predictor = sm_predictor_new(sessions, count, &options);
    SM_TEST_OK(sm_predictor_run(predictor, sample.input, sample.height, sample.width, 0, &tasks));
    CU_ASSERT_PTR_NOT_NULL_FATAL(tasks[0].information);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tasks[TINY_TASKS - 1].variance);
    CU_ASSERT_PTR_NOT_NULL(tasks[0].entropy);
    spread[0] = most_of(tasks[TINY_TASKS - 1].variance, tasks[TINY_TASKS - 1].items);
    spread[1] = most_of(tasks[0].information, tasks[0].items);
    sm_predictor_free(predictor);
}

static void networks_that_agree_have_no_spread(void)
{
    network a = open_network(), b = open_network();
    sm_session *sessions[] = {a.session, b.session};
    float spread[2];
    find_spread(&a, sessions, 2, 0, spread);
    CU_ASSERT(spread[0] == 0);
    SM_TEST_AT_MOST(spread[1], 1e-6); /* rounding */
    find_spread(&a, sessions, 1, 3, spread);
    CU_ASSERT(spread[0] > 0 && spread[1] > 1e-5);
    close_network(&a);
    close_network(&b);
}

/* The last channel is s: of an image that is not scaled sigma is exp(s / 2), whatever way it takes through the network. */
static void sigmas_of_pixels_are_those_that_the_head_says(void)
{
    network n = open_per_pixel(), other = open_per_pixel();
    sm_session *twice[] = {n.session, other.session};
    sm_sample sample;
    const sm_task_prediction *tasks;
    static const sm_predict_mode modes[] = {SM_PREDICT_WHOLE, SM_PREDICT_WINDOWS, SM_PREDICT_SCALE};
    float *first = NULL;
    SM_TEST_OK(sm_dataset_read(n.dataset, 0, n.storage, &sample));
    for (int m = 0; m < 4; m++) {
        sm_predictor_options options = {.mode = modes[m % 3], .overlap = 0.5, .uncertainty = 1};
        sm_predictor *predictor = sm_predictor_new(twice, 1 + m / 3, &options);
        SM_TEST_OK(sm_predictor_run(predictor, sample.input, sample.height, sample.width, 0, &tasks));
        const sm_task_prediction *depth = &tasks[TINY_TASKS - 1];
        CU_ASSERT_PTR_NOT_NULL_FATAL(depth->sigmas);
        CU_ASSERT(tasks[0].sigmas && !tasks[1].sigmas && isnan(depth->sigma) && !isnan(tasks[1].sigma));
        first = first ? first : tiny_copy(depth->sigmas, depth->items);
        CU_ASSERT(tiny_same_bits(first, depth->sigmas, depth->items) || m == 3);
        SM_TEST_AT_MOST(sm_test_relative_error(depth->sigmas, first, depth->items),
                        1e-6); /* the root of a mean of squares */
        float least = INFINITY, most = 0;
        for (size_t i = 0; i < depth->items; i++) {
            least = fminf(least, depth->sigmas[i]);
            most = fmaxf(most, depth->sigmas[i]);
        }
        CU_ASSERT(least > 0 && least < most);
        sm_predictor_free(predictor);
    }
    sm_free(first);
    close_network(&n);
    close_network(&other);
}

/* More sizes than are kept, and back to the first. */
static void sizes_may_alternate(void)
{
    network n = open_network();
    size_t bytes, again_bytes;
    uint8_t *image = sm_alloc(3 * 64 * 64);
    for (int i = 0; i < 3 * 64 * 64; i++) {
        image[i] = (uint8_t)(i * 7 % 251);
    }
    sm_predictor *predictor = sm_predictor_new(&n.session, 1, &(sm_predictor_options){.mode = SM_PREDICT_WHOLE});
    char *first = run_on(predictor, &n, image, 40, 40, &bytes);
    for (int side = 30; side < 42; side++) {
        sm_free(run_on(predictor, &n, image, side, side, &again_bytes));
    }
    char *again = run_on(predictor, &n, image, 40, 40, &again_bytes);
    CU_ASSERT(bytes == again_bytes && memcmp(first, again, bytes) == 0);
    sm_free(first);
    sm_free(again);
    sm_predictor_free(predictor);
    sm_free(image);
    close_network(&n);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(windows_cover_an_image_of_any_size);
    SM_TEST(what_all_windows_agree_on_keeps_its_bits);
    SM_TEST(windows_are_blended_by_their_weights);
    SM_TEST(classes_that_networks_disagree_on_have_information);
    SM_TEST(values_have_the_variance_of_their_runs);
    SM_TEST(values_and_logits_are_two_ways);
    SM_TEST(what_is_unknown_has_no_metres);
    SM_TEST(no_letter_covers_another);
    SM_TEST(images_of_training_size_are_predicted_as_evaluated);
    SM_TEST(one_window_is_the_whole);
    SM_TEST(images_smaller_than_a_window_keep_their_size);
    SM_TEST(disparities_are_those_of_the_image);
    SM_TEST(sigmas_of_vectors_grow_with_both_axes);
    SM_TEST(small_images_have_instances_too);
    SM_TEST(dropped_features_follow_from_the_seed);
    SM_TEST(networks_that_agree_have_no_spread);
    SM_TEST(sigmas_of_pixels_are_those_that_the_head_says);
    SM_TEST(sizes_may_alternate);
    return sm_test_end();
}
