/** \file
 * What an op kind uses to emit its calls: places of values and of their gradients, and the list itself. */
#ifndef SIGMATIC_GRAPH_LOWERING_H
#define SIGMATIC_GRAPH_LOWERING_H

#include <sigmatic/graph/plan.h>
#include <sigmatic/tensor/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options of the plan being made. */
const sm_plan_options *sm_lowering_options(const sm_lowering *lowering);
const sm_graph *sm_lowering_graph(const sm_lowering *lowering);

/** \return what a value and its gradient are: SM_F32 or SM_BF16. */
sm_dtype sm_lowering_type(const sm_lowering *lowering, int value);

/** A value of one sample, for configs of calls. */
typedef struct sm_extent {
    sm_dtype type;
    size_t elements;
} sm_extent;
sm_extent sm_lowering_extent(const sm_lowering *lowering, int value);

/** Absent operand. */
sm_operand sm_lowering_none(void);

/** \return a new planned buffer of bytes_per_sample * capacity + bytes_fixed; it lives from its first to its last use. */
sm_operand sm_lowering_buffer(sm_lowering *lowering, size_t bytes_per_sample, size_t bytes_fixed);

/** \return a place for packed weights. Inference keeps them from run to run (prepared region); training packs them right before their use,
 * as they change with every step: a place that is free again afterwards. */
sm_operand sm_lowering_prepared(sm_lowering *lowering, size_t bytes);

/** \return the place of a value that is already computed; in backward, one that was forgotten is first recomputed. */
sm_operand sm_lowering_value(sm_lowering *lowering, int value);

/** Says in forward that a value is not kept for backward: `op` recomputes it at its first use there, the same bits. */
void sm_lowering_forget(sm_lowering *lowering, int value, const sm_op *op);

/** Gives the value a place: that of `input` if nobody reads that any more after the op being lowered (in place), else a new one. \param input  value, or -1 = never in place */
sm_operand sm_lowering_define(sm_lowering *lowering, int value, int input);

sm_operand sm_lowering_parameter(const sm_lowering *lowering, int parameter);
sm_operand sm_lowering_gradient(const sm_lowering *lowering, int parameter);
sm_operand sm_lowering_running(const sm_lowering *lowering, int buffer);
/** \return 0 if the parameter is frozen. */
int sm_lowering_is_trained(const sm_lowering *lowering, int parameter);

/** Lets the op being lowered also do the work of `op` (its sole consumer), which is then not lowered itself. */
void sm_lowering_absorb(sm_lowering *lowering, const sm_op *op);
/** \return the only consumer of a value if it is of that kind, not yet absorbed, and the value is no output; else NULL. */
const sm_op *sm_lowering_sole_consumer(const sm_lowering *lowering, int value, const sm_op_kind *kind);
/** \return whether a value has a place already. */
int sm_lowering_is_defined(const sm_lowering *lowering, int value);

/** State kept from forward to backward of one op (owned by the lowering); zeroed on the first call. */
void *sm_lowering_state(sm_lowering *lowering, const sm_op *op, size_t bytes);

/** \return 1 if a gradient with respect to this value is wanted. */
int sm_lowering_wants_gradient(const sm_lowering *lowering, int value);
/** \return the gradient of a value, complete; region NONE if nobody wrote one. */
sm_operand sm_lowering_value_gradient(const sm_lowering *lowering, int value);
/** Place to write (beta 0) or add to (beta 1) the gradient of `value`.
 * \param in_place_of  value whose gradient may be overwritten by the result (elementwise ops), or -1
 * \param [out] beta   0 for the first writer */
sm_operand sm_lowering_write_gradient(sm_lowering *lowering, int value, int in_place_of, float *beta);
/** The gradient of `value` is (plus) that of `from`: shares the place if it is the first, else emits an addition. */
void sm_lowering_pass_gradient(sm_lowering *lowering, int value, int from);

/** Copies a config into the plan. */
const void *sm_lowering_config(sm_lowering *lowering, const void *config, size_t bytes);

/** Appends a call to the list being made (forward or backward), for the op being lowered. */
void sm_lowering_emit(sm_lowering *lowering, const sm_call *call);
/** Appends a call that packs weights: to the list of its own in inference, in front of its user in training. */
void sm_lowering_emit_prepare(sm_lowering *lowering, const sm_call *call);

/** One sample's share of a parameter's gradient. `config` is the call's as it was emitted.
 * \param [out] result  as many floats as the parameter has */
typedef void sm_sample_summand(const void *config, const sm_call *call, const sm_run *run, int sample, float *result);

/** Makes of a call that sums a parameter's gradient over samples one that adds summands in the order of
 * base/sum_tree.h: a partial gradient for each maximal subtree of the run's samples (sm_plan_subtree_gradient()).
 * \param [in,out] call  complete, not yet emitted; its operands name the gradient; workspace_bytes is what the summand
 * needs */
void sm_lowering_sum_samples(sm_lowering *lowering, sm_call *call, int parameter, sm_sample_summand *summand);

/** The same for rows of doubles, (run->batch, count), one a sample: row 0 becomes the sum over all ranks. */
void sm_sum_sample_rows(const sm_run *run, double *rows, size_t count);

/** beta of a call at run time. */
static inline float sm_call_beta(const sm_call *call, const sm_run *run)
{
    return call->parameter_gradient && run->accumulate ? 1.0f : call->beta;
}

#ifdef __cplusplus
}
#endif
#endif
