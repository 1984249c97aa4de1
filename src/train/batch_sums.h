/** \file
 * Sums over the samples of a batch on all ranks: of losses, of statistics, of gradients. Two ways to make them, of which
 * a run chooses one:
 *
 *   buckets  every rank adds its samples, then ranks are added; gradients travel while backward goes on
 *   tree     one summand a sample, added in the order of base/sum_tree.h: the same bits on any number of ranks and threads
 *            (`distributed.reproducible`)
 *
 * A step calls begin_step(), then rows() after the last forward, then begin(), progress() and finish() around the last
 * backward. Every rank makes the same calls in the same order. */
#ifndef SIGMATIC_TRAIN_BATCH_SUMS_H
#define SIGMATIC_TRAIN_BATCH_SUMS_H

#include <sigmatic/comm/reduction.h>
#include <sigmatic/train/session.h>

typedef struct sm_batch_sums sm_batch_sums;

/** One way: a row of the table. */
typedef struct sm_batch_sums_kind {
    const char *name;
    /** Samples that one row of losses, or of other numbers of samples, holds: 1, or 0 = all of a rank. */
    int samples_a_row;
    /** \param parts  where the part of the flat arrays that each rank of the node updates begins, ranks of the node + 1
     * positions: of other gradients no sums are needed. NULL: of all. Read by this call only
     * \return freed with free(). Collective */
    sm_batch_sums *(*make)(sm_session *session, const size_t *parts);
    /** Collective. */
    void (*free)(sm_batch_sums *sums);
    /** Lets backward write into what is summed. Once, after sm_engine_bind(). */
    void (*bind)(sm_batch_sums *sums, sm_engine *engine);
    /** \param samples  of the batch on all ranks */
    void (*begin_step)(sm_batch_sums *sums, int64_t samples);
    /** \param [in,out] rows  rows of `count` numbers, and room for one number more; the first row becomes the sum
     * \param [in,out] stop  1 becomes every rank's
     * Collective. */
    void (*rows)(sm_batch_sums *sums, double *rows, size_t count, int *stop);
    /** For sm_run.reduce_subtrees; NULL: the plan needs none. Collective. */
    void (*sum_subtrees)(sm_batch_sums *sums, double *rows, size_t count);
    /** Gradients: as sm_reduction_begin(), _progress() and _finish(). Only finish() is collective. */
    void (*begin)(sm_batch_sums *sums);
    void (*progress)(sm_batch_sums *sums, size_t complete);
    void (*finish)(sm_batch_sums *sums);
} sm_batch_sums_kind;

/** What both have; each way's own struct begins with it. */
struct sm_batch_sums {
    const sm_batch_sums_kind *kind;
    sm_session *session;     /**< not owned */
    float *gradients;        /**< flat; after finish() sums in this rank's own part */
    size_t trained;          /**< floats that `reduction` sums: up to the last that is trained */
    sm_reduction *reduction; /**< what moves gradients while backward goes on; NULL: nothing does */
    /** Of a gradient that every rank knows, and that is not summed again: 1 = this rank writes it, 0 = it writes zero. */
    int writes_known;
};

extern const sm_batch_sums_kind sm_batch_sums_buckets, sm_batch_sums_tree;

/** \return the way that the session's settings ask for. */
const sm_batch_sums_kind *sm_batch_sums_choose(const sm_session *session);

#endif
