/* ranks: 1 2 */
/* A dataset with a target of every kind that scenes do not have, a pixel and a sample: trained, evaluated, resumed. */
#include "harness.h"
#include "tiny_run.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/train.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { H = 32, W = 48, TRAIN = 12, VALIDATION = 6, SQUARE = 16 };
enum { DEPTH, NORMAL, FLOW, NOISY, MATERIAL, PARTS, WEATHER, TILT, TAGS, TARGETS };

static const char *const weather_names[] = {"sun", "rain", "snow"}, *const part_names[] = {"red", "green"};
static const sm_class_list weathers = {.count = 3, .names = weather_names}, parts = {.count = 2, .names = part_names};

static const sm_target described[TARGETS] = {
    [DEPTH] = {.name = "depth", .type = SM_TARGET_REAL, .components = 1, .unit = "m", .least = 0.001, .most = 1e6},
    [NORMAL] = {.name = "normal",
                .type = SM_TARGET_REAL,
                .components = 3,
                .unit = "",
                .flip_negates = 1,
                .least = -1.001,
                .most = 1.001},
    [FLOW] = {.name = "flow",
              .type = SM_TARGET_REAL,
              .components = 2,
              .unit = "px",
              .scaling = SM_SCALING_AXES,
              .flip_negates = 1,
              .least = -100,
              .most = 100},
    [NOISY] = {.name = "noisy", .type = SM_TARGET_REAL, .components = 1, .unit = "m", .least = -1000, .most = 1000},
    [MATERIAL] = {.name = "material", .type = SM_TARGET_CLASS, .components = 1, .unit = "", .classes = &weathers},
    [PARTS] = {.name = "parts", .type = SM_TARGET_LABELS, .components = 2, .unit = "", .classes = &parts},
    [WEATHER] = {.name = "weather",
                 .type = SM_TARGET_CLASS,
                 .scope = SM_SCOPE_SAMPLE,
                 .components = 1,
                 .unit = "",
                 .classes = &weathers},
    [TILT] = {.name = "tilt",
              .type = SM_TARGET_REAL,
              .scope = SM_SCOPE_SAMPLE,
              .components = 2,
              .unit = "deg",
              .least = -90,
              .most = 90},
    [TAGS] = {.name = "tags",
              .type = SM_TARGET_LABELS,
              .scope = SM_SCOPE_SAMPLE,
              .components = 2,
              .unit = "",
              .classes = &parts},
};

typedef struct made_sample {
    uint8_t image[H * W * 3], material[H * W], parts[H * W * 2], weather[1], tags[2];
    float depth[H * W], noisy[H * W], noise_scale[H * W], normal[H * W * 3], flow[H * W * 2], tilt[2];
} made_sample;

/* Squares of one colour each; everything follows from the colours. Some of it is unknown. */
static void make_pixel(made_sample *made, int i, const double colour[3], const double mean[3], sm_random *random)
{
    double uniform = sm_random_uniform(random) - 0.5;
    double length = sqrt(1 + colour[0] * colour[0] + colour[1] * colour[1]);
    for (int c = 0; c < 3; c++) {
        made->image[3 * i + c] = (uint8_t)(255 * (0.7 * colour[c] + 0.3 * mean[c]));
    }
    made->depth[i] = i % 7 == 0 ? NAN : (float)(0.5 + 3 * colour[2]);
    made->normal[3 * i] = i % 5 == 0 ? NAN : (float)(colour[0] / length);
    made->normal[3 * i + 1] = i % 5 == 0 ? NAN : (float)(colour[1] / length);
    made->normal[3 * i + 2] = i % 5 == 0 ? NAN : (float)(1 / length);
    made->flow[2 * i] = 0;
    made->flow[2 * i + 1] = i % 3 == 0 ? NAN : (float)(2 * colour[1] - 1);
    made->noise_scale[i] = (float)(0.1 + 1.5 * colour[1]); /* of a Laplace distribution */
    made->noisy[i] = (float)(2 * colour[0] - made->noise_scale[i] * copysign(log(1 - 2 * fabs(uniform)), uniform));
    made->material[i] = (uint8_t)(3 * colour[0] * 0.999);
    made->parts[2 * i] = colour[0] > 0.5;
    made->parts[2 * i + 1] = i % 4 == 0 ? SM_CLASS_IGNORED : colour[1] > 0.5;
}

static sm_status produce(void *user, int split, int64_t index, sm_sample *sample)
{
    made_sample *made = user;
    sm_random random = sm_random_new(11, (uint64_t)split, (uint32_t)index);
    double mean[3], colours[H / SQUARE][W / SQUARE][3];
    for (int c = 0; c < 3; c++) {
        mean[c] = sm_random_uniform(&random);
    }
    for (int y = 0; y < H / SQUARE; y++) {
        for (int x = 0; x < W / SQUARE; x++) {
            for (int c = 0; c < 3; c++) {
                colours[y][x][c] = sm_random_uniform(&random);
            }
        }
    }
    for (int i = 0; i < H * W; i++) {
        make_pixel(made, i, colours[i / W / SQUARE][i % W / SQUARE], mean, &random);
    }
    made->weather[0] = (uint8_t)(index == 4 ? SM_CLASS_IGNORED : mean[0] < 0.3 ? 0 : mean[0] < 0.6 ? 1 : 2);
    made->tilt[0] = (float)(6 * mean[0] - 3);
    made->tilt[1] = (float)(2 * mean[1]);
    made->tags[0] = mean[1] > 0.5;
    made->tags[1] = (uint8_t)(index % 3 == 0 ? SM_CLASS_IGNORED : mean[2] > 0.5);
    const void *const data[TARGETS] = {made->depth, made->normal,  made->flow, made->noisy, made->material,
                                       made->parts, made->weather, made->tilt, made->tags};
    *sample = (sm_sample){.height = H,
                          .width = W,
                          .input = made->image,
                          .baseline_metres = NAN,
                          .fx_pixels = NAN,
                          .original_height = H,
                          .original_width = W};
    for (int t = 0; t < TARGETS; t++) {
        sm_sample_add(sample, &described[t], data[t]);
    }
    return SM_OK;
}

/* \return the path of the dataset, written by the first call; freed with sm_free(). Collective. */
static char *dataset_path(void)
{
    static made_sample made;
    static int written;
    char *path = sm_format("%s/kinds.h5", sm_test_folder());
    if (!written) {
        static const char *const names[TRAIN] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"};
        const sm_dataset_split_spec splits[] = {{"train", TRAIN, names}, {"val", VALIDATION, names}};
        const sm_dataset_spec spec = {.source = "test",
                                      .height = H,
                                      .width = W,
                                      .targets = described,
                                      .target_count = TARGETS,
                                      .splits = splits,
                                      .split_count = 2};
        SM_TEST_OK(sm_dataset_write(test_comm, path, &spec, 1, produce, &made));
        written = 1;
    }
    return path;
}

/* Every kind, every loss, every encoding; two tasks of one target. */
static const char tasks[] = "[task.metres]\nkind = depth\ntarget = depth\n"
                            "[task.far]\nkind = depth\ntarget = depth\nencoding = log\nloss = l2\n"
                            "[task.near]\nkind = depth\ntarget = depth\nencoding = inverse\nloss = huber\n"
                            "huber_delta = 0.1\n"
                            "[task.normal]\nkind = normals\n"
                            "[task.flow]\nkind = regression\ntarget = flow\n"
                            "[task.parts]\nkind = labels\ntarget = parts\nclass_weights = 1, 1.5\n"
                            "[task.weather]\nkind = classification\ntarget = weather\n"
                            "[task.tilt]\nkind = regression\ntarget = tilt\n"
                            "[task.tags]\nkind = labels\ntarget = tags\nlikelihood = categorical_scaled\n";
enum { TASKS = 9 };

/* The same with log-variances of each pixel or sample, of every loss that has them. */
static const char own_variances[] = "[task.metres]\nkind = depth\ntarget = depth\nloss = huber\n"
                                    "[task.normal]\nkind = normals\n"
                                    "[task.material]\nkind = semantic\ntarget = material\nuncertainty_draws = 5\n"
                                    "[task.parts]\nkind = labels\ntarget = parts\nclass_weights = 1, 1.5\n"
                                    "[task.weather]\nkind = classification\ntarget = weather\n"
                                    "[task.tilt]\nkind = regression\ntarget = tilt\nloss = l2\n";
#define PER_PIXEL(task) "task." task ".uncertainty=per_pixel"
static const char *const all_per_pixel[] = {
    PER_PIXEL("metres"),  PER_PIXEL("normal"), PER_PIXEL("material"),           PER_PIXEL("parts"),
    PER_PIXEL("weather"), PER_PIXEL("tilt"),   "distributed.reproducible=true", NULL};

static sm_config *config_of(const char *folder, const char *learnt, const char *const *sets)
{
    char *path = dataset_path();
    char *text = sm_format("[run]\nfolder = %s/%s\nbatch = 6\nseed = 5\nprogress_seconds = 1000000\nsteps = 100\n"
                           "[model]\nbackbone = resnet18\nwidth = 0.0625\naspp_rates = 1,2,3\n[data]\ntrain = %s\n"
                           "validation = %s\nflip = false\n%s[optimizer]\nkind = adamw\nlearning_rate = 0.01\n"
                           "[distributed]\nthreads = 1\n",
                           sm_test_folder(), folder, path, path, learnt);
    sm_config *config = sm_config_new(sm_all_keys());
    SM_TEST_OK(sm_config_read_text(config, "kinds.ini", text));
    for (int i = 0; sets && sets[i]; i++) {
        SM_TEST_OK(sm_config_set(config, sets[i]));
    }
    SM_TEST_OK(sm_config_check(config));
    sm_free(text);
    sm_free(path);
    return config;
}

/* \return the parameters, log-variances included, freed with sm_free(). Collective over `comm` */
static float *parameters_after(sm_comm *comm, const char *learnt, const char *const *sets, int steps, size_t *count)
{
    tiny_run *run = sm_alloc(sizeof *run);
    tiny_open(run, comm, config_of("steps", learnt, sets));
    tiny_steps(run, steps);
    *count = tiny_parameter_floats(run);
    float *values = tiny_copy(run->session->values, *count);
    tiny_close(run);
    sm_free(run);
    return values;
}

static void expect_the_same_updates(const char *learnt, const char *const *sets)
{
    size_t count = 0, count_alone = 0;
    sm_free(dataset_path());
    float *together = parameters_after(test_comm, learnt, sets, 4, &count);
    if (sm_comm_rank(test_comm) == 0) {
        float *alone = parameters_after(sm_comm_self(), learnt, sets, 4, &count_alone);
        CU_ASSERT(count == count_alone && tiny_same_bits(together, alone, count));
        sm_free(alone);
    }
    tiny_same_on_all_ranks(together, count);
    sm_free(together);
}

static void any_number_of_ranks_makes_the_same_updates(void)
{
    static const char *const sets[] = {"distributed.reproducible=true", NULL};
    expect_the_same_updates(tasks, sets);
}

/* What is drawn for a pixel does not depend on the rank that draws it. */
static void own_variances_are_the_same_on_any_number_of_ranks(void)
{
    expect_the_same_updates(own_variances, all_per_pixel);
}

/* The first metric of each task. The best constant has errors of 0.75 m, 19 degrees, 0.5 and 2. */
static void every_kind_learns(void)
{
    static const struct {
        const char *task, *metric;
        int higher_is_better;
        double reached;
    } expected[TASKS] = {
        {"metres", "error_metres", 0, 0.4}, {"far", "error_metres", 0, 0.45}, {"near", "error_metres", 0, 0.5},
        {"normal", "mean_degrees", 0, 9},   {"flow", "error", 0, 0.3},        {"parts", "f1", 1, 85},
        {"weather", "accuracy", 1, 80},     {"tilt", "error", 0, 0.6},        {"tags", "f1", 1, 80},
    };
    static const char *const sets[] = {"data.validation_split=train", NULL};
    tiny_run *run = sm_alloc(sizeof *run);
    int value = 0;
    tiny_open(run, test_comm, config_of("learn", tasks, sets));
    tiny_steps(run, 150);
    double *values = sm_alloc((size_t)sm_evaluator_value_count(run->evaluator) * sizeof *values);
    SM_TEST_OK(sm_evaluator_run(run->evaluator, &(sm_evaluation){0}, values));
    for (int i = 0; i < TASKS; i++) {
        const sm_task *task = run->session->tasks[i];
        CU_ASSERT_STRING_EQUAL(task->name, expected[i].task);
        CU_ASSERT_STRING_EQUAL(task->kind->metrics[0].name, expected[i].metric);
        if (expected[i].higher_is_better) {
            SM_TEST_AT_MOST(expected[i].reached, values[value]);
        } else {
            SM_TEST_AT_MOST(values[value], expected[i].reached);
        }
        for (const sm_metric *metric = task->kind->metrics; metric->name; metric++) {
            value++;
        }
    }
    sm_free(values);
    tiny_close(run);
    sm_free(run);
}

/* ---- the map of sigmas ------------------------------------------------------------------------------------------- */

typedef struct pixel_pair {
    float known, predicted;
} pixel_pair;

static int by_known(const void *a, const void *b)
{
    float x = ((const pixel_pair *)a)->known, y = ((const pixel_pair *)b)->known;
    return (x > y) - (x < y);
}

static int by_predicted(const void *a, const void *b)
{
    float x = ((const pixel_pair *)a)->predicted, y = ((const pixel_pair *)b)->predicted;
    return (x > y) - (x < y);
}

/* Spearman's: the correlation of ranks, equal numbers having the mean of theirs. Reorders the pairs. */
static double rank_correlation(pixel_pair *pairs, int count)
{
    double sum = 0, squares = 0, mean = (count - 1) / 2.0;
    qsort(pairs, (size_t)count, sizeof *pairs, by_known);
    for (int i = 0, end; i < count; i = end) {
        float known = pairs[i].known;
        for (end = i; end < count && pairs[end].known == known; end++) {
        }
        double rank = (i + end - 1) / 2.0 - mean;
        squares += rank * rank * (end - i);
        for (int k = i; k < end; k++) {
            pairs[k].known = (float)rank;
        }
    }
    qsort(pairs, (size_t)count, sizeof *pairs, by_predicted);
    double predicted_squares = 0;
    for (int i = 0; i < count; i++) {
        sum += pairs[i].known * (i - mean);
        predicted_squares += (i - mean) * (i - mean);
    }
    return sum / sqrt(squares * predicted_squares);
}

/* \param [out] pairs  room for a batch of the loader \return how many; of this rank */
static int collect_sigmas(tiny_run *run, pixel_pair *pairs)
{
    static made_sample made;
    const sm_task *task = run->session->tasks[0];
    sm_engine *engine = run->trainer->engine;
    const sm_batch *batch;
    int count = 0;
    SM_TEST_OK(sm_loader_next(run->loader, &batch));
    sm_plan_prepare(engine->plan, &engine->run);
    sm_engine_set_batch(engine, batch, batch->count_global);
    sm_plan_forward(engine->plan, &engine->run);
    float *sigma = sm_alloc(H * W * sizeof *sigma);
    for (int n = 0; n < batch->count_local; n++) {
        sm_sample sample;
        produce(&made, 0, batch->sample_index[n], &sample);
        sm_task_sigma(task, H * W, sm_plan_output(engine->plan, &engine->run, 0) + (size_t)n * H * W * 2, sigma);
        for (int i = 0; i < H * W; i++) {
            pairs[count++] = (pixel_pair){made.noise_scale[i], sigma[i]};
        }
    }
    sm_free(sigma);
    return count;
}

/* Noise whose scale is known varies from square to square: the predicted scale follows it. Edges are blurred: the
 * network sees a square through features of 8 pixels. */
static void predicted_sigmas_follow_the_noise(void)
{
    static const char task[] = "[task.noisy]\nkind = regression\ntarget = noisy\nuncertainty = per_pixel\n";
    enum { BATCH = 6 };
    tiny_run *run = sm_alloc(sizeof *run);
    pixel_pair *pairs = sm_alloc(BATCH * H * W * sizeof *pairs);
    double sums[2] = {0};
    tiny_open(run, test_comm, config_of("noisy", task, NULL));
    tiny_steps(run, 200);
    CU_ASSERT_FATAL(run->session->tasks[0]->likelihood != NULL);
    CU_ASSERT_STRING_EQUAL(run->session->tasks[0]->likelihood->name, "laplace");
    int count = collect_sigmas(run, pairs);
    double logged = run->trainer->record.sigma[0];
    for (int i = 0; i < count; i++) {
        sums[0] += pairs[i].known;
        sums[1] += pairs[i].predicted;
    }
    SM_TEST_AT_MOST(fabs(sums[1] / sums[0] - 1), 0.25); /* what is wrong of the value adds to it */
    double correlation = rank_correlation(pairs, count);
    SM_TEST_AT_MOST(0.8, correlation);
    SM_TEST_AT_MOST(fabs(log(logged / 0.7)), 0.4); /* the geometric mean of 0.1 to 1.6 */
    tiny_close(run);
    sm_free(pairs);
    sm_free(run);
}

static sm_status run_to(const char *folder, const char *steps, const char *resume)
{
    const char *const sets[] = {steps, "checkpoint.interval=3", "run.evaluate_interval=3", NULL};
    sm_config *config = config_of(folder, tasks, sets);
    int started;
    sm_status status = sm_train(config, test_comm, &(sm_train_options){.resume = resume}, &started);
    sm_config_free(config);
    return status;
}

/* Runs, evaluates, writes checkpoints, resumes; the log says what the tasks are. */
static void a_run_of_all_kinds_resumes(void)
{
    SM_TEST_OK(run_to("run", "run.steps=3", NULL));
    SM_TEST_OK(run_to("run", "run.steps=6", "auto"));
    if (sm_comm_rank(test_comm) == 0) {
        char *path = sm_format("%s/run/run.h5", sm_test_folder()), *unit = NULL, *likelihood = NULL;
        sm_h5 *log = NULL;
        double loss[6], delta = 0;
        SM_TEST_OK(sm_h5_open(path, &log));
        SM_TEST_OK(sm_h5_read_rows(log, "/tasks/tilt/loss", SM_H5_DOUBLE, 0, 6, 1, loss));
        CU_ASSERT(isfinite(loss[5]) && loss[5] > 0);
        SM_TEST_OK(sm_h5_read_attribute_text(log, "/tasks/far", "unit", &unit));
        CU_ASSERT_STRING_EQUAL(unit, "log m");
        SM_TEST_OK(sm_h5_read_attribute_text(log, "/tasks/normal", "likelihood", &likelihood));
        CU_ASSERT_STRING_EQUAL(likelihood, "von_mises_fisher");
        SM_TEST_OK(sm_h5_read_attribute_double(log, "/tasks/near", "delta", &delta));
        CU_ASSERT(delta == 0.1);
        sm_h5_close(log);
        sm_free(unit);
        sm_free(likelihood);
        sm_free(path);
    }
    sm_comm_barrier(test_comm);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(any_number_of_ranks_makes_the_same_updates);
    SM_TEST(own_variances_are_the_same_on_any_number_of_ranks);
    SM_TEST(predicted_sigmas_follow_the_noise);
    SM_TEST(every_kind_learns);
    SM_TEST(a_run_of_all_kinds_resumes);
    return sm_test_end();
}
