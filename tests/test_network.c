/* ranks: 1 2 4 */
/* The whole network against PyTorch in float64 (tests/golden/make_network.py): one step through the trainer on 1, 2 and 4 ranks. */
#include "golden.h"

#include "train/batch_sums.h"

#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/train/settings.h>
#include <sigmatic/train/trainer.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS = 3, CLASSES = 5, BATCH = 4, STEPS = 10 };
static const char *const tasks[TASKS] = {"semantic", "instance", "depth"};

/* One golden file, this rank's part of its batch, and a trainer that starts from its parameters. */
typedef struct network_case {
    sm_h5 *file;
    sm_config *config;
    sm_session *session;
    sm_trainer *trainer;
    int height, width;
    sm_batch batch;
    const void *targets[TASKS];
    int64_t valid[TASKS];
    double metres[BATCH];
    int64_t indices[BATCH];
    void *memory[8];
    int memory_count;
} network_case;

static void *keep(network_case *c, void *memory)
{
    c->memory[c->memory_count++] = memory;
    return memory;
}

static int64_t attribute(const sm_h5 *file, const char *name)
{
    int64_t value = 0;
    SM_TEST_OK(sm_h5_read_attribute_int64(file, "/", name, &value));
    return value;
}

static char *attribute_text(const sm_h5 *file, const char *name)
{
    char *value = NULL;
    SM_TEST_OK(sm_h5_read_attribute_text(file, "/", name, &value));
    return value;
}

static void make_config(network_case *c, const char *optimizer, const char *kernels)
{
    char *backbone = attribute_text(c->file, "backbone"), *likelihood = attribute_text(c->file, "l1_likelihood");
    int64_t *rates;
    size_t count;
    SM_TEST_OK(sm_h5_read_attribute_int64s(c->file, "/", "rates", &rates, &count));
    char *text = sm_format(
        "[run]\nbatch = 4\nsteps = 10\n%s\n[model]\nbackbone = %s\nwidth = 0.03125\noutput_stride = %d\n"
        "aspp_rates = %d,%d,%d\nproject = %s\n"
        "[task.semantic]\nkind = semantic\nlog_variance = 0.3\n[task.instance]\nkind = instance\nlog_variance = -0.2\n"
        "likelihood = %s\n[task.depth]\nkind = depth\nlog_variance = 0.5\nlikelihood = %s\n"
        "[weighting]\nlearning_rate_scale = 1\ngradient_limit = 0\n[schedule]\nkind = constant\n[optimizer]\n%s\n"
        "[data]\ntrain = none\n",
        kernels, backbone, (int)attribute(c->file, "output_stride"), (int)rates[0], (int)rates[1], (int)rates[2],
        attribute(c->file, "project") ? "true" : "false", likelihood, likelihood, optimizer);
    c->config = sm_config_new(sm_all_keys());
    SM_TEST_OK(sm_config_read_text(c->config, "golden", text));
    SM_TEST_OK(sm_config_check(c->config));
    sm_free(text);
    sm_free(rates);
    sm_free(backbone);
    sm_free(likelihood);
}

static void load_slices(const sm_h5 *file, const char *group, const sm_slices *slices, float *flat)
{
    for (int i = 0; i < slices->count; i++) {
        float *values = golden_read(file, group, slices->items[i].name, SM_H5_FLOAT, NULL);
        sm_slice_import(&slices->items[i], values, flat);
        sm_free(values);
    }
}

/* The first (4 mod size) ranks hold one sample more, as the sampler deals them. */
static void make_batch(network_case *c)
{
    static const int bytes_per_pixel[TASKS] = {1, 8, 4};
    static const sm_h5_type types[TASKS] = {SM_H5_U8, SM_H5_FLOAT, SM_H5_FLOAT};
    int rank = sm_comm_rank(test_comm), size = sm_comm_size(test_comm);
    int first = rank * (BATCH / size) + (rank < BATCH % size ? rank : BATCH % size);
    int count = BATCH / size + (rank < BATCH % size);
    size_t pixels = (size_t)c->height * (size_t)c->width;
    float *image = keep(c, golden_read(c->file, "", "image", SM_H5_FLOAT, NULL));
    float *aligned = keep(c, sm_alloc(pixels * 3 * BATCH * sizeof(float)));
    memcpy(aligned, image + (size_t)first * pixels * 3, (size_t)count * pixels * 3 * sizeof(float));
    for (int t = 0; t < TASKS; t++) {
        char *target = keep(c, golden_read(c->file, "/targets", tasks[t], types[t], NULL));
        int64_t *valid = golden_read(c->file, "/targets/valid_pixels", tasks[t], SM_H5_INT64, NULL);
        c->targets[t] = target + (size_t)first * pixels * (size_t)bytes_per_pixel[t];
        c->valid[t] = 0;
        for (int n = first; n < first + count; n++) {
            c->valid[t] += valid[n];
        }
        sm_free(valid);
    }
    c->batch = (sm_batch){.count_local = count,
                          .first_local = first,
                          .count_global = BATCH,
                          .micro_batches = 1,
                          .height = c->height,
                          .width = c->width,
                          .input = aligned,
                          .target = c->targets,
                          .valid = c->valid,
                          .valid_step = c->valid,
                          .sample_index = c->indices,
                          .metres_pixels = c->metres};
}

/* A dataset of one empty sample, for its five classes. */
static sm_dataset *five_classes;
static uint8_t no_pixels[32 * 32 * 3 * sizeof(float)];

static sm_status empty_sample(void *user, int split, int64_t index, sm_sample *sample)
{
    (void)split;
    (void)index;
    *sample = (sm_sample){.height = 32,
                          .width = 32,
                          .input = no_pixels,
                          .baseline_metres = NAN,
                          .fx_pixels = NAN,
                          .original_height = 32,
                          .original_width = 32};
    for (int t = 0; t < TASKS; t++) {
        sm_sample_add(sample, (const sm_target *)user + t, no_pixels);
    }
    return SM_OK;
}

static void a_dataset_gives_the_classes(void)
{
    static const char *const names[CLASSES] = {"a", "b", "c", "d", "e"};
    static const char *const sample_names[] = {"0"};
    const sm_class_list classes = {.count = CLASSES, .names = names};
    sm_target targets[TASKS] = {*sm_standard_target("semantic"), *sm_standard_target("instance"),
                                *sm_standard_target("disparity")};
    targets[0].classes = &classes;
    const sm_dataset_split_spec split = {"train", 1, sample_names};
    const sm_dataset_spec spec = {.source = "test",
                                  .height = 32,
                                  .width = 32,
                                  .targets = targets,
                                  .target_count = TASKS,
                                  .splits = &split,
                                  .split_count = 1};
    char *path = sm_format("%s/classes.h5", sm_test_folder());
    const char *paths[] = {path};
    SM_TEST_OK(sm_dataset_write(test_comm, path, &spec, 1, empty_sample, targets));
    SM_TEST_OK(sm_dataset_open(paths, 1, "train", &five_classes));
    sm_free(path);
}

static network_case *open_case(const char *name, const char *optimizer, const char *kernels)
{
    network_case *c = sm_alloc_zeroed(sizeof *c);
    c->file = golden_open(name);
    c->height = (int)attribute(c->file, "height");
    c->width = (int)attribute(c->file, "width_pixels");
    make_config(c, optimizer, kernels);
    SM_TEST_OK(sm_session_new(c->config, test_comm, five_classes, &c->session));
    SM_TEST_OK(sm_trainer_new(c->session, c->height, c->width, BATCH, STEPS, &c->trainer));
    load_slices(c->file, "/parameters", &c->session->parameters->parameters, c->session->values);
    load_slices(c->file, "/buffers", &c->session->parameters->buffers, c->session->buffers);
    sm_trainer_bind(c->trainer);
    make_batch(c);
    return c;
}

static void close_case(network_case *c)
{
    for (int i = 0; i < c->memory_count; i++) {
        sm_free(c->memory[i]);
    }
    sm_trainer_free(c->trainer);
    sm_session_free(c->session);
    sm_config_free(c->config);
    sm_h5_close(c->file);
    sm_free(c);
}

static sm_status next_batch(void *user, const sm_batch **batch)
{
    *batch = &((network_case *)user)->batch;
    return SM_OK;
}

static void step(network_case *c)
{
    int done;
    SM_TEST_OK(sm_trainer_step_from(c->trainer, next_batch, c, 0, &done));
    CU_ASSERT(c->trainer->record.applied == 1);
}

/* Compares every slice of a flat array with the file's tensor of that name; reports the worst. */
static void compare_slices(const network_case *c, const char *group, const sm_slices *slices, const float *flat,
                           double bound)
{
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        float *expected = golden_read(c->file, group, slice->name, SM_H5_FLOAT, NULL);
        float *found = sm_alloc(slice->count * sizeof *found);
        sm_slice_export(slice, flat, found);
        double error = sm_test_relative_error(found, expected, slice->count);
        if (!(error <= bound)) {
            fprintf(stderr, "%s/%s: relative error %g\n", group, slice->name, error);
        }
        SM_TEST_AT_MOST(error, bound);
        sm_free(expected);
        sm_free(found);
    }
}

/* \return the sums of gradients, of which each rank has its own part */
static float *all_gradients(const network_case *c)
{
    const sm_update *update = c->trainer->update;
    size_t floats = c->session->parameters->parameters.floats;
    float *sums = sm_alloc_zeroed(2 * floats * sizeof *sums), *holders = sums + floats;
    for (size_t i = update->own_begin; i < update->own_end; i++) {
        sums[i] = c->trainer->sums->gradients[i];
        holders[i] = 1;
    }
    sm_comm_sum_float(test_comm, sums, 2 * floats);
    for (size_t i = 0; i < floats; i++) {
        CU_ASSERT_FATAL(holders[i] >= 1);
        sums[i] /= holders[i];
    }
    return sums;
}

/* Outputs of samples 0 and 3, where this rank has them. */
static void compare_outputs(const network_case *c, double bound)
{
    size_t pixels = (size_t)c->height * (size_t)c->width;
    for (int t = 0; t < TASKS; t++) {
        float *expected = golden_read(c->file, "/outputs", tasks[t], SM_H5_FLOAT, NULL);
        size_t floats = pixels * (size_t)c->session->tasks[t]->channels;
        const float *found = sm_plan_output(c->trainer->engine->plan, &c->trainer->engine->run, t);
        for (int i = 0; i < 2; i++) {
            int64_t local = 3 * i - c->batch.first_local;
            if (local >= 0 && local < c->batch.count_local) {
                SM_TEST_AT_MOST(
                    sm_test_relative_error(found + (size_t)local * floats, expected + (size_t)i * floats, floats),
                    bound);
            }
        }
        sm_free(expected);
    }
}

/* Output values live until backward begins, so forward runs once by itself. */
static void check_forward(network_case *c, double bound)
{
    sm_engine *engine = c->trainer->engine;
    float *before = sm_alloc(c->session->parameters->buffers.floats * sizeof *before);
    memcpy(before, c->session->buffers, c->session->parameters->buffers.floats * sizeof *before);
    step(c); /* sets the run's fields; parameters are put back by the caller */
    memcpy(c->session->buffers, before, c->session->parameters->buffers.floats * sizeof *before);
    load_slices(c->file, "/parameters", &c->session->parameters->parameters, c->session->values);
    sm_plan_prepare(engine->plan, &engine->run);
    sm_plan_forward(engine->plan, &engine->run);
    compare_outputs(c, bound);
    sm_free(before);
}

static void check_first_step(const char *name, const char *kernels, double bound)
{
    network_case *c = open_case(name, "kind = sgd\nlearning_rate = 0\n", kernels);
    check_forward(c, bound);
    close_case(c);
    c = open_case(name, "kind = sgd\nlearning_rate = 0\n", kernels);
    step(c);
    for (int t = 0; t < TASKS; t++) {
        SM_TEST_AT_MOST(fabs(c->trainer->record.task_loss[t] / golden_number(c->file, "/losses", tasks[t]) - 1), bound);
        SM_TEST_AT_MOST(fabs(c->trainer->record.weight[t] / golden_number(c->file, "/weights", tasks[t]) - 1), bound);
    }
    SM_TEST_AT_MOST(fabs(c->trainer->record.loss / golden_number(c->file, "", "total") - 1), bound);
    SM_TEST_AT_MOST(fabs(c->trainer->record.gradient_norm / golden_number(c->file, "", "gradient_norm") - 1), bound);
    float *gradients = all_gradients(c);
    compare_slices(c, "/gradients", &c->session->parameters->parameters, gradients, bound);
    sm_free(gradients);
    compare_slices(c, "/buffers_after", &c->session->parameters->buffers, c->session->buffers, bound);
    close_case(c);
}

/* Updates after ten steps, not parameters: parameters move little, so comparing them would prove little.
 * By direct sums: the golden's ReLU kinks are chosen to stand clear of their rounding, not of any mixture of algorithms. */
static void check_ten_steps(const char *name, const char *optimizer, const char *group)
{
    network_case *c = open_case(name, optimizer, "[distributed]\nconv2d_algorithm = implicit_gemm");
    const sm_slices *slices = &c->session->parameters->parameters;
    float *before = sm_alloc(slices->floats * sizeof *before);
    memcpy(before, c->session->values, slices->floats * sizeof *before);
    double *totals = golden_read(c->file, group, "total", SM_H5_DOUBLE, NULL);
    for (int i = 0; i < STEPS; i++) {
        step(c);
        SM_TEST_AT_MOST(fabs(c->trainer->record.loss / totals[i] - 1), 1e-4);
    }
    for (size_t i = 0; i < slices->floats; i++) {
        before[i] = c->session->values[i] - before[i];
    }
    compare_slices(c, group, slices, before, 1e-4);
    sm_free(totals);
    sm_free(before);
    close_case(c);
}

/* float32 against float64 through some fifty layers: 1e-4 is the project's bound, direct sums stay near 1e-5. */
static void bottlenecks_at_stride_8_agree_with_pytorch(void)
{
    check_first_step("network_os8.h5", "precision = highest", 1e-4);
}

static void bottlenecks_at_stride_16_with_projection_agree_with_pytorch(void)
{
    check_first_step("network_os16.h5", "precision = highest", 1e-4);
}

static void basic_blocks_with_a_rank_without_instances_agree_with_pytorch(void)
{
    check_first_step("network_resnet18_os8.h5", "precision = highest", 1e-4);
}

static void reference_kernels_agree_with_pytorch(void)
{
    check_first_step("network_resnet18_os8.h5", "[distributed]\nconv2d_algorithm = reference", 1e-4);
}

/* F(4x4) rounds several times more than a direct sum. */
static void fastest_kernels_agree_with_pytorch(void)
{
    check_first_step("network_os8.h5", "precision = high", 2e-3);
    check_first_step("network_resnet18_os8.h5", "precision = high", 2e-3);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the gradients of all weights: the median and the ninth decile of their relative errors. */
static void gradient_errors(const network_case *c, double *median, double *ninth_decile)
{
    const sm_slices *slices = &c->session->parameters->parameters;
    float *gradients = all_gradients(c);
    double *errors = sm_alloc((size_t)slices->count * sizeof *errors);
    int count = 0;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        if (strncmp(slice->name, "log_variance", 12) != 0) {
            float *expected = golden_read(c->file, "/gradients", slice->name, SM_H5_FLOAT, NULL);
            float *found = sm_alloc(slice->count * sizeof *found);
            sm_slice_export(slice, gradients, found);
            errors[count++] = sm_test_relative_error(found, expected, slice->count);
            sm_free(expected);
            sm_free(found);
        }
    }
    qsort(errors, (size_t)count, sizeof *errors, by_size);
    *median = errors[count / 2];
    *ninth_decile = errors[count * 9 / 10];
    sm_free(errors);
    sm_free(gradients);
}

/* How far PyTorch's autocast to bfloat16 is from float64 on the same network; it rounds at the same places, but not the
 * same sums: half as much again is allowed. */
static double as_near_as_pytorch(const network_case *c, const char *what)
{
    double error;
    SM_TEST_OK(sm_h5_read_attribute_double(c->file, "/autocast", what, &error));
    return 1.5 * error;
}

static void check_bf16(const char *name)
{
    network_case *c = open_case(name, "kind = sgd\nlearning_rate = 0\n", "precision = bf16");
    check_forward(c, as_near_as_pytorch(c, "outputs"));
    close_case(c);
    c = open_case(name, "kind = sgd\nlearning_rate = 0\n", "precision = bf16");
    step(c);
    for (int t = 0; t < TASKS; t++) {
        /* a sum of errors of either sign: PyTorch's is 6e-6 to 1e-3 */
        SM_TEST_AT_MOST(fabs(c->trainer->record.task_loss[t] / golden_number(c->file, "/losses", tasks[t]) - 1), 2e-3);
    }
    double median, ninth_decile;
    gradient_errors(c, &median, &ninth_decile);
    SM_TEST_AT_MOST(median, as_near_as_pytorch(c, "gradients_median"));
    SM_TEST_AT_MOST(ninth_decile, as_near_as_pytorch(c, "gradients_ninth_decile"));
    close_case(c);
}

static void bfloat16_is_as_near_as_that_of_pytorch(void)
{
    check_bf16("network_os8.h5");
    check_bf16("network_os16.h5");
    check_bf16("network_resnet18_os8.h5");
}

static const char sgd[] = "kind = sgd\nlearning_rate = 0.01\nmomentum = 0.9\nnesterov = true\nweight_decay = 1e-4\n";
static const char adamw[] =
    "kind = adamw\nlearning_rate = 4e-3\nbeta1 = 0.9\nbeta2 = 0.999\nepsilon = 1e-2\nweight_decay = 1e-2\n";

static void ten_steps_of_sgd_make_the_same_updates(void)
{
    check_ten_steps("network_os8.h5", sgd, "/updates/sgd");
    check_ten_steps("network_os16.h5", sgd, "/updates/sgd");
    check_ten_steps("network_resnet18_os8.h5", sgd, "/updates/sgd");
}

static void ten_steps_of_adamw_make_the_same_updates(void)
{
    check_ten_steps("network_resnet18_os8.h5", adamw, "/updates/adamw");
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_dataset_gives_the_classes);
    SM_TEST(bottlenecks_at_stride_8_agree_with_pytorch);
    SM_TEST(bottlenecks_at_stride_16_with_projection_agree_with_pytorch);
    SM_TEST(basic_blocks_with_a_rank_without_instances_agree_with_pytorch);
    SM_TEST(reference_kernels_agree_with_pytorch);
    SM_TEST(fastest_kernels_agree_with_pytorch);
    SM_TEST(bfloat16_is_as_near_as_that_of_pytorch);
    SM_TEST(ten_steps_of_sgd_make_the_same_updates);
    SM_TEST(ten_steps_of_adamw_make_the_same_updates);
    int failed = sm_test_end();
    sm_dataset_close(five_classes);
    return failed;
}
