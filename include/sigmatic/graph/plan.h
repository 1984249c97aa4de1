/** \file
 * The plan: a graph lowered to explicit lists of forward and backward calls, and a map of all memory that they use.
 *
 * Making a plan allocates nothing that a call needs: it says how many bytes each region takes, the caller gives base addresses (which may lie in a shared window).
 * The plan is a pure function of graph, options, CPU and instruction set (ops/isa.h): made by one set, it is void for another.
 *
 * Gradient contract: the first writer of a gradient overwrites (beta = 0), later writers add; parameters too, unless `accumulate` asks to add to what is there (a later micro-batch). Nothing is ever cleared. */
#ifndef SIGMATIC_GRAPH_PLAN_H
#define SIGMATIC_GRAPH_PLAN_H

#include <sigmatic/base/status.h>
#include <sigmatic/graph/graph.h>
#include <sigmatic/io/json.h>
#include <sigmatic/ops/conv2d.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sm_region {
    SM_REGION_NONE,
    SM_REGION_PARAMETERS,  /**< flat parameters, in backward order */
    SM_REGION_GRADIENTS,   /**< the same layout */
    SM_REGION_BUFFERS,     /**< running statistics */
    SM_REGION_PREPARED,    /**< weights as the kernels like them, remade after an update */
    SM_REGION_INPUT,       /**< the batch of images */
    SM_REGION_ACTIVATIONS, /**< values, gradients of values, statistics; places shared by lifetime */
    SM_REGION_WORKSPACE,   /**< scratch of the hungriest call */
    SM_REGION_PARTIALS,    /**< reproducible sums: flat gradients of all subtrees but the first, then `sum_bytes` */
    SM_REGIONS
} sm_region;

extern const char *const sm_region_names[SM_REGIONS];

typedef enum sm_batch_norm_mode {
    SM_BATCH_NORM_SYNC,  /**< statistics of the global batch */
    SM_BATCH_NORM_LOCAL, /**< of this rank's samples */
    SM_BATCH_NORM_FROZEN /**< running statistics */
} sm_batch_norm_mode;

typedef struct sm_plan_options {
    int capacity;      /**< most samples that a run will have, 1 and more */
    int batch_typical; /**< samples to tune for; 0 = capacity, 1 if reproducible */
    int training;      /**< with backward */
    int threads;
    sm_batch_norm_mode batch_norm;
    sm_conv2d_precision precision; /**< of convolutions; SM_CONV2D_BF16: of the maps between them too */
    const char *conv2d_algorithm;  /**< this one wherever it can; NULL = the cheapest */
    int recompute; /**< keep of each recompute block of the graph only the values that leave it: those inside are computed again in
                        backward, the same bits, statistics excepted (they are kept) */
    int repeat_backward; /**< backward may run any number of times after one forward: what it reads, seeds and outputs stay until
                            the next */
    int task_gradients; /**< gradients of single tasks (below) in place of one backward pass */
    int reproducible; /**< sums over samples in the order of base/sum_tree.h, one summand a sample; algorithms chosen for one sample */
    int sum_subtrees;    /**< reproducible: most subtrees that a run's samples are; 0 = 1, the whole batch */
    size_t sum_bytes;    /**< reproducible: what the caller needs to finish the sums, after the partial gradients */
    int keep_dropout;    /**< without training: features are dropped as in training */
    int no_reuse;        /**< every value in a place of its own (for tests) */
    int keep_normalised; /**< keep normalised activations for backward instead of recomputing them from the convolutions'
                              outputs (for tests) */
    int no_fusion;       /**< one call an op (for tests): with maps of bfloat16 other bits, rounded more often */
} sm_plan_options;

/** Where an operand lies: base of the region + offset. */
typedef struct sm_operand {
    sm_region region;
    size_t offset; /**< bytes */
    int buffer;    /**< while lowering: which planned buffer; -1 = fixed place */
} sm_operand;

/** A call of a kernel with its operands: what a plan is a list of. (A step is a training step.) */
typedef struct sm_call sm_call;

/** What a run of the calls is given. */
typedef struct sm_run {
    char *base[SM_REGIONS];
    int batch;            /**< local samples, 0..capacity */
    int64_t batch_global; /**< samples of all ranks */
    int64_t first_sample; /**< global number of this rank's first sample (names dropout masks) */
    uint64_t seed, step;
    int backward_is_due;  /**< the plan's own: forward has left what backward reads, and nobody has overwritten it */
    uint64_t tasks_ready; /**< the plan's own: tasks whose gradients lie in place since forward, a bit each */
    const double *coefficients; /**< the plan's own: of sm_plan_backward_shared() */
    int accumulate;             /**< parameter gradients add to what is there */
    int threads;
    void (*reduce)(void *user, double *values, size_t count); /**< sum over ranks; NULL = one rank. Collective */
    /** Reproducible instead of `reduce`: rows of `count`, the maximal subtrees of the positions first_sample .. + batch of
     * batch_global; the first row becomes the sum. NULL = one rank. Collective */
    void (*reduce_subtrees)(void *user, double *rows, size_t count);
    void (*progress)(
        void *user,
        size_t
            gradients_complete); /**< after each backward call, not after those of a single task: floats of the flat gradient that are final; or NULL */
    void (*observe)(void *user, const sm_call *call, double begin_seconds, double end_seconds); /**< or NULL */
    void *user;
} sm_run;

enum { SM_CALL_OPERANDS = 10 };

struct sm_call {
    void (*run)(const sm_call *call, const sm_run *run);
    const char *label;                    /**< "forward", "backward data", "reduce", ... */
    const char *algorithm;                /**< or NULL */
    int op;                               /**< index in the graph */
    sm_operand operand[SM_CALL_OPERANDS]; /**< meaning: the op's */
    float beta;                           /**< of the result */
    size_t summed_doubles;                /**< > 0: the call does nothing but sum so many of operand 0 over ranks */
    int parameter_gradient;               /**< the result is one: `accumulate` makes beta 1 */
    const void *config;                   /**< owned by the plan */
    double macs;                          /**< nominal multiply-adds a sample */
    double macs_executed;
    double cost; /**< what the algorithm was chosen by: sm_conv2d_algorithm.cost; 0 if there was no choice */
    size_t workspace_bytes;
    size_t bytes; /**< of all operands at full capacity, each counted once */
    size_t gradients_complete;
};

typedef struct sm_plan sm_plan;

/** Lowers the graph. Finishes its parameters. The graph must outlive the plan.
 * \return SM_ERR_CONFIG for options that do not fit each other or the graph */
sm_status sm_plan_new(const sm_graph *graph, const sm_plan_options *options, sm_plan **out);
void sm_plan_free(sm_plan *plan);

/** \return where subtree `subtree` has its flat gradient: reproducible backward leaves one a maximal subtree of the
 * run's samples, to be added in the order of base/sum_tree.h. Node 0 lies in the gradients. */
float *sm_plan_subtree_gradient(const sm_plan *plan, const sm_run *run, int subtree);

/** \return bytes of a region; the same for every plan of the same parameters in PARAMETERS, GRADIENTS, BUFFERS. */
size_t sm_plan_region_bytes(const sm_plan *plan, sm_region region);

/** \return place of output i's values (capacity, H, W, C) float in the run's memory, valid from the end of forward until backward begins (inference, and where backward is repeated: until the next forward). */
float *sm_plan_output(const sm_plan *plan, const sm_run *run, int output);
/** \return place of its seed gradient, to be written between forward and backward; NULL if nothing that it depends on is trained.
 * Backward overwrites it, unless the plan repeats it or yields gradients of single tasks. */
float *sm_plan_output_gradient(const sm_plan *plan, const sm_run *run, int output);

/** Packs the weights; after parameters changed, before the next forward. */
void sm_plan_prepare(const sm_plan *plan, const sm_run *run);
/** Collective if `reduce` is given. */
void sm_plan_forward(const sm_plan *plan, sm_run *run);
/** All backward calls; with `run->reduce` collective. Once after each forward (an assertion), for saved activations lie
 * in memory that backward reuses; with `repeat_backward` any number of times, each from the seeds as they then are. Not
 * for plans with `task_gradients`. */
void sm_plan_backward(const sm_plan *plan, sm_run *run);

/* Gradients of single tasks: plans with `task_gradients`, of graphs whose outputs belong to tasks.
 *
 * Ops that were added while graph->task was k are the head of task k. The values that ops of no task make and heads read
 * are the shared representation. After forward and the seeds
 *
 *   sm_plan_backward_task(k)        for each task, in any order: seed -> gradients of the head's parameters, and
 *                                   g_k, the task's own gradient of each shared value
 *   sm_plan_backward_shared(c)      sum over k of c_k g_k -> gradients of the shared parameters
 *
 * Seeds, outputs and g_k stay as they are until the shared pass; a head may run again, from other seeds, until then. With
 * `repeat_backward` all of them stay until the next forward: K shared passes, each with one coefficient that is 1, give
 * the K gradients of the shared parameters. Each pass writes to run->base[SM_REGION_GRADIENTS] (reproducible: and
 * SM_REGION_PARTIALS) as they then are, overwriting or, with run->accumulate, adding; a head's pass writes nothing but
 * its own parameters' gradients there, the shared pass nothing but those of no task (sm_slices_of_task()).
 *
 * Both are collective if `reduce` or `reduce_subtrees` is given, for synchronised statistics: all ranks run the same passes in
 * the same order, whatever their coefficients, ranks without samples too. */

/** One task's gradient of one shared value. */
typedef struct sm_task_gradient {
    void *values;    /**< (run->batch, elements), sample after sample; NULL: the task does not read this value */
    sm_dtype type;   /**< SM_F32, or SM_BF16 where the value is */
    size_t elements; /**< of a sample */
} sm_task_gradient;

/** \return number of shared values that something trained is computed from; 0 without `task_gradients`. */
int sm_plan_shared_values(const sm_plan *plan);
/** Where g_k of a shared value lies in the run's memory; \param shared  0 .. sm_plan_shared_values() */
sm_task_gradient sm_plan_task_gradient(const sm_plan *plan, const sm_run *run, int task, int shared);
void sm_plan_backward_task(const sm_plan *plan, sm_run *run, int task);
/** \param coefficients  one a task; the gradient of a task whose coefficient is 0 is not read */
void sm_plan_backward_shared(const sm_plan *plan, sm_run *run, const double *coefficients);

/** The lists, for printing and measuring. pass: 0 prepare, 1 forward, 2 backward */
const sm_call *sm_plan_calls(const sm_plan *plan, int pass, int *count);

/** Prints the op table: name, output shape, parameters, multiply-adds, algorithms; totals. */
void sm_plan_print(const sm_plan *plan, FILE *file);

/** Sets the same in an object: {"parameters_trained", ..., "gflop_forward" (an image's), ..., "ops": [{"kind", "name",
 * "height", "width", "channels", "type", "parameters", "multiply_adds", of a convolution its algorithms "forward",
 * "backward_data", "backward_weight"}]}. */
void sm_plan_set_json(const sm_plan *plan, sm_json *json);

/** \return the bound address of an operand, NULL for SM_REGION_NONE. */
static inline void *sm_operand_address(const sm_run *run, sm_operand operand)
{
    return operand.region == SM_REGION_NONE ? NULL : run->base[operand.region] + operand.offset;
}

#ifdef __cplusplus
}
#endif
#endif
