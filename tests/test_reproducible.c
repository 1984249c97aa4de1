/* ranks: 1 2 3 */
#include "tiny_run.h"

#include <sigmatic/base/random.h>
#include <sigmatic/base/sum_tree.h>
#include <sigmatic/comm/tree_sum.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/ops/conv2d.h>
#include <sigmatic/ops/isa.h>

#include "ops/bf16_kernel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TOTAL = 33, MOST_PARTS = 9 };

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

/* A sum that remembers how it was made: neither commutative nor associative. */
static uint64_t join(uint64_t left, uint64_t right)
{
    uint64_t mixed = left * 0x9e3779b97f4a7c15u + (right ^ right >> 29) * 0xbf58476d1ce4e5b9u;
    return (mixed ^ mixed >> 32) * 0x94d049bb133111ebu + 1;
}

static uint64_t leaf(int64_t position)
{
    return join((uint64_t)position, 77);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The definition, literally: positions begin .. begin + width - 1 below total, width a power of two. */
static uint64_t naive(int64_t begin, int64_t width, int64_t total)
{
    if (width == 1) {
        return leaf(begin);
    }
    uint64_t left = naive(begin, width / 2, total);
    return begin + width / 2 < total ? join(left, naive(begin + width / 2, width / 2, total)) : left;
}

static uint64_t naive_sum(int64_t total)
{
    int64_t width = 1;
    while (width < total) {
        width *= 2;
    }
    return naive(0, width, total);
}

static void push(sm_sum_tree *tree, uint64_t *values, sm_subtree subtree, uint64_t value)
{
    int top = tree->count;
    values[top] = value;
    for (int additions = sm_sum_tree_push(tree, subtree); additions > 0; additions--, top--) {
        values[top - 1] = join(values[top - 1], values[top]);
    }
}

/* Adds every block alone, compares what it leaves with the list of maximal subtrees, and adds the blocks. */
static uint64_t sum_of_blocks(int64_t total, const int64_t *blocks, int parts)
{
    sm_sum_tree whole;
    uint64_t whole_values[SM_SUM_TREE_DEPTH];
    sm_sum_tree_begin(&whole, total);
    for (int p = 0; p < parts; p++) {
        sm_sum_tree block;
        uint64_t values[SM_SUM_TREE_DEPTH];
        sm_subtree subtrees[SM_SUM_TREE_DEPTH];
        sm_sum_tree_begin(&block, total);
        for (int64_t i = blocks[p]; i < blocks[p + 1]; i++) {
            push(&block, values, (sm_subtree){0, i}, leaf(i));
        }
        CU_ASSERT_EQUAL_FATAL(sm_sum_tree_subtrees(total, blocks[p], blocks[p + 1], subtrees), block.count);
        for (int i = 0; i < block.count; i++) {
            CU_ASSERT(subtrees[i].level == block.subtree[i].level && subtrees[i].index == block.subtree[i].index);
            push(&whole, whole_values, subtrees[i], values[i]);
        }
    }
    CU_ASSERT_EQUAL(whole.count, 1);
    return whole_values[0];
}

static void shares_make_the_naive_tree(void)
{
    for (int64_t total = 1; total <= MOST_TOTAL; total++) {
        for (int parts = 1; parts <= MOST_PARTS; parts++) {
            int64_t blocks[MOST_PARTS + 1] = {0}, share;
            for (int p = 0; p < parts; p++) {
                sm_sampler_share(total, p, parts, &blocks[p], &share);
                blocks[p + 1] = blocks[p] + share;
            }
            CU_ASSERT(sum_of_blocks(total, blocks, parts) == naive_sum(total));
        }
    }
}

static void any_blocks_make_the_naive_tree(void)
{
    sm_random random = sm_random_new(1, 2, 3);
    for (int trial = 0; trial < 2000; trial++) {
        int64_t total = 1 + (int64_t)(sm_random_uniform(&random) * 300), blocks[MOST_PARTS + 1] = {0};
        for (int p = 1; p < MOST_PARTS; p++) {
            blocks[p] = smaller(blocks[p - 1] + (int64_t)(sm_random_uniform(&random) * 90), total);
        }
        blocks[MOST_PARTS] = total;
        CU_ASSERT(sum_of_blocks(total, blocks, MOST_PARTS) == naive_sum(total));
    }
}

static void subtrees_are_few(void)
{
    for (int64_t begin = 0; begin < 130; begin++) {
        for (int64_t end = begin + 1; end <= 130; end++) {
            sm_subtree subtrees[SM_SUM_TREE_DEPTH];
            int bound = 1, count = sm_sum_tree_subtrees(130, begin, end, subtrees);
            for (int64_t length = end - begin; length > 1; length /= 2) {
                bound += 2;
            }
            CU_ASSERT(count >= 1 && count <= bound);
        }
    }
    sm_subtree subtree;
    CU_ASSERT(sm_sum_tree_subtrees(5, 3, 3, &subtree) == 0);
    CU_ASSERT(sm_sum_tree_subtrees((int64_t)1 << 40, 0, (int64_t)1 << 40, &subtree) == 1 && subtree.level == 40);
}

/* ---- sums over ranks --------------------------------------------------------------------------------------------- */

/* Numbers whose sums round: another order gives other bits. */
static float number(int64_t position, size_t i)
{
    return (float)((position * 7919 + (int64_t)i * 104729) % 10007) * 1e-3f + 1e-4f;
}

/* Fills the subtrees of the positions begin .. end - 1. \return how many; 1 for the whole gives the sum */
static int fill_subtrees(int64_t total, int64_t begin, int64_t end, size_t count, float **subtrees)
{
    sm_sum_tree tree;
    sm_sum_tree_begin(&tree, total);
    for (int64_t p = begin; p < end; p++) {
        int top = tree.count;
        for (size_t i = 0; i < count; i++) {
            subtrees[top][i] = number(p, i);
        }
        for (int additions = sm_sum_tree_push(&tree, (sm_subtree){0, p}); additions > 0; additions--, top--) {
            for (size_t i = 0; i < count; i++) {
                subtrees[top - 1][i] += subtrees[top][i];
            }
        }
    }
    return tree.count;
}

static void sum_over_ranks(int64_t total, size_t count)
{
    enum { MOST = 12 };
    float *subtrees[MOST], *whole[MOST];
    int size = sm_comm_size(test_comm), rank = sm_comm_rank(test_comm);
    int64_t *blocks = sm_alloc(((size_t)size + 1) * sizeof *blocks), share;
    for (int i = 0; i < MOST; i++) {
        subtrees[i] = sm_alloc(count * sizeof(float));
        whole[i] = sm_alloc(count * sizeof(float));
    }
    for (int r = 0; r < size; r++) {
        sm_sampler_share(total, r, size, &blocks[r], &share);
        blocks[r + 1] = blocks[r] + share;
    }
    int held = fill_subtrees(total, blocks[rank], blocks[rank + 1], count, subtrees);
    CU_ASSERT(fill_subtrees(total, 0, total, count, whole) == 1);
    double *all = sm_alloc((size_t)total * count * sizeof *all);
    for (int64_t p = 0; p < total; p++) {
        for (size_t i = 0; i < count; i++) {
            all[(size_t)p * count + i] = number(p, i) / 3.0;
        }
    }
    size_t own = (size_t)(blocks[rank + 1] - blocks[rank]);
    double *own_rows = sm_alloc((own + 1) * count * sizeof *own_rows);
    memcpy(own_rows, all + (size_t)blocks[rank] * count, own * count * sizeof *own_rows);
    CU_ASSERT(sm_sum_tree_add_rows(total, blocks[rank], (int)own, count, own_rows) == held);
    CU_ASSERT(sm_sum_tree_add_rows(total, 0, (int)total, count, all) == 1);

    sm_tree_sum *sum = sm_tree_sum_new(test_comm, MOST);
    void *workspace = sm_alloc(sm_tree_sum_workspace_bytes(test_comm, MOST, count, count));
    sm_tree_sum_set_blocks(sum, blocks, workspace);
    sm_tree_sum_float(sum, subtrees, count);
    sm_tree_sum_double(sum, own_rows, count);
    CU_ASSERT(memcmp(subtrees[0], whole[0], count * sizeof(float)) == 0);
    CU_ASSERT(memcmp(own_rows, all, count * sizeof *all) == 0);
    sm_tree_sum_free(sum);
    void *const memory[] = {workspace, own_rows, all, blocks};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        sm_free(memory[i]);
    }
    for (int i = 0; i < MOST; i++) {
        sm_free(subtrees[i]);
        sm_free(whole[i]);
    }
}

static void ranks_finish_the_tree(void)
{
    for (int64_t total = 1; total <= 19; total++) {
        sum_over_ranks(total, 1);
        sum_over_ranks(total, 45);
    }
    sum_over_ranks(7, 5000);           /* more than one gather */
    sum_over_ranks(5, (1 << 20) + 37); /* more than one piece */
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

/* Floats of one sample, or of all weights, that a pass makes. */
static size_t result_elements(const sm_conv2d_shape *s, sm_conv2d_pass pass)
{
    size_t taps = (size_t)s->kernel_height * s->kernel_width;
    return pass == SM_CONV2D_FORWARD         ? (size_t)s->out_height * s->out_width * s->channels_out
           : pass == SM_CONV2D_BACKWARD_DATA ? (size_t)s->height * s->width * s->channels_in
                                             : taps * s->channels_in * s->channels_out;
}

/* What the passes of a convolution read; maps of floats or bfloat16. */
typedef struct maps {
    sm_dtype type;
    void *input, *grad_output;
    float *weight;
} maps;

static void *map_new(sm_dtype type, size_t count, unsigned seed)
{
    float *floats = sm_alloc(count * sizeof *floats + 64);
    sm_test_fill(floats, count, seed);
    if (type == SM_F32) {
        return floats;
    }
    sm_bf16 *map = sm_alloc(count * sizeof *map + 64);
    for (size_t i = 0; i < count; i++) {
        map[i] = sm_bf16_of(floats[i]);
    }
    sm_free(floats);
    return map;
}

static maps maps_new(sm_dtype type, const sm_conv2d_shape *s, int batch, unsigned seed)
{
    return (maps){.type = type,
                  .input = map_new(type, result_elements(s, SM_CONV2D_BACKWARD_DATA) * batch, seed),
                  .weight = map_new(SM_F32, result_elements(s, SM_CONV2D_BACKWARD_WEIGHT), seed + 1),
                  .grad_output = map_new(type, result_elements(s, SM_CONV2D_FORWARD) * batch, seed + 2)};
}

static void maps_free(maps *m)
{
    sm_free(m->input);
    sm_free(m->weight);
    sm_free(m->grad_output);
}

/* Runs `batch` samples from `first` on. */
static void convolve(const sm_conv2d_algorithm *algorithm, const sm_conv2d_shape *s, sm_conv2d_pass pass,
                     const maps *data, int first, int batch, int threads, void *result)
{
    size_t prepared_bytes = algorithm->prepared_bytes ? algorithm->prepared_bytes(s, pass) : 0;
    size_t bytes = sm_dtype_bytes(data->type);
    void *prepared = sm_alloc(prepared_bytes);
    void *workspace = sm_alloc(algorithm->workspace_bytes(s, pass, batch, threads));
    if (prepared_bytes > 0) {
        algorithm->prepare(s, pass, data->weight, prepared, threads);
    }
    sm_conv2d_operands operands = {
        .batch = batch,
        .input = (const char *)data->input + (size_t)first * result_elements(s, SM_CONV2D_BACKWARD_DATA) * bytes,
        .weight = data->weight,
        .prepared = prepared_bytes > 0 ? prepared : NULL,
        .grad_output = (const char *)data->grad_output + (size_t)first * result_elements(s, SM_CONV2D_FORWARD) * bytes,
        .input_type = data->type,
        .output_type = data->type,
        .result = result,
        .workspace = workspace,
        .threads = threads,
    };
    algorithm->run(s, pass, &operands);
    sm_free(workspace);
    sm_free(prepared);
}

/* A sample alone on one thread against the same in any batch on any threads. */
static int depends_on_batch(const sm_conv2d_algorithm *algorithm, const sm_conv2d_shape *s, sm_conv2d_pass pass,
                            const maps *data, int most_batch)
{
    int bad = 0, summed = pass == SM_CONV2D_BACKWARD_WEIGHT;
    size_t bytes = result_elements(s, pass) * sm_dtype_bytes(summed ? SM_F32 : data->type);
    char *alone = sm_alloc(bytes), *together = sm_alloc(bytes * most_batch);
    convolve(algorithm, s, pass, data, most_batch - 1, 1, 1, alone);
    for (int threads = 1; threads <= 3; threads++) {
        for (int batch = 1; batch <= (summed ? 1 : most_batch); batch += 2) {
            convolve(algorithm, s, pass, data, most_batch - batch, batch, threads, together);
            bad += memcmp(alone, together + (size_t)(batch - 1) * bytes, bytes) != 0;
        }
    }
    sm_free(alone);
    sm_free(together);
    return bad;
}

static void convolutions_do_not_depend_on_batch_or_threads(void)
{
    enum { BATCH = 5 };
    static const int shapes[][8] = {/* height width in out kernel stride pad dilation */
                                    {9, 13, 5, 37, 3, 1, 1, 1},   {8, 12, 64, 96, 3, 1, 1, 1},
                                    {7, 9, 33, 20, 3, 1, 2, 2},   {12, 10, 48, 35, 1, 1, 0, 1},
                                    {11, 15, 3, 16, 7, 2, 3, 1},  {9, 8, 19, 40, 3, 2, 1, 1},
                                    {6, 7, 70, 48, 3, 1, 12, 12}, {26, 22, 20, 48, 3, 1, 1, 1}};
    const int count = sizeof shapes / sizeof *shapes, rounds = sm_test_rounds(count);
    sm_bf16_kernel_allow_slow(1);
    for (int round = 0; round < rounds; round++) {
        const int i = round * count / rounds;
        const int *n = shapes[i];
        sm_conv2d_shape s = sm_conv2d_square(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]);
        for (int bf16 = 0; bf16 < 2; bf16++) {
            maps data = maps_new(bf16 ? SM_BF16 : SM_F32, &s, BATCH, (unsigned)(10 * i));
            for (const sm_conv2d_algorithm *a = sm_conv2d_algorithms; a->name; a++) {
                for (int pass = 0; pass < SM_CONV2D_PASSES; pass++) {
                    int runs = a->supports(&s, (sm_conv2d_pass)pass) && (!bf16 || a->precision == SM_CONV2D_BF16);
                    int bad = runs && depends_on_batch(a, &s, (sm_conv2d_pass)pass, &data, BATCH);
                    CU_ASSERT(!bad);
                    if (bad) {
                        printf("%s, %s, pass %d, shape %d, bf16 %d\n", a->name, sm_isa_name(), pass, i, bf16);
                    }
                }
            }
            maps_free(&data);
        }
    }
    sm_bf16_kernel_allow_slow(0);
}

/* ---- plans ------------------------------------------------------------------------------------------------------- */

enum { PLAN_BATCH = 7, SIDE = 6 };

static void build(sm_graph *graph)
{
    int x = sm_graph_input(graph, (sm_value_shape){SIDE, SIDE, 3});
    x = sm_graph_conv2d(
        graph, x, "one",
        &(sm_conv2d_options){.channels = 9, .kernel = 3, .stride = 1, .dilation = 1, .pad = 1, .bias = 1});
    x = sm_graph_dropout(graph, sm_graph_relu(graph, x), 0.3);
    x = sm_graph_linear(graph, sm_graph_global_average_pool(graph, x), "two", 11);
    sm_graph_add_output(graph, "out", sm_graph_linear(graph, sm_graph_relu(graph, x), "three", 4));
}

typedef struct planned {
    sm_parameters *parameters;
    sm_graph *graph;
    sm_plan *plan;
    sm_run run;
} planned;

static planned plan_new(int reproducible, int threads)
{
    planned p = {.parameters = sm_parameters_new()};
    p.graph = sm_graph_new(p.parameters);
    build(p.graph);
    SM_TEST_OK(sm_plan_new(
        p.graph,
        &(sm_plan_options){
            .capacity = PLAN_BATCH, .training = 1, .threads = threads, .reproducible = reproducible, .sum_subtrees = 6},
        &p.plan));
    for (int region = SM_REGION_PARAMETERS; region < SM_REGIONS; region++) {
        p.run.base[region] = sm_alloc_zeroed(sm_plan_region_bytes(p.plan, (sm_region)region) + 64);
    }
    p.run.threads = threads;
    p.run.seed = 5;
    sm_slices_initialise(&p.parameters->parameters, 3, (float *)(void *)p.run.base[SM_REGION_PARAMETERS]);
    return p;
}

static void plan_free(planned *p)
{
    for (int region = SM_REGION_PARAMETERS; region < SM_REGIONS; region++) {
        sm_free(p->run.base[region]);
    }
    sm_plan_free(p->plan);
    sm_graph_free(p->graph);
    sm_parameters_free(p->parameters);
}

/* The gradient of a batch of PLAN_BATCH that passes through the plan block after block, each the share of a rank.
 * \return freed with sm_free() */
static float *gradient_of_blocks(planned *p, int parts, int64_t batch)
{
    size_t floats = p->parameters->parameters.floats, image = SIDE * SIDE * 3;
    float *images = sm_alloc(image * PLAN_BATCH * sizeof *images), *values[SM_SUM_TREE_DEPTH];
    sm_sum_tree tree;
    sm_test_fill(images, image * PLAN_BATCH, 8);
    sm_sum_tree_begin(&tree, batch);
    for (int r = 0; r < parts; r++) {
        int64_t first, share;
        sm_subtree subtrees[SM_SUM_TREE_DEPTH];
        sm_sampler_share(batch, r, parts, &first, &share);
        p->run.batch = (int)share;
        p->run.batch_global = batch;
        p->run.first_sample = first;
        memcpy(p->run.base[SM_REGION_INPUT], images + (size_t)first * image, (size_t)share * image * sizeof(float));
        sm_plan_prepare(p->plan, &p->run);
        sm_plan_forward(p->plan, &p->run);
        memcpy(sm_plan_output_gradient(p->plan, &p->run, 0), sm_plan_output(p->plan, &p->run, 0),
               (size_t)share * 4 * sizeof(float));
        sm_plan_backward(p->plan, &p->run);
        for (int i = 0, count = sm_sum_tree_subtrees(batch, first, first + share, subtrees); i < count; i++) {
            int top = tree.count;
            values[top] = tiny_copy(sm_plan_subtree_gradient(p->plan, &p->run, i), floats);
            for (int additions = sm_sum_tree_push(&tree, subtrees[i]); additions > 0; additions--, top--) {
                for (size_t k = 0; k < floats; k++) {
                    values[top - 1][k] += values[top][k];
                }
                sm_free(values[top]);
            }
        }
    }
    CU_ASSERT(tree.count == 1);
    sm_free(images);
    return values[0];
}

static void gradients_of_any_blocks_are_the_same_bits(void)
{
    for (int64_t batch = 3; batch <= PLAN_BATCH; batch++) {
        planned whole = plan_new(1, 1);
        size_t floats = whole.parameters->parameters.floats;
        float *expected = gradient_of_blocks(&whole, 1, batch);
        for (int parts = 2; parts <= 5; parts++) {
            planned cut = plan_new(1, parts % 3 + 1);
            float *found = gradient_of_blocks(&cut, parts, batch);
            CU_ASSERT(tiny_same_bits(found, expected, floats));
            sm_free(found);
            plan_free(&cut);
        }
        planned plain = plan_new(0, 1); /* which has one subtree, the whole batch */
        float *found = gradient_of_blocks(&plain, 1, batch);
        SM_TEST_AT_MOST(sm_test_relative_error(found, expected, floats), 1e-6); /* a few roundings of eps = 1.2e-7 */
        sm_free(found);
        sm_free(expected);
        plan_free(&plain);
        plan_free(&whole);
    }
}

static void parameters_of_several_ops_are_refused(void)
{
    sm_parameters *parameters = sm_parameters_new();
    sm_graph *graph = sm_graph_new(parameters);
    sm_plan *plan = NULL;
    int x = sm_graph_input(graph, (sm_value_shape){1, 1, 4});
    x = sm_graph_linear(graph, sm_graph_linear(graph, x, "same", 4), "same", 4);
    sm_graph_add_output(graph, "out", x);
    sm_plan_options options = {.capacity = 2, .training = 1, .threads = 1, .reproducible = 1};
    CU_ASSERT(sm_plan_new(graph, &options, &plan) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("several ops");
    sm_graph_free(graph);
    sm_parameters_free(parameters);
}

/* ---- training ---------------------------------------------------------------------------------------------------- */

#define REPRODUCIBLE "distributed.reproducible=true", "weighting.gradient_limit=0"

static void train(tiny_run *run, sm_comm *comm, const char *const *sets, int steps)
{
    tiny_open(run, comm, tiny_config(sets));
    tiny_steps(run, steps);
}

static int same_runs(const tiny_run *a, const tiny_run *b)
{
    const sm_step_record *x = &a->trainer->record, *y = &b->trainer->record;
    int same = tiny_same_bits(a->session->values, b->session->values, tiny_parameter_floats(a)) &&
               tiny_same_bits(a->session->buffers, b->session->buffers, tiny_buffer_floats(a)) &&
               tiny_same_bits(a->trainer->update->state[0], b->trainer->update->state[0], tiny_parameter_floats(a)) &&
               x->loss == y->loss && x->gradient_norm == y->gradient_norm;
    return same && memcmp(x->task_loss, y->task_loss, TINY_TASKS * sizeof *x->task_loss) == 0;
}

/* 13 samples in batches of 5 and of 8: the third and second step of an epoch are short. */
static void n_ranks_give_the_bits_of_one(void)
{
    static const char *const cases[][8] = {
        {REPRODUCIBLE, "run.batch=5", NULL},
        {REPRODUCIBLE, "run.batch=8", "run.precision=high", NULL},
        {REPRODUCIBLE, "run.batch=6", "distributed.batch_norm=frozen", NULL},
        {REPRODUCIBLE, "run.batch=5", "run.precision=bf16", "distributed.recompute=blocks", NULL},
        {REPRODUCIBLE, "run.batch=2", NULL}, /* the third rank has none */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tiny_run many, one;
        double values[32] = {0}, expected[32] = {0};
        train(&many, test_comm, cases[i], 4);
        train(&one, sm_comm_self(), cases[i], 4);
        CU_ASSERT(same_runs(&many, &one));
        SM_TEST_OK(sm_evaluator_run(many.evaluator, &(sm_evaluation){0}, values));
        SM_TEST_OK(sm_evaluator_run(one.evaluator, &(sm_evaluation){0}, expected));
        CU_ASSERT(memcmp(values, expected, sizeof values) == 0);
        tiny_close(&one);
        tiny_close(&many);
    }
}

static void two_threads_give_the_bits_of_one(void)
{
    static const char *const single[] = {REPRODUCIBLE, NULL}, *const threads[] = {REPRODUCIBLE, "distributed.threads=2",
                                                                                  NULL};
    tiny_run one, two;
    train(&two, sm_comm_self(), threads, 2);
    train(&one, sm_comm_self(), single, 2);
    CU_ASSERT(same_runs(&two, &one));
    tiny_close(&one);
    tiny_close(&two);
}

static void it_is_the_step_of_plain_sums(void)
{
    static const char *const reproducible[] = {REPRODUCIBLE, NULL}, *const plain[] = {"weighting.gradient_limit=0",
                                                                                      NULL};
    tiny_run a, b;
    train(&a, test_comm, reproducible, 0);
    float *before = tiny_copy(a.session->values, tiny_parameter_floats(&a));
    tiny_steps(&a, 1);
    train(&b, test_comm, plain, 1);
    size_t floats = tiny_parameter_floats(&a);
    float *x = tiny_copy(a.session->values, floats), *y = tiny_copy(b.session->values, floats);
    for (size_t i = 0; i < floats; i++) {
        x[i] -= before[i];
        y[i] -= before[i];
    }
    SM_TEST_AT_MOST(sm_test_relative_error(x, y, floats), 1e-4); /* that of N ranks against one, as in test_train */
    SM_TEST_AT_MOST(fabs(a.trainer->record.loss / b.trainer->record.loss - 1), 1e-6);
    sm_free(x);
    sm_free(y);
    sm_free(before);
    tiny_close(&a);
    tiny_close(&b);
}

static void what_depends_on_ranks_is_refused(void)
{
    static const char *const refused[][2] = {{"distributed.batch_norm=local", "sync or frozen"},
                                             {"distributed.compress=true", "bfloat16"},
                                             {"distributed.micro_batches=2", "micro_batches"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *const sets[] = {REPRODUCIBLE, refused[i][0], NULL};
        sm_config *config = tiny_config(sets);
        sm_settings settings;
        CU_ASSERT(sm_settings_read(config, &settings) == SM_ERR_CONFIG);
        SM_TEST_MESSAGE(refused[i][1]);
        SM_TEST_MESSAGE("reproducible = true");
        sm_config_free(config);
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(ranks_finish_the_tree);
    if (sm_comm_size(test_comm) == 1) {
        SM_TEST(shares_make_the_naive_tree);
        SM_TEST(any_blocks_make_the_naive_tree);
        SM_TEST(subtrees_are_few);
        SM_TEST_BY_SETS(convolutions_do_not_depend_on_batch_or_threads);
        SM_TEST(gradients_of_any_blocks_are_the_same_bits);
        SM_TEST(parameters_of_several_ops_are_refused);
        SM_TEST(what_depends_on_ranks_is_refused);
        SM_TEST(two_threads_give_the_bits_of_one);
    } else {
        SM_TEST(n_ranks_give_the_bits_of_one);
    }
    SM_TEST(it_is_the_step_of_plain_sums);
    return sm_test_end();
}
