/* Everything large is counted from its size. The rest of the process (program, MPI, HDF5, the plan's lists) is measured: it is
 * what is resident now, less what the counted rows have in memory by now. */
#include <sigmatic/base/memory.h>
#include <sigmatic/train/memory_table.h>

#include "train/evaluator_private.h"
#include "train/gradient_diagnosis.h"
#include "train/task_gradients.h"

static void add_row(sm_memory_table *table, const char *name, size_t bytes)
{
    table->rows[table->count++] = (sm_memory_row){name, bytes};
    table->total += bytes;
}

/* Everything with a number a parameter, and the running statistics.
 * \return bytes of it that are resident by now, because they have been written: all private memory; of what stands once a
 * node what this rank has filled */
static size_t add_parameters(sm_memory_table *table, const sm_trainer *trainer, int evaluates)
{
    const sm_session *session = trainer->session;
    size_t flat = session->parameters->parameters.floats * sizeof(float);
    size_t states = (size_t)trainer->update->optimizer->kind->state_count, averages = trainer->update->average != NULL;
    size_t statistics = 2 * session->parameters->buffers.floats * sizeof(float);
    size_t own = (trainer->update->own_end - trainer->update->own_begin) * sizeof(float);
    size_t saved = sm_comm_rank(session->comm) == 0 ? flat : own;
    add_row(table, "parameters", flat);
    add_row(table, "optimizer state", states * saved);
    add_row(table, "moving average", averages * (evaluates ? flat : saved));
    int is_shared = sm_node_memory_size(trainer->update->shared) > 1;
    table->once = is_shared ? table->total : 0;
    add_row(table, "gradients", flat);
    add_row(table, "running statistics, twice", statistics);
    size_t filled = !is_shared                   ? (1 + states + averages) * flat
                    : sm_session_writes(session) ? (1 + averages) * flat
                                                 : 0;
    return filled + flat + statistics;
}

static size_t resident_beside(size_t counted)
{
    size_t resident = sm_memory_status_bytes("RssAnon") + sm_memory_status_bytes("RssShmem");
    return resident > counted ? resident - counted : 0;
}

static void add_engines(sm_memory_table *table, const sm_trainer *trainer, const sm_evaluator *evaluator)
{
    const sm_plan *plan = trainer->engine->plan;
    size_t activations = sm_plan_region_bytes(plan, SM_REGION_ACTIVATIONS);
    size_t workspace = sm_plan_region_bytes(plan, SM_REGION_WORKSPACE);
    size_t training = sm_engine_memory_bytes(trainer->engine);
    size_t evaluation = evaluator ? sm_evaluator_views_memory_bytes(&evaluator->views) : 0;
    add_row(table, "activations", activations);
    add_row(table, "workspace of all threads", workspace);
    add_row(table, "partial sums", sm_plan_region_bytes(plan, SM_REGION_PARTIALS));
    add_row(table, "evaluation, beyond these", evaluation > training ? evaluation - training : 0);
    add_row(table, "diagnosis, beyond these", sm_gradient_diagnosis_bytes(trainer->diagnosis, training));
}

void sm_memory_table_fill(const sm_trainer *trainer, const sm_loader_options *loader, const sm_evaluator *evaluator,
                          sm_memory_table *table)
{
    const sm_session *session = trainer->session;
    *table = (sm_memory_table){.count = 0};
    size_t in_place = add_parameters(table, trainer, evaluator != NULL);
    add_engines(table, trainer, evaluator);
    add_row(table, "batches read ahead", sm_loader_bytes(loader));
    const sm_reduction *reduction = sm_trainer_reduction(trainer);
    add_row(table, "reduction over ranks", reduction ? sm_reduction_extra_bytes(reduction) : 0);
    add_row(table, "gradients of single tasks", sm_task_gradients_bytes(trainer->tasks));
    add_row(table, "program, MPI, HDF5, plan", resident_beside(in_place));

    size_t flat = session->parameters->parameters.floats * sizeof(float);
    size_t kept = 1 + (size_t)trainer->update->optimizer->kind->state_count + (trainer->update->average != NULL);
    table->checkpoint = sm_comm_rank(session->comm) == 0 ? kept * flat : 0;
    table->evaluation = evaluator ? sm_loader_bytes(&evaluator->loader) : 0;
    sm_loader_options one_more = *loader;
    one_more.batch += loader->size * (loader->micro_batches > 1 ? loader->micro_batches : 1);
    table->image = sm_engine_image_bytes(trainer->engine) + (sm_loader_bytes(&one_more) - sm_loader_bytes(loader));
}

static double mib(size_t bytes)
{
    return (double)bytes / (1 << 20);
}

void sm_memory_table_print(const sm_memory_table *table, FILE *file)
{
    fprintf(file, "\n%-28s %10s\n", "memory of a process", "MiB");
    for (int i = 0; i < table->count; i++) {
        if (table->rows[i].bytes > 0) {
            fprintf(file, "%-28s %10.2f\n", table->rows[i].name, mib(table->rows[i].bytes));
        }
    }
    fprintf(file, "%-28s %10.2f  an image more on this rank: %.2f\n", "total", mib(table->total), mib(table->image));
    if (table->once > 0) {
        fprintf(file, "%-28s %10.2f\n", "of it once for the node", mib(table->once));
    }
    if (table->evaluation > 0) {
        fprintf(file, "%-28s %10.2f\n", "more while evaluating", mib(table->evaluation));
    }
    fprintf(file, "%-28s %10.2f\n", "more once rank 0 has saved", mib(table->checkpoint));
}

void sm_memory_table_set_json(const sm_memory_table *table, sm_json *json)
{
    sm_json_set_integer(json, "total_bytes", (int64_t)table->total);
    sm_json_set_integer(json, "image_bytes", (int64_t)table->image);
    sm_json_set_integer(json, "once_a_node_bytes", (int64_t)table->once);
    sm_json_set_integer(json, "evaluation_bytes", (int64_t)table->evaluation);
    sm_json_set_integer(json, "checkpoint_bytes", (int64_t)table->checkpoint);
    sm_json *owners = sm_json_set_object(json, "owners");
    for (int i = 0; i < table->count; i++) {
        sm_json_set_integer(owners, table->rows[i].name, (int64_t)table->rows[i].bytes);
    }
}
