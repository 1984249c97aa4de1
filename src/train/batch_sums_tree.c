/* One summand a sample, added in one order on any number of ranks (comm/tree_sum.h). Backward leaves a flat gradient a
 * subtree of the tree; they are added after it. */
#include <sigmatic/base/memory.h>
#include <sigmatic/comm/tree_sum.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/graph/lowering.h>

#include "train/batch_sums.h"

#include <string.h>

typedef struct tree_sums {
    sm_batch_sums common;
    sm_tree_sum *tree;
    const sm_engine *engine;   /* not owned */
    int64_t *blocks;           /* where each rank's samples of the batch begin; and the end */
    float **subtree_gradients; /* of this rank's subtrees, without the log-variances, which every rank knows */
} tree_sums;

static tree_sums *tree_of(const sm_batch_sums *sums)
{
    return (tree_sums *)sums;
}

static void free_tree(sm_batch_sums *sums)
{
    if (sums) {
        sm_tree_sum_free(tree_of(sums)->tree);
        sm_reduction_free_values(sums->gradients);
        sm_free(tree_of(sums)->blocks);
        sm_free(tree_of(sums)->subtree_gradients);
        sm_free(sums);
    }
}

/* The tree gives every rank all sums, whatever part it updates. */
static sm_batch_sums *make_tree(sm_session *session, const size_t *parts)
{
    size_t floats = session->parameters->parameters.floats, ranks = (size_t)sm_comm_size(session->comm);
    tree_sums *sums = sm_alloc_zeroed(sizeof *sums);
    (void)parts;
    sums->common = (sm_batch_sums){.kind = &sm_batch_sums_tree,
                                   .session = session,
                                   .gradients = sm_reduction_alloc(sm_comm_self(), floats),
                                   .writes_known = 1};
    memset(sums->common.gradients, 0, floats * sizeof(float));
    sums->tree = sm_tree_sum_new(session->comm, session->sum_subtrees);
    sums->blocks = sm_alloc_zeroed((ranks + 1) * sizeof *sums->blocks);
    sums->subtree_gradients = sm_alloc_zeroed((size_t)session->sum_subtrees * sizeof *sums->subtree_gradients);
    return &sums->common;
}

/* Gradients of frozen parameters are never written, but travel: they have to be numbers. */
static void bind_tree(sm_batch_sums *sums, sm_engine *engine)
{
    const sm_session *session = sums->session;
    tree_of(sums)->engine = engine;
    engine->run.base[SM_REGION_GRADIENTS] = (char *)sums->gradients;
    for (int i = 0; i < session->sum_subtrees; i++) {
        float *subtree = sm_plan_subtree_gradient(engine->plan, &engine->run, i);
        memset(subtree, 0, session->parameters->parameters.floats * sizeof *subtree);
        tree_of(sums)->subtree_gradients[i] = subtree + sm_session_network_begin(session);
    }
}

/* Which samples of the batch every rank has. */
static void begin_step(sm_batch_sums *sums, int64_t samples)
{
    const sm_session *session = sums->session;
    int size = sm_comm_size(session->comm);
    int64_t *blocks = tree_of(sums)->blocks, count;
    size_t others = (size_t)session->sum_subtrees - 1, flat = session->parameters->parameters.floats * sizeof(float);
    for (int r = 0; r < size; r++) {
        sm_sampler_share(samples, r, size, &blocks[r], &count);
        blocks[r + 1] = blocks[r] + count;
    }
    sm_tree_sum_set_blocks(tree_of(sums)->tree, blocks,
                           tree_of(sums)->engine->run.base[SM_REGION_PARTIALS] + others * flat);
}

static void sum_rows(sm_batch_sums *sums, double *rows, size_t count, int *stop)
{
    int64_t stops = *stop;
    sm_sum_sample_rows(&tree_of(sums)->engine->run, rows, count);
    sm_comm_max_int64(sums->session->comm, &stops, 1);
    *stop = stops > 0;
}

static void sum_subtrees(sm_batch_sums *sums, double *rows, size_t count)
{
    sm_tree_sum_double(tree_of(sums)->tree, rows, count);
}

static void begin(sm_batch_sums *sums)
{
    (void)sums;
}

static void progress(sm_batch_sums *sums, size_t complete)
{
    (void)sums;
    (void)complete;
}

static void finish(sm_batch_sums *sums)
{
    const sm_session *session = sums->session;
    sm_tree_sum_float(tree_of(sums)->tree, tree_of(sums)->subtree_gradients,
                      session->parameters->parameters.floats - sm_session_network_begin(session));
}

const sm_batch_sums_kind sm_batch_sums_tree = {
    .name = "tree",
    .samples_a_row = 1,
    .make = make_tree,
    .free = free_tree,
    .bind = bind_tree,
    .begin_step = begin_step,
    .rows = sum_rows,
    .sum_subtrees = sum_subtrees,
    .begin = begin,
    .progress = progress,
    .finish = finish,
};

const sm_batch_sums_kind *sm_batch_sums_choose(const sm_session *session)
{
    return session->settings.reproducible ? &sm_batch_sums_tree : &sm_batch_sums_buckets;
}
