#include "train/task_gradients.h"

#include <sigmatic/base/bf16.h>
#include <sigmatic/base/clones.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/ops/weighted_sum.h>

#include <string.h>

/* Numbers are cut into blocks for threads: the sums do not depend on how many there are. */
enum { BLOCKS = 64, LANES = 16 };

static int task_count(const sm_task_gradients *tasks)
{
    return tasks->update->session->task_count;
}

sm_task_gradients *sm_task_gradients_new(const sm_update *update, sm_batch_sums *sums, int capacity,
                                         sm_weighting_needs needs)
{
    const sm_session *session = update->session;
    size_t count = (size_t)session->task_count, slices = (size_t)session->parameters->parameters.count;
    size_t rows = sums->kind->samples_a_row ? (size_t)capacity : 1, own = update->own_end - update->own_begin;
    if (needs < SM_WEIGHTING_NEEDS_SHARED_GRADIENTS) {
        return NULL;
    }
    sm_task_gradients *tasks = sm_alloc_zeroed(sizeof *tasks);
    *tasks = (sm_task_gradients){.update = update,
                                 .sums = sums,
                                 .ones = sm_alloc(count * sizeof(double)),
                                 .gram = sm_alloc_zeroed((rows * count * count + 1) * sizeof(double)),
                                 .coefficient = sm_alloc_zeroed(count * sizeof(double)),
                                 .partials = sm_alloc_zeroed(BLOCKS * sizeof(double)),
                                 .ranges = sm_alloc(slices * sizeof(sm_range))};
    if (needs == SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS) {
        tasks->parameters = sm_alloc_zeroed(count * sizeof *tasks->parameters);
        tasks->from = sm_alloc(count * sizeof *tasks->from);
        tasks->by = sm_alloc(count * sizeof *tasks->by);
    }
    for (size_t i = 0; i < count; i++) {
        tasks->ones[i] = 1;
        if (tasks->parameters) {
            tasks->parameters[i] = sm_alloc((own + 1) * sizeof(float));
        }
    }
    return tasks;
}

void sm_task_gradients_free(sm_task_gradients *tasks)
{
    if (!tasks) {
        return;
    }
    for (int i = 0; tasks->parameters && i < task_count(tasks); i++) {
        sm_free(tasks->parameters[i]);
    }
    sm_free(tasks->parameters);
    sm_free(tasks->from);
    sm_free(tasks->by);
    sm_free(tasks->ones);
    sm_free(tasks->gram);
    sm_free(tasks->coefficient);
    sm_free(tasks->partials);
    sm_free(tasks->ranges);
    sm_free(tasks);
}

size_t sm_task_gradients_bytes(const sm_task_gradients *tasks)
{
    size_t own = tasks ? tasks->update->own_end - tasks->update->own_begin : 0;
    return tasks && tasks->parameters ? (size_t)task_count(tasks) * own * sizeof(float) : 0;
}

/* ---- dot products ---- */

/* Products of floats are exact in double. */
static SM_CLONES(double, dot_float, (size_t count, const float *a, const float *b), (count, a, b))
{
    double lane[LANES] = {0}, sum = 0;
    size_t whole = count / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            lane[k] += (double)a[i + k] * b[i + k];
        }
    }
    for (size_t i = whole; i < count; i++) {
        lane[i - whole] += (double)a[i] * b[i];
    }
    for (int k = 0; k < LANES; k++) {
        sum += lane[k];
    }
    return sum;
}

static SM_CLONES(double, dot_bf16, (size_t count, const sm_bf16 *a, const sm_bf16 *b), (count, a, b))
{
    double lane[LANES] = {0}, sum = 0;
    size_t whole = count / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            lane[k] += (double)sm_float_of(a[i + k]) * sm_float_of(b[i + k]);
        }
    }
    for (size_t i = whole; i < count; i++) {
        lane[i - whole] += (double)sm_float_of(a[i]) * sm_float_of(b[i]);
    }
    for (int k = 0; k < LANES; k++) {
        sum += lane[k];
    }
    return sum;
}

static double dot_block(sm_dtype type, size_t first, size_t count, const void *a, const void *b)
{
    if (type == SM_BF16) {
        return dot_bf16(count, (const sm_bf16 *)a + first, (const sm_bf16 *)b + first);
    }
    return dot_float(count, (const float *)a + first, (const float *)b + first);
}

static double dot(const sm_task_gradients *tasks, sm_dtype type, size_t first, size_t count, const void *a,
                  const void *b)
{
    double sum = 0;
#pragma omp parallel for num_threads(tasks->update->session->settings.threads) schedule(static)
    for (int block = 0; block < BLOCKS; block++) {
        size_t begin = count * (size_t)block / BLOCKS, end = count * ((size_t)block + 1) / BLOCKS;
        tasks->partials[block] = dot_block(type, first + begin, end - begin, a, b);
    }
    for (int block = 0; block < BLOCKS; block++) {
        sum += tasks->partials[block];
    }
    return sum;
}

/* Adds what samples first .. first + count of one shared value contribute. */
static void add_samples(const sm_task_gradients *tasks, const sm_engine *engine, int shared, int first, int count,
                        double *gram)
{
    int k = task_count(tasks);
    for (int i = 0; i < k; i++) {
        sm_task_gradient a = sm_plan_task_gradient(engine->plan, &engine->run, i, shared);
        for (int j = 0; j <= i && a.values; j++) {
            sm_task_gradient b = sm_plan_task_gradient(engine->plan, &engine->run, j, shared);
            if (b.values) {
                gram[i * k + j] +=
                    dot(tasks, a.type, (size_t)first * a.elements, (size_t)count * a.elements, a.values, b.values);
            }
        }
    }
}

/* Only the lower half was computed. */
static void mirror(int k, double *gram)
{
    for (int i = 0; i < k; i++) {
        for (int j = 0; j < i; j++) {
            gram[j * k + i] = gram[i * k + j];
        }
    }
}

void sm_task_gradients_measure_shared(sm_task_gradients *tasks, const sm_engine *engine)
{
    int k = task_count(tasks), samples = engine->run.batch, no_stop = 0;
    int at_once = tasks->sums->kind->samples_a_row ? tasks->sums->kind->samples_a_row : samples;
    double *row = tasks->gram;
    memset(row, 0, (size_t)k * (size_t)k * sizeof *row);
    for (int first = 0; first < samples; first += at_once, row += k * k) {
        memset(row, 0, (size_t)k * (size_t)k * sizeof *row);
        for (int v = 0; v < sm_plan_shared_values(engine->plan); v++) {
            add_samples(tasks, engine, v, first, at_once, row);
        }
    }
    tasks->sums->kind->rows(tasks->sums, tasks->gram, (size_t)k * (size_t)k, &no_stop);
    mirror(k, tasks->gram);
}

/* ---- gradients of parameters ---- */

/* \return how many ranges of `ranges` a task (-1: none) has in the own part; their positions are the flat array's. */
static int own_ranges(const sm_task_gradients *tasks, int task)
{
    const sm_update *update = tasks->update;
    int kept = 0, count = sm_slices_of_task(&update->session->parameters->parameters, task, tasks->ranges);
    for (int i = 0; i < count; i++) {
        sm_range range = tasks->ranges[i];
        range.begin = range.begin > update->own_begin ? range.begin : update->own_begin;
        range.end = range.end < update->own_end ? range.end : update->own_end;
        if (range.begin < range.end) {
            tasks->ranges[kept++] = range;
        }
    }
    return kept;
}

static void clear_heads(sm_task_gradients *tasks)
{
    for (int task = 0; task < task_count(tasks); task++) {
        int count = sm_slices_of_task(&tasks->update->session->parameters->parameters, task, tasks->ranges);
        for (int i = 0; i < count; i++) {
            sm_range range = tasks->ranges[i];
            memset(tasks->sums->gradients + range.begin, 0, (range.end - range.begin) * sizeof(float));
        }
    }
}

void sm_task_gradients_keep(sm_task_gradients *tasks, int task)
{
    const sm_update *update = tasks->update;
    memcpy(tasks->parameters[task], tasks->sums->gradients + update->own_begin,
           (update->own_end - update->own_begin) * sizeof(float));
    if (task == 0) {
        clear_heads(tasks);
    }
}

/* Every node has all sums, each rank of it a part; where parameters do not stand once a node, every rank has all. */
static int copies_of_sums(const sm_update *update)
{
    return sm_node_memory_is_shared(update->shared) ? sm_comm_nodes(update->session->comm)
                                                    : sm_comm_size(update->session->comm);
}

/* Of one block of the flat arrays, in the order of the parameters. \param ranges  how many in `ranges` are the shared ones */
static void multiply_block(const sm_task_gradients *tasks, int block, int ranges)
{
    const sm_update *update = tasks->update;
    size_t floats = update->session->parameters->parameters.floats, k = (size_t)task_count(tasks);
    size_t begin = sm_flat_block_begin(floats, block), end = sm_flat_block_begin(floats, block + 1);
    double *products = update->products + (size_t)block * k * k;
    memset(products, 0, k * k * sizeof *products);
    for (int r = 0; r < ranges; r++) {
        size_t first = tasks->ranges[r].begin > begin ? tasks->ranges[r].begin : begin;
        size_t last = tasks->ranges[r].end < end ? tasks->ranges[r].end : end;
        for (size_t i = 0; first < last && i < k; i++) {
            for (size_t j = 0; j <= i; j++) {
                products[i * k + j] += dot_float(last - first, tasks->parameters[i] + (first - update->own_begin),
                                                 tasks->parameters[j] + (first - update->own_begin));
            }
        }
    }
}

/* Blocks are the same on any number of ranks, whoever multiplies them. Nobody writes them again before a sum over all ranks. */
static void add_blocks(sm_task_gradients *tasks)
{
    const sm_update *update = tasks->update;
    size_t pairs = (size_t)task_count(tasks) * (size_t)task_count(tasks);
    int count = own_ranges(tasks, -1);
#pragma omp parallel for num_threads(update->session->settings.threads) schedule(static)
    for (int block = update->own_first_block; block < update->own_last_block; block++) {
        multiply_block(tasks, block, count);
    }
    sm_session_wait_for_node(update->session);
    memset(tasks->gram, 0, pairs * sizeof *tasks->gram);
    for (size_t block = 0; block < SM_FLAT_BLOCKS; block++) {
        for (size_t p = 0; p < pairs; p++) {
            tasks->gram[p] += update->products[block * pairs + p];
        }
    }
    mirror(task_count(tasks), tasks->gram);
}

void sm_task_gradients_measure_parameters(sm_task_gradients *tasks)
{
    const sm_update *update = tasks->update;
    if (update->products) {
        add_blocks(tasks);
        return;
    }
    int k = task_count(tasks), count = own_ranges(tasks, -1);
    memset(tasks->gram, 0, (size_t)k * (size_t)k * sizeof *tasks->gram);
    for (int i = 0; i < k; i++) {
        for (int j = 0; j <= i; j++) {
            for (int r = 0; r < count; r++) {
                sm_range range = tasks->ranges[r];
                tasks->gram[i * k + j] += dot(tasks, SM_F32, range.begin - update->own_begin, range.end - range.begin,
                                              tasks->parameters[i], tasks->parameters[j]);
            }
        }
    }
    sm_comm_sum_double(update->session->comm, tasks->gram, (size_t)k * (size_t)k);
    for (int i = 0; i < k * k; i++) {
        tasks->gram[i] /= copies_of_sums(update);
    }
    mirror(k, tasks->gram);
}

static void join_shared(sm_task_gradients *tasks)
{
    const sm_update *update = tasks->update;
    int count = own_ranges(tasks, -1), k = task_count(tasks);
    for (int r = 0; r < count; r++) {
        sm_range range = tasks->ranges[r];
        for (int i = 0; i < k; i++) {
            tasks->from[i] = tasks->parameters[i] + (range.begin - update->own_begin);
            tasks->by[i] = (float)tasks->coefficient[i];
        }
        sm_weighted_sum(SM_F32, range.end - range.begin, k, tasks->from, tasks->by, 0,
                        tasks->sums->gradients + range.begin, update->session->settings.threads);
    }
}

void sm_task_gradients_join(sm_task_gradients *tasks, const double *weight)
{
    const sm_update *update = tasks->update;
    for (int task = 0; task < task_count(tasks); task++) {
        int count = own_ranges(tasks, task);
        float by = (float)weight[task];
        for (int r = 0; r < count; r++) {
            float *to = tasks->sums->gradients + tasks->ranges[r].begin;
            const float *from =
                tasks->parameters ? tasks->parameters[0] + (tasks->ranges[r].begin - update->own_begin) : to;
            for (size_t i = 0; i < tasks->ranges[r].end - tasks->ranges[r].begin; i++) {
                to[i] = by * from[i];
            }
        }
    }
    if (tasks->parameters) {
        join_shared(tasks);
    }
}
