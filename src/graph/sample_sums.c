/* Sums over samples in the order of base/sum_tree.h. A stack of partial sums is kept as in a binary counter: a sample's
 * summand is written to the top, then added to the one below as long as the two are siblings. What is left at the end
 * are the maximal subtrees; so the lower places of the stack are the partial gradients themselves, and only the places
 * above them lie in the workspace. */
#include <sigmatic/base/memory.h>
#include <sigmatic/base/sum_tree.h>
#include <sigmatic/ops/add.h>

#include "graph/plan_internal.h"

#include <assert.h>

/* The config of a call that sums samples. */
typedef struct sample_sum {
    sm_sample_summand *summand;
    const void *config;  /* the summand's */
    sm_operand gradient; /* of the first subtree; those of the others lie subtree_bytes apart among the partials */
    size_t count, subtree_bytes; /* floats of the gradient; bytes of the flat gradient */
    int subtrees;                /* that have a partial gradient */
    size_t scratch;              /* bytes: where the upper places begin in the workspace */
} sample_sum;

static float *place_of(const sample_sum *sum, const sm_run *run, int place)
{
    char *at = run->base[SM_REGION_GRADIENTS] + sum->gradient.offset;
    if (place >= sum->subtrees) {
        size_t bytes = sm_round_up(sum->count * sizeof(float), SM_ALIGNMENT_BYTES);
        at = run->base[SM_REGION_WORKSPACE] + sum->scratch + (size_t)(place - sum->subtrees) * bytes;
    } else if (place > 0) {
        at = run->base[SM_REGION_PARTIALS] + (size_t)(place - 1) * sum->subtree_bytes + sum->gradient.offset;
    }
    return (float *)(void *)at;
}

static void run_sample_sum(const sm_call *call, const sm_run *run)
{
    const sample_sum *sum = call->config;
    sm_sum_tree tree;
    assert(!run->accumulate && "micro-batches have no place in the tree");
    sm_sum_tree_begin(&tree, run->batch_global);
    for (int i = 0; i < run->batch; i++) {
        int top = tree.count;
        sum->summand(sum->config, call, run, i, place_of(sum, run, top));
        for (int additions = sm_sum_tree_push(&tree, (sm_subtree){0, run->first_sample + i}); additions > 0;
             additions--, top--) {
            sm_accumulate(SM_F32, sum->count, place_of(sum, run, top), 1, place_of(sum, run, top - 1), run->threads);
        }
    }
    assert(tree.count <= sum->subtrees);
}

/* Places above those of the finished subtrees: the levels of the subtree being made. */
static size_t scratch_places(int capacity)
{
    size_t places = 0;
    while ((int64_t)1 << places < capacity) {
        places++;
    }
    return places;
}

void sm_lowering_sum_samples(sm_lowering *lowering, sm_call *call, int parameter, sm_sample_summand *summand)
{
    const sm_plan_options *options = sm_lowering_options(lowering);
    const sm_slices *slices = &sm_lowering_graph(lowering)->parameters->parameters;
    sample_sum sum = {.summand = summand,
                      .config = call->config,
                      .gradient = sm_lowering_gradient(lowering, parameter),
                      .count = slices->items[parameter].count,
                      .subtree_bytes = slices->floats * sizeof(float),
                      .subtrees = options->sum_subtrees > 1 ? options->sum_subtrees : 1,
                      .scratch = sm_round_up(call->workspace_bytes, SM_ALIGNMENT_BYTES)};
    call->run = run_sample_sum;
    call->config = sm_lowering_config(lowering, &sum, sizeof sum);
    call->workspace_bytes =
        sum.scratch + scratch_places(options->capacity) * sm_round_up(sum.count * sizeof(float), SM_ALIGNMENT_BYTES);
}

void sm_sum_sample_rows(const sm_run *run, double *rows, size_t count)
{
    sm_sum_tree_add_rows(run->batch_global, run->first_sample, run->batch, count, rows);
    if (run->reduce_subtrees) {
        run->reduce_subtrees(run->user, rows, count);
    }
}
