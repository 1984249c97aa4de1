#include <sigmatic/base/memory.h>
#include <sigmatic/data/sampler.h>

#include "train/evaluator_metrics.h"

#include <math.h>
#include <string.h>

/* ---- what is measured ---- */

static int row_count(const sm_metric *rows)
{
    int count = 0;
    while (rows && rows[count].name) {
        count++;
    }
    return count;
}

static const sm_target *target_of(const sm_evaluator_metrics *m, int task)
{
    return sm_dataset_target(m->dataset, m->session->tasks[task]->target->name);
}

/* \return the task that tells a joint metric what is where, -1 none: the task itself, or the first that finds things */
static int find_class_task(const sm_session *session, int task)
{
    for (int t = 0; t < session->task_count; t++) {
        int asked = sm_task_is_classification(session->tasks[task]) ? t == task : 1;
        if (asked && sm_task_finds_things(session->tasks[t])) {
            return t;
        }
    }
    return -1;
}

/* \return the instances that a joint metric compares with: those that a task learns, else the standard ones; NULL none */
static const sm_target *find_instances(const sm_evaluator_metrics *m, int task)
{
    const sm_target *found = sm_dataset_target(m->dataset, "instance");
    for (int t = m->session->task_count - 1; t >= 0; t--) {
        int asked = m->session->tasks[task]->kind->learns == SM_TARGET_INSTANCE ? t == task : 1;
        if (asked && m->session->tasks[t]->kind->learns == SM_TARGET_INSTANCE) {
            found = target_of(m, t);
        }
    }
    return found && found->type == SM_TARGET_INSTANCE ? found : NULL;
}

static int reads_ids(const void *user, const char *target)
{
    return strcmp(user, target) == 0;
}

/* \return its place among the targets of a batch */
static int deliver_ids(sm_evaluator_metrics *m, const sm_target *instances)
{
    for (int b = m->session->task_count; b < m->builder_count; b++) {
        if (m->builders[b].user == instances->name) {
            return b;
        }
    }
    m->builders[m->builder_count] = (sm_target_builder){.build = sm_build_instance_ids,
                                                        .user = instances->name,
                                                        .scope = SM_SCOPE_PIXEL,
                                                        .item_bytes = sizeof(uint16_t),
                                                        .reads = reads_ids};
    return m->builder_count++;
}

static void add_part(sm_evaluator_metrics *m, sm_metric_part part)
{
    part.row_count = row_count(part.rows);
    m->value_count += part.row_count;
    m->parts[m->part_count++] = part;
}

static void add_own(sm_evaluator_metrics *m, int task)
{
    const sm_task *t = m->session->tasks[task];
    add_part(m, (sm_metric_part){.task = task,
                                 .rows = t->kind->metrics,
                                 .is_measured = target_of(m, task) != NULL,
                                 .first_count = m->count_count,
                                 .first_sum = m->sum_count});
    m->count_count += t->kind->metric_counts(t);
    m->sum_count += t->kind->metric_sums(t);
    m->class_value_count += row_count(t->kind->class_metrics) * t->channels;
}

static void add_joint(sm_evaluator_metrics *m, int task, int instances_wanted)
{
    const sm_joint_metric *joint = m->session->tasks[task]->kind->joint;
    const sm_target *instances = find_instances(m, task);
    int class_task = find_class_task(m->session, task);
    sm_metric_part part = {.task = task,
                           .joint = joint,
                           .class_task = class_task,
                           .rows = joint->metrics,
                           .first_count = m->count_count,
                           .first_sum = m->sum_count};
    part.is_measured =
        class_task >= 0 && target_of(m, class_task) && instances && (!joint->needs_vectors || instances_wanted);
    if (part.is_measured) {
        const sm_class_list *classes = m->session->tasks[class_task]->target->classes;
        part.ids = deliver_ids(m, instances);
        m->count_count += joint->counts(classes);
        m->sum_count += joint->sums(classes);
        m->class_value_count += row_count(joint->metrics) * classes->count;
    }
    add_part(m, part);
}

/* Sums over samples are made in one order, whatever the number of ranks. */
static void make_sums(sm_evaluator_metrics *m)
{
    sm_comm *comm = m->session->comm;
    int size = sm_comm_size(comm), most_subtrees = 1;
    int64_t total = sm_dataset_count(m->dataset);
    sm_subtree subtrees[SM_SUM_TREE_DEPTH];
    m->counts = sm_alloc((m->count_count + (size_t)m->session->task_count) * sizeof *m->counts);
    m->nan_samples = m->counts + m->count_count;
    m->sums = sm_alloc((SM_SUM_TREE_DEPTH * m->sum_count + 1) * sizeof *m->sums);
    m->blocks = sm_alloc(((size_t)size + 1) * sizeof *m->blocks);
    for (int r = 0; r < size; r++) {
        int64_t share;
        sm_sampler_share(total, r, size, &m->blocks[r], &share);
        m->blocks[r + 1] = m->blocks[r] + share;
        int count = sm_sum_tree_subtrees(total, m->blocks[r], m->blocks[r + 1], subtrees);
        most_subtrees = count > most_subtrees ? count : most_subtrees;
    }
    m->ranks = sm_tree_sum_new(comm, most_subtrees);
    m->workspace = sm_alloc(sm_tree_sum_workspace_bytes(comm, most_subtrees, m->sum_count, 0));
    sm_tree_sum_set_blocks(m->ranks, m->blocks, m->workspace);
}

void sm_evaluator_metrics_init(sm_evaluator_metrics *m, const sm_session *session, const sm_dataset *dataset,
                               int height, int width, int instances)
{
    size_t tasks = (size_t)session->task_count;
    m->session = session;
    m->dataset = dataset;
    m->parts = sm_alloc_zeroed(2 * tasks * sizeof *m->parts);
    m->builders = sm_alloc_zeroed(2 * tasks * sizeof *m->builders);
    m->builder_count = session->task_count;
    m->predicted = sm_alloc((size_t)height * (size_t)width);
    for (int t = 0; t < session->task_count; t++) {
        m->builders[t] = sm_task_builder(session->tasks[t]);
        add_own(m, t);
        if (session->tasks[t]->kind->joint) {
            add_joint(m, t, instances);
        }
    }
    m->first_valid = m->count_count;
    m->first_loss = m->sum_count;
    m->count_count += tasks;
    m->sum_count += tasks;
    make_sums(m);
}

void sm_evaluator_metrics_free(sm_evaluator_metrics *m)
{
    for (int p = 0; p < m->part_count; p++) {
        sm_free(m->parts[p].records.numbers);
    }
    sm_free(m->parts);
    sm_free(m->builders);
    sm_free(m->counts);
    sm_free(m->sums);
    sm_free(m->blocks);
    sm_tree_sum_free(m->ranks);
    sm_free(m->workspace);
    sm_free(m->predicted);
}

/* ---- adding ---- */

void sm_evaluator_metrics_begin(sm_evaluator_metrics *m, int with_losses)
{
    m->with_losses = with_losses;
    memset(m->counts, 0, (m->count_count + (size_t)m->session->task_count) * sizeof *m->counts);
    memset(m->sums, 0, m->sum_count * sizeof *m->sums); /* of a rank without samples */
    for (int p = 0; p < m->part_count; p++) {
        m->parts[p].records.count = 0;
    }
    sm_sum_tree_begin(&m->tree, sm_dataset_count(m->dataset));
    m->position = m->blocks[sm_comm_rank(m->session->comm)];
}

void sm_evaluator_metrics_count_valid(sm_evaluator_metrics *m, const sm_batch *batch)
{
    for (int t = 0; t < m->session->task_count; t++) {
        m->counts[m->first_valid + (size_t)t] += batch->valid[t];
    }
}

/* \return what sample n of a batch trains on, of a task or of ids of instances */
static const void *target_at(const sm_evaluator_metrics *m, const sm_batch *batch, int n, int place)
{
    const sm_target_builder *builder = &m->builders[place];
    return (const char *)batch->target[place] + sm_batch_items(batch, builder->scope, n) * builder->item_bytes;
}

static double area_scale(const sm_evaluator_metrics *m, const sm_batch *batch, int n)
{
    sm_sample sample = sm_dataset_describe(m->dataset, batch->sample_index[n]);
    return (double)batch->height * batch->width / ((double)sample.original_height * sample.original_width);
}

static const uint8_t *predicted_classes(sm_evaluator_metrics *m, const sm_batch *batch, int task,
                                        const float *const *predictions)
{
    if (m->predicted_task != task) {
        sm_task_decode(m->session->tasks[task], sm_batch_items(batch, SM_SCOPE_PIXEL, 1), predictions[task],
                       m->predicted);
        m->predicted_task = task;
    }
    return m->predicted;
}

static void add_joint_sample(sm_evaluator_metrics *m, sm_metric_part *part, const sm_batch *batch, int n,
                             const float *const *predictions, double *sums)
{
    const sm_task *task = m->session->tasks[part->task];
    const sm_joint_sample sample = {.height = batch->height,
                                    .width = batch->width,
                                    .area_scale = area_scale(m, batch, n),
                                    .classes = m->session->tasks[part->class_task]->target->classes,
                                    .class_truth = target_at(m, batch, n, part->class_task),
                                    .class_predicted = predicted_classes(m, batch, part->class_task, predictions),
                                    .class_logits = predictions[part->class_task],
                                    .instance_truth = target_at(m, batch, n, part->ids),
                                    .vectors = part->joint->needs_vectors ? predictions[part->task] : NULL};
    sm_metric_numbers numbers = {m->counts + part->first_count, sums + part->first_sum, part->records};
    part->joint->add(task, &sample, &numbers);
    part->records = numbers.records;
}

static void add_own_sample(sm_evaluator_metrics *m, const sm_metric_part *part, const sm_batch *batch, int n,
                           const float *logits, double *sums)
{
    const sm_task *task = m->session->tasks[part->task];
    const void *target = target_at(m, batch, n, part->task);
    size_t items = sm_batch_items(batch, task->target->scope, 1);
    task->kind->metric_add(task, items, logits, target, batch->metres_pixels[n], m->counts + part->first_count,
                           sums + part->first_sum);
    if (m->with_losses && !task->is_heteroscedastic) {
        sums[m->first_loss + (size_t)part->task] =
            sm_task_loss(task, items, logits, target, NULL, 1, m->session->settings.threads).loss;
    }
}

static void add_sums_of_sample(sm_evaluator_metrics *m)
{
    size_t count = m->sum_count;
    double *top = m->sums + (size_t)m->tree.count * count;
    for (int additions = sm_sum_tree_push(&m->tree, (sm_subtree){0, m->position++}); additions > 0; additions--) {
        double *below = top - count;
        for (size_t i = 0; i < count; i++) {
            below[i] += top[i];
        }
        top = below;
    }
}

void sm_evaluator_metrics_add(sm_evaluator_metrics *m, const sm_batch *batch, int n, const float *const *predictions)
{
    double *sums = m->sums + (size_t)m->tree.count * m->sum_count;
    memset(sums, 0, m->sum_count * sizeof *sums);
    m->predicted_task = -1;
    for (int p = 0; p < m->part_count; p++) {
        sm_metric_part *part = &m->parts[p];
        if (part->is_measured && part->joint) {
            add_joint_sample(m, part, batch, n, predictions, sums);
        } else if (part->is_measured) {
            add_own_sample(m, part, batch, n, predictions[part->task], sums);
        }
    }
    add_sums_of_sample(m);
}

static int has_nan(const float *values, size_t count)
{
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        found |= isnan(values[i]);
    }
    return found;
}

void sm_evaluator_metrics_count_nans(sm_evaluator_metrics *m, const sm_batch *batch, const float *const *predictions)
{
    for (int t = 0; t < m->session->task_count; t++) {
        const sm_task *task = m->session->tasks[t];
        size_t items = sm_batch_items(batch, task->target->scope, 1);
        m->nan_samples[t] += has_nan(predictions[t], items * (size_t)task->channels);
    }
}

/* ---- all samples ---- */

/* Ranks have different numbers of records: all send as many as the longest list has, and how many of them count. */
static void gather_records(sm_comm *comm, sm_records *records)
{
    size_t ranks = (size_t)sm_comm_size(comm);
    int64_t most = (int64_t)records->count;
    sm_comm_max_int64(comm, &most, 1);
    size_t row = (size_t)most + 1;
    double *own = sm_alloc_zeroed(row * sizeof *own), *all = sm_alloc(ranks * row * sizeof *all);
    own[0] = (double)records->count;
    if (records->count > 0) {
        memcpy(own + 1, records->numbers, records->count * sizeof *own);
    }
    sm_comm_gather_double(comm, own, row, all);
    records->count = 0;
    for (size_t r = 0; r < ranks; r++) {
        sm_records_add(records, all + r * row + 1, (size_t)all[r * row]);
    }
    sm_free(own);
    sm_free(all);
}

int sm_metric_part_reads_nan(const sm_evaluator_metrics *m, const sm_metric_part *part)
{
    return m->nan_samples[part->task] > 0 || (part->joint && part->is_measured && m->nan_samples[part->class_task] > 0);
}

static void find_part(const sm_evaluator_metrics *m, const sm_metric_part *part, double *values, double *class_values)
{
    const sm_task *task = m->session->tasks[part->task];
    int64_t *counts = m->counts + part->first_count;
    double *sums = m->sums + part->first_sum;
    if (part->joint) {
        const sm_metric_numbers numbers = {counts, sums, part->records};
        part->joint->values(m->session->tasks[part->class_task]->target->classes, &numbers, values, class_values);
        return;
    }
    task->kind->metric_values(task, counts, sums, values);
    if (class_values && task->kind->class_values) {
        task->kind->class_values(task, counts, sums, class_values);
    }
}

int sm_metric_part_class_rows(const sm_evaluator_metrics *m, const sm_metric_part *part, const sm_metric **rows,
                              const sm_class_list **classes)
{
    *rows = NULL;
    *classes = NULL;
    if (part->joint && !part->is_measured) { /* there may be no task of classes at all */
        return 0;
    }
    const sm_task *task = m->session->tasks[part->joint ? part->class_task : part->task];
    *rows = part->joint ? part->rows : task->kind->class_metrics;
    *classes = task->target->classes;
    return row_count(*rows);
}

void sm_evaluator_metrics_find(sm_evaluator_metrics *m, double *values, double *class_values)
{
    sm_comm_sum_int64(m->session->comm, m->counts, m->count_count + (size_t)m->session->task_count);
    sm_tree_sum_double(m->ranks, m->sums, m->sum_count);
    for (int c = 0; class_values && c < m->class_value_count; c++) {
        class_values[c] = NAN;
    }
    for (int p = 0; p < m->part_count; p++) {
        sm_metric_part *part = &m->parts[p];
        const sm_metric *rows;
        const sm_class_list *classes;
        if (part->is_measured && part->joint) {
            gather_records(m->session->comm, &part->records);
        }
        for (int r = 0; r < part->row_count; r++) {
            values[r] = NAN;
        }
        if (part->is_measured && !sm_metric_part_reads_nan(m, part)) {
            find_part(m, part, values, class_values);
        }
        values += part->row_count;
        int class_rows = sm_metric_part_class_rows(m, part, &rows, &classes);
        class_values = class_values && class_rows > 0 ? class_values + class_rows * classes->count : class_values;
    }
}

void sm_evaluator_metrics_find_losses(const sm_evaluator_metrics *m, double *losses)
{
    for (int p = 0; p < m->part_count; p++) {
        const sm_metric_part *part = &m->parts[p];
        int64_t valid = m->counts[m->first_valid + (size_t)part->task];
        if (!part->joint) {
            int is_known = part->is_measured && valid > 0 && !m->session->tasks[part->task]->is_heteroscedastic;
            losses[part->task] = is_known ? m->sums[m->first_loss + (size_t)part->task] / (double)valid : NAN;
        }
    }
}
