/* ranks: 1 */
/* Several backward passes after one forward, and the gradients of single tasks: against one pass from the sum of the
 * seeds, against passes from one seed, against networks of one task. Memory that a later pass still needs is reused only
 * in networks that are large enough: those of ResNet-18 here are a quarter of its width, and one is all of it. */
#define _XOPEN_SOURCE 700
#include "plan_fixture.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/model/network.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TASKS = 3, SIDE = 32, BATCH = 2 };

static const sm_head task_heads[TASKS] = {
    {"classes", SM_HEAD_MAP, 5}, {"vectors", SM_HEAD_MAP, 2}, {"depth", SM_HEAD_MAP, 1}};

static size_t flat_floats(const machine *m)
{
    return m->parameters->parameters.floats;
}

/* A network's first numbers, drawn again only where the last one was another. */
static void initialise(machine *m)
{
    static float *values;
    static size_t floats;
    const sm_slices *slices = &m->parameters->parameters;
    if (floats != slices->floats) {
        floats = slices->floats;
        values = sm_realloc(values, floats * sizeof *values);
        sm_slices_initialise(slices, 3, values);
    }
    memcpy(m->run.base[SM_REGION_PARAMETERS], values, floats * sizeof *values);
}

/* ResNet-18 and its heads; projected, with dropout. \param only  a task, or -1: all of them */
static machine network_new(double width, int project, int only, const sm_plan_options *options)
{
    machine m = {.parameters = sm_parameters_new(), .capacity = options->capacity};
    sm_network_options network = {.backbone = sm_backbones[0],
                                  .width = width,
                                  .output_stride = 8,
                                  .rates = {1, 2, 3},
                                  .project = project,
                                  .dropout = project ? 0.1 : 0};
    SM_TEST_OK(sm_network_build(&network, (sm_value_shape){SIDE, SIDE, 3}, only < 0 ? TASKS : 1,
                                task_heads + (only < 0 ? 0 : only), m.parameters, &m.graph));
    SM_TEST_OK(sm_plan_new(m.graph, options, &m.plan));
    give_memory(&m);
    initialise(&m);
    return m;
}

static size_t activations_of(const machine *m)
{
    return sm_plan_region_bytes(m->plan, SM_REGION_ACTIVATIONS);
}

static float *copy_of_gradients(const machine *m)
{
    size_t bytes = flat_floats(m) * sizeof(float);
    return memcpy(sm_alloc(bytes), gradients_of(m), bytes);
}

/* Seeds of one task, or of all (-1); the others' are zeros. */
static void write_seeds(machine *m, int only)
{
    for (int i = 0; i < m->graph->output_count; i++) {
        if (only < 0 || only == i) {
            write_seed(m, i, NAN);
        } else {
            fill(sm_plan_output_gradient(m->plan, &m->run, i),
                 output_floats(m, i) * (size_t)m->run.batch * sizeof(float), 0);
        }
    }
}

static float *pass_from(machine *m, int only)
{
    write_seeds(m, only);
    poison_region(m, SM_REGION_GRADIENTS, NAN);
    sm_plan_backward(m->plan, &m->run);
    return copy_of_gradients(m);
}

/* \return parameters of which a number differs; zeros of either sign are the same. The padding between them is not
 * compared. `task` -1: shared parameters, -2: all */
static int parameters_that_differ(const machine *m, const float *a, const float *b, int task)
{
    int differ = 0;
    for (int i = 0; i < m->parameters->parameters.count; i++) {
        const sm_slice *slice = &m->parameters->parameters.items[i];
        int same = 1;
        for (size_t j = slice->offset; j < slice->offset + slice->count; j++) {
            same = same && a[j] == b[j];
        }
        differ += !same && (task == -2 || task == slice->task);
    }
    return differ;
}

/* \return the largest relative error of a parameter */
static double worst_error(const machine *m, const float *a, const float *b, int task)
{
    double worst = 0;
    for (int i = 0; i < m->parameters->parameters.count; i++) {
        const sm_slice *slice = &m->parameters->parameters.items[i];
        if (task == -2 || task == slice->task) {
            sm_test_worse(&worst, sm_test_relative_error(a + slice->offset, b + slice->offset, slice->count));
        }
    }
    return worst;
}

static float *sum_of(const machine *m, float *const *gradients, const double *coefficients)
{
    size_t floats = flat_floats(m);
    float *sum = sm_alloc_zeroed(floats * sizeof *sum);
    for (size_t i = 0; i < floats; i++) {
        double total = 0;
        for (int task = 0; task < TASKS; task++) {
            total += coefficients[task] * gradients[task][i];
        }
        sum[i] = (float)total;
    }
    return sum;
}

static const double ones[TASKS] = {1, 1, 1}, mixed[TASKS] = {0.7, 0, -1.3};

/* ---- passes that repeat ------------------------------------------------------------------------------------------ */

/* One pass more than memory was kept for. */
static void passes_repeat(double width, int project, const sm_plan_options *options, double tolerance)
{
    sm_plan_options repeating = *options;
    repeating.repeat_backward = 1;
    machine m = network_new(width, project, -1, &repeating), once = network_new(width, project, -1, options);
    float *alone[TASKS];
    run_forward(&m, BATCH, NAN);
    run_forward(&once, BATCH, NAN);
    float *first = pass_from(&m, -1), *only = pass_from(&once, -1);
    CU_ASSERT(parameters_that_differ(&m, first, only, -2) == 0 && activations_of(&once) <= activations_of(&m));
    for (int task = 0; task < TASKS; task++) {
        alone[task] = pass_from(&m, task);
    }
    float *again = pass_from(&m, -1), *sum = sum_of(&m, alone, ones);
    CU_ASSERT(parameters_that_differ(&m, first, again, -2) == 0);
    SM_TEST_AT_MOST(worst_error(&m, sum, first, -2), tolerance);
    if (!options->reproducible) { /* which never adds to what is there */
        for (int task = 0; task < TASKS; task++) {
            write_seeds(&m, task);
            m.run.accumulate = task > 0;
            sm_plan_backward(m.plan, &m.run);
        }
        SM_TEST_AT_MOST(worst_error(&m, gradients_of(&m), first, -2), tolerance);
    }
    for (int task = 0; task < TASKS; task++) {
        sm_free(alone[task]);
    }
    sm_free(first);
    sm_free(again);
    sm_free(only);
    sm_free(sum);
    machine_free(&m);
    machine_free(&once);
}

static size_t floats_of_outputs_and_seeds(const machine *m)
{
    size_t floats = 0;
    for (int i = 0; i < m->graph->output_count; i++) {
        floats += 2 * output_floats(m, i) * (size_t)m->run.batch;
    }
    return floats;
}

/* Each output and its seed, one after the other. */
static float *outputs_and_seeds(const machine *m)
{
    float *values = sm_alloc_zeroed(floats_of_outputs_and_seeds(m) * sizeof *values);
    size_t at = 0;
    for (int i = 0; i < m->graph->output_count; i++) {
        size_t count = output_floats(m, i) * (size_t)m->run.batch;
        const float *seed = sm_plan_output_gradient(m->plan, &m->run, i);
        memcpy(values + at, sm_plan_output(m->plan, &m->run, i), count * sizeof *values);
        if (seed) {
            memcpy(values + at + count, seed, count * sizeof *values);
        }
        at += 2 * count;
    }
    return values;
}

static void outputs_and_seeds_stay(void)
{
    for (int form = 0; form < 4; form++) {
        sm_plan_options options = training;
        options.repeat_backward = 1;
        options.recompute = form & 1;
        options.no_fusion = form >> 1;
        for (int g = 0; g < GRAPHS; g++) {
            for (unsigned variant = 0; variant < graphs[g].variants; variant++) {
                if (!is_legal(g, variant)) {
                    continue;
                }
                machine m = machine_new(graphs[g].build, variant, &options);
                run_forward(&m, 3, NAN);
                for (int i = 0; i < m.graph->output_count; i++) {
                    write_seed(&m, i, NAN);
                }
                float *before = outputs_and_seeds(&m);
                sm_plan_backward(m.plan, &m.run);
                float *first = copy_of_gradients(&m), *after = outputs_and_seeds(&m);
                poison_region(&m, SM_REGION_GRADIENTS, NAN);
                sm_plan_backward(m.plan, &m.run);
                CU_ASSERT(memcmp(first, gradients_of(&m), flat_floats(&m) * sizeof *first) == 0);
                CU_ASSERT(memcmp(before, after, floats_of_outputs_and_seeds(&m) * sizeof *before) == 0);
                sm_free(before);
                sm_free(after);
                sm_free(first);
                machine_free(&m);
            }
        }
    }
}

/* ---- gradients of single tasks ----------------------------------------------------------------------------------- */

static void run_heads(machine *m, const int *order, int count)
{
    for (int i = 0; i < count; i++) {
        sm_plan_backward_task(m->plan, &m->run, order[i]);
    }
}

/* In any order, one of them twice and from other seeds the first time. */
static void heads_in_disorder(machine *m)
{
    static const int orders[2][3] = {{1, 0, 2}, {2, 1, 1}};
    write_seeds(m, 2);
    run_heads(m, orders[0], 2);
    write_seeds(m, -1);
    run_heads(m, orders[1], 3);
    sm_plan_backward_task(m->plan, &m->run, 0);
}

static float *shared_pass(machine *m, const double *coefficients)
{
    poison_region(m, SM_REGION_GRADIENTS, NAN);
    sm_plan_backward_shared(m->plan, &m->run, coefficients);
    return copy_of_gradients(m);
}

/* Numbers of tasks, in plans that keep what K passes read and in plans that do not. */
static void tasks_have_gradients(double width, int project, const sm_plan_options *options, double tolerance)
{
    sm_plan_options repeating = *options, tasks = *options, both = *options;
    repeating.repeat_backward = both.repeat_backward = 1;
    tasks.task_gradients = both.task_gradients = 1;
    machine m = network_new(width, project, -1, &both), reference = network_new(width, project, -1, &repeating),
            single = network_new(width, project, -1, &tasks);
    float *alone[TASKS];
    run_forward(&reference, BATCH, NAN);
    run_forward(&m, BATCH, NAN);
    run_forward(&single, BATCH, NAN);
    heads_in_disorder(&m);
    heads_in_disorder(&single);
    float *heads = copy_of_gradients(&m), *heads_single = copy_of_gradients(&single);
    for (int task = 0; task < TASKS; task++) {
        double unit[TASKS] = {0};
        unit[task] = 1;
        alone[task] = pass_from(&reference, task);
        CU_ASSERT(parameters_that_differ(&m, heads, alone[task], task) == 0);
        CU_ASSERT(parameters_that_differ(&m, heads_single, alone[task], task) == 0);
        float *shared = shared_pass(&m, unit);
        CU_ASSERT(parameters_that_differ(&m, shared, alone[task], -1) == 0);
        sm_free(shared);
    }
    float *expected = sum_of(&m, alone, mixed), *joined = shared_pass(&m, mixed),
          *joined_single = shared_pass(&single, mixed);
    SM_TEST_AT_MOST(worst_error(&m, joined, expected, -1), tolerance);
    CU_ASSERT(parameters_that_differ(&m, joined, joined_single, -1) == 0);
    CU_ASSERT(activations_of(&single) <= activations_of(&m) && activations_of(&reference) <= activations_of(&m));
    for (int task = 0; task < TASKS; task++) {
        sm_free(alone[task]);
    }
    sm_free(heads);
    sm_free(heads_single);
    sm_free(expected);
    sm_free(joined);
    sm_free(joined_single);
    machine_free(&m);
    machine_free(&reference);
    machine_free(&single);
}

/* ---- in every form of a plan ------------------------------------------------------------------------------------- */

typedef void (*form_test)(double width, int project, const sm_plan_options *options, double tolerance);

/* Passes from parts of the seeds differ from one pass by the rounding of sums: of some 1e4 floats, 2e-6 here; where maps
 * are of bfloat16, each of some 25 layers rounds its gradients to 8 bits. */
enum { FORMS = 13 };

static void in_every_form(form_test test)
{
    static const sm_batch_norm_mode modes[] = {SM_BATCH_NORM_SYNC, SM_BATCH_NORM_LOCAL, SM_BATCH_NORM_FROZEN};
    const double exact = 1e-4, rounded = 0.05;
    int rounds = sm_test_rounds(FORMS);
    for (int round = 0; round < rounds; round++) {
        int form = round * FORMS / rounds; /* spread over all, where only a part is wanted */
        sm_plan_options options = training;
        options.capacity = BATCH;
        int project = form & 1, bf16 = 0;
        if (form < 8) {
            bf16 = form >> 1 & 1;
            options.recompute = form & 1;
            options.precision = bf16 ? SM_CONV2D_BF16 : SM_CONV2D_HIGHEST;
            options.reproducible = form >> 2;
        } else if (form < 11) {
            options.batch_norm = modes[form - 8];
        } else {
            options.keep_normalised = 1;
            options.no_fusion = project = form - 11;
        }
        test(0.25, project, &options, bf16 ? rounded : exact);
    }
}

static void a_repeated_pass_equals_the_first(void)
{
    in_every_form(passes_repeat);
}

static void passes_of_tasks_equal_passes_from_their_seeds(void)
{
    in_every_form(tasks_have_gradients);
}

static void the_same_holds_at_full_width(void)
{
    sm_plan_options options = training;
    options.capacity = BATCH;
    double width = sm_test_rounds(4) / 4.0; /* emulated, a part of it */
    passes_repeat(width, 0, &options, 2e-5);
    tasks_have_gradients(width, 0, &options, 2e-5);
}

/* ---- against networks of one task -------------------------------------------------------------------------------- */

/* Gradients of slices of the same names. */
static void same_as_alone(const machine *m, const float *shared, const float *heads, const machine *one)
{
    for (int i = 0; i < one->parameters->parameters.count; i++) {
        const sm_slice *expected = &one->parameters->parameters.items[i];
        const sm_slice *slice = sm_slices_find(&m->parameters->parameters, expected->name);
        const float *found = (slice->task < 0 ? shared : heads) + slice->offset;
        SM_TEST_AT_MOST(sm_test_max_error(found, gradients_of(one) + expected->offset, slice->count), 0);
    }
}

/* The seeds of output 0 there are those of this task. */
static void a_task_has_the_gradients_of_a_network_of_its_own(void)
{
    sm_plan_options options = training, tasks = training;
    options.capacity = tasks.capacity = BATCH;
    tasks.task_gradients = tasks.repeat_backward = 1;
    machine m = network_new(0.25, 0, -1, &tasks);
    run_forward(&m, BATCH, NAN);
    write_seeds(&m, -1);
    run_heads(&m, (int[]){0, 1, 2}, TASKS);
    float *heads = copy_of_gradients(&m);
    for (int task = 0; task < TASKS; task++) {
        double unit[TASKS] = {0};
        unit[task] = 1;
        machine one = network_new(0.25, 0, task, &options);
        run_forward(&one, BATCH, NAN);
        memcpy(sm_plan_output_gradient(one.plan, &one.run, 0), sm_plan_output_gradient(m.plan, &m.run, task),
               output_floats(&m, task) * BATCH * sizeof(float));
        sm_plan_backward(one.plan, &one.run);
        float *shared = shared_pass(&m, unit);
        same_as_alone(&m, shared, heads, &one);
        sm_free(shared);
        machine_free(&one);
    }
    sm_free(heads);
    machine_free(&m);
}

/* ---- what a pass writes, and where ------------------------------------------------------------------------------- */

/* \return 1 if the floats of the ranges are numbers and all others are still NaN */
static int only_ranges_are_written(const machine *m, const sm_range *ranges, int count)
{
    const float *gradients = gradients_of(m);
    int right = 1, at = 0;
    for (size_t i = 0; i < flat_floats(m); i++) {
        at += at < count && i == ranges[at].end;
        int inside = at < count && i >= ranges[at].begin;
        right = right && inside == !isnan(gradients[i]);
    }
    return right;
}

static void a_pass_writes_the_gradients_of_its_own_parameters(void)
{
    sm_plan_options options = training;
    options.task_gradients = 1;
    machine m = machine_new_frozen(small_network, 0, &options, "*t.norm.*");
    sm_range *ranges = sm_alloc((size_t)m.parameters->parameters.count * sizeof *ranges);
    run_forward(&m, 3, NAN);
    for (int task = 0; task < 2; task++) {
        write_seed(&m, task, NAN);
    }
    for (int task = 1; task >= -1; task--) {
        poison_region(&m, SM_REGION_GRADIENTS, NAN);
        if (task >= 0) {
            sm_plan_backward_task(m.plan, &m.run, task);
        } else {
            sm_plan_backward_shared(m.plan, &m.run, ones);
        }
        int count = sm_slices_of_task(&m.parameters->parameters, task, ranges);
        CU_ASSERT(count > 0 && only_ranges_are_written(&m, ranges, count));
    }
    sm_free(ranges);
    machine_free(&m);
}

static void head_gradients_add_up(void)
{
    sm_plan_options options = training;
    options.task_gradients = 1;
    machine m = machine_new(small_network, 0, &options);
    run_forward(&m, 3, NAN);
    write_seed(&m, 0, NAN);
    sm_plan_backward_task(m.plan, &m.run, 0);
    float *once = copy_of_gradients(&m);
    m.run.accumulate = 1;
    sm_plan_backward_task(m.plan, &m.run, 0);
    for (int i = 0; i < m.parameters->parameters.count; i++) {
        const sm_slice *slice = &m.parameters->parameters.items[i];
        for (size_t j = slice->offset; slice->task == 0 && j < slice->offset + slice->count; j++) {
            once[j] *= 2;
        }
    }
    SM_TEST_AT_MOST(worst_error(&m, gradients_of(&m), once, 0), 1e-6); /* the sum starts at what is there */
    sm_free(once);
    machine_free(&m);
}

/* With statistics of its own a sample knows nothing of the others. */
static void rows_of_a_sample_lie_together(void)
{
    sm_plan_options options = training;
    options.task_gradients = 1;
    options.batch_norm = SM_BATCH_NORM_FROZEN;
    machine m = machine_new(small_network, 1, &options);
    CU_ASSERT_FATAL(sm_plan_shared_values(m.plan) == 2); /* the vector and the map */
    float *whole[2][2];
    for (int first = 0; first < 4; first++) { /* all three samples, then each of them */
        int batch = first == 0 ? 3 : 1;
        m.run.first_sample = first == 0 ? 0 : first - 1;
        run_forward(&m, batch, NAN);
        for (int task = 0; task < 2; task++) {
            write_seed(&m, task, NAN);
            sm_plan_backward_task(m.plan, &m.run, task);
            for (int shared = 0; shared < 2; shared++) {
                sm_task_gradient gradient = sm_plan_task_gradient(m.plan, &m.run, task, shared);
                CU_ASSERT(gradient.type == SM_F32 && gradient.elements == (shared ? 4 * 5 * 10 : 4));
                size_t bytes = gradient.elements * (size_t)batch * sizeof(float);
                if (first == 0) {
                    whole[task][shared] = memcpy(sm_alloc(bytes), gradient.values, bytes);
                    continue;
                }
                const float *row = whole[task][shared] + (size_t)(first - 1) * gradient.elements;
                /* a product of one sample may be summed in another order: some 1e2 floats */
                SM_TEST_AT_MOST(sm_test_relative_error(gradient.values, row, gradient.elements), 1e-5);
            }
        }
    }
    for (int i = 0; i < 4; i++) {
        sm_free(whole[i / 2][i % 2]);
    }
    machine_free(&m);
}

/* Ten operands a call: sums of more than nine tasks take several. */
static void many_heads(sm_graph *graph, unsigned heads)
{
    int x = sm_graph_input(graph, (sm_value_shape){6, 5, 3});
    x = sm_graph_relu(graph, conv_norm(graph, x, "stem", 4, 3, 1, 1));
    for (int i = 0; i < (int)heads; i++) {
        char name[SM_NAME_BYTES];
        graph->task = i;
        snprintf(name, sizeof name, "head%d", i);
        int head = i % 2 ? sm_graph_add(graph, x, x) : conv(graph, x, name, 2, 3, 1, 1, 1);
        sm_graph_add_output(graph, name, i % 3 ? head : sm_graph_relu(graph, head));
    }
    graph->task = -1;
}

static void many_tasks_join(void)
{
    enum { HEADS = 21, ELEMENTS = 6 * 5 * 4 };
    sm_plan_options options = training, plain = training;
    options.task_gradients = 1;
    machine m = machine_new(many_heads, HEADS, &options), all = machine_new(many_heads, HEADS, &plain);
    double coefficients[HEADS];
    run_forward(&m, 3, NAN);
    run_forward(&all, 3, NAN);
    for (int task = 0; task < HEADS; task++) {
        coefficients[task] = task % 4 ? 1 + 0.125 * task : 0; /* products of the seeds with these are exact enough */
        write_seed(&m, task, NAN);
        write_seed(&all, task, NAN);
        float *seed = sm_plan_output_gradient(all.plan, &all.run, task);
        for (size_t i = 0; i < 3 * output_floats(&all, task); i++) {
            seed[i] *= (float)coefficients[task];
        }
        if (coefficients[task] != 0) {
            sm_plan_backward_task(m.plan, &m.run, task);
            sm_plan_backward_task(m.plan, &m.run, task); /* the seed is as it was */
        }
    }
    sm_plan_backward_shared(m.plan, &m.run, coefficients);
    sm_plan_backward(all.plan, &all.run);
    SM_TEST_AT_MOST(worst_error(&m, gradients_of(&m), gradients_of(&all), -1), 1e-5); /* sums of 2e3 floats */
    machine_free(&m);
    machine_free(&all);
}

/* ---- what must not be -------------------------------------------------------------------------------------------- */

/* \return 1 if an assertion ends the call */
static int is_refused(void (*call)(machine *m), machine *m)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) {
            _exit(1);
        }
        call(m);
        _exit(0);
    }
    CU_ASSERT_FATAL(child > 0 && waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void go_back(machine *m)
{
    sm_plan_backward(m->plan, &m->run);
}

static void join_all(machine *m)
{
    sm_plan_backward_shared(m->plan, &m->run, ones);
}

static void run_head(machine *m)
{
    sm_plan_backward_task(m->plan, &m->run, 0);
}

static void passes_without_what_they_read_are_refused(void)
{
    sm_plan_options options = training;
    machine once = machine_new(small_network, 0, &options);
    run_forward(&once, 3, 0);
    CU_ASSERT(!is_refused(go_back, &once));
    sm_plan_backward(once.plan, &once.run);
    CU_ASSERT(is_refused(go_back, &once));
    machine_free(&once);
    options.task_gradients = 1;
    machine tasks = machine_new(small_network, 0, &options);
    run_forward(&tasks, 3, 0);
    sm_plan_backward_task(tasks.plan, &tasks.run, 1);
    CU_ASSERT(is_refused(go_back, &tasks) && is_refused(join_all, &tasks) && !is_refused(run_head, &tasks));
    sm_plan_backward_task(tasks.plan, &tasks.run, 0);
    sm_plan_backward_shared(tasks.plan, &tasks.run, ones);
    CU_ASSERT(is_refused(join_all, &tasks) && is_refused(run_head, &tasks));
    machine_free(&tasks);
}

enum { NO_TASK, READS_ANOTHER_HEAD, SHARED_READS_A_HEAD, SHARES_A_LAYER, TOO_MANY };

static void unfit(sm_graph *graph, unsigned variant)
{
    int x = conv(graph, sm_graph_input(graph, (sm_value_shape){3, 3, 2}), "stem", 4, 1, 1, 1, 0);
    graph->task = variant == NO_TASK ? -1 : variant == TOO_MANY ? 64 : 0;
    int head = conv(graph, x, "one", 4, 1, 1, 1, 0);
    sm_graph_add_output(graph, "one", head);
    graph->task = variant == SHARED_READS_A_HEAD ? -1 : 1;
    int reads_head = variant == READS_ANOTHER_HEAD || variant == SHARED_READS_A_HEAD;
    head = conv(graph, reads_head ? head : x, variant == SHARES_A_LAYER ? "one" : "two", 4, 1, 1, 1, 0);
    graph->task = 1;
    sm_graph_add_output(graph, "two", sm_graph_relu(graph, head));
    graph->task = -1;
}

static void graphs_without_tasks_are_refused(void)
{
    static const char *const messages[] = {"output 'one' belongs to none", "two reads what the head of task 0 computes",
                                           "two reads what the head of task 0 computes",
                                           "one.weight is a parameter of more than one task", "found 65"};
    sm_plan_options options = training;
    options.task_gradients = 1;
    for (unsigned variant = 0; variant <= TOO_MANY; variant++) {
        sm_parameters *parameters = sm_parameters_new();
        sm_graph *graph = sm_graph_new(parameters);
        sm_plan *plan = NULL;
        unfit(graph, variant);
        CU_ASSERT(sm_plan_new(graph, &options, &plan) == SM_ERR_CONFIG && !plan);
        SM_TEST_MESSAGE("gradients of single tasks");
        SM_TEST_MESSAGE(messages[variant]);
        sm_graph_free(graph);
        sm_parameters_free(parameters);
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_repeated_pass_equals_the_first);
    SM_TEST(outputs_and_seeds_stay);
    SM_TEST(passes_of_tasks_equal_passes_from_their_seeds);
    SM_TEST(the_same_holds_at_full_width);
    SM_TEST(a_task_has_the_gradients_of_a_network_of_its_own);
    SM_TEST(a_pass_writes_the_gradients_of_its_own_parameters);
    SM_TEST(head_gradients_add_up);
    SM_TEST(rows_of_a_sample_lie_together);
    SM_TEST(many_tasks_join);
    SM_TEST(passes_without_what_they_read_are_refused);
    SM_TEST(graphs_without_tasks_are_refused);
    return sm_test_end();
}
