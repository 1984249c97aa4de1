/** \file
 * The update of a training step: optimiser, its state, clipping, moving average.
 *
 * Parameters, optimiser state and moving average stand once a node. Each rank of the node updates a contiguous part of
 * the flat arrays, its own part, then waits for the others of the node. The bits are those of an update of the whole by
 * one rank. */
#ifndef SIGMATIC_TRAIN_UPDATE_H
#define SIGMATIC_TRAIN_UPDATE_H

#include <sigmatic/optim/optimizer.h>
#include <sigmatic/train/session.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_update {
    sm_session *session; /**< not owned */
    sm_optimizer *optimizer;
    sm_node_memory *shared; /**< of `state`, `average`, and squares and products of gradients */
    /* checkpointed; flat arrays in the layout of the parameters */
    float *state[SM_OPTIMIZER_STATES_MAX];
    float *average;   /**< exponential moving average of the parameters; NULL = none */
    int64_t *updates; /**< so far, of each slice */
    /* this rank's own part of a flat array: floats [own_begin, own_end), which are whole blocks */
    size_t own_begin, own_end;
    int own_first_block, own_last_block; /**< [first, last) */
    /* of one step */
    sm_slice_update *slices; /**< one a slice, in the order of the slices: what of it lies in the own part */
    double *squares;         /**< of the gradients, SM_FLAT_BLOCKS */
    double
        *products; /**< of gradients of the K tasks, (SM_FLAT_BLOCKS, K, K), of which each rank of the node writes its
                                own blocks; NULL: nobody asks for the same bits on any number of ranks */
} sm_update;

/** Makes the state, zero, and begins the moving average with the parameters. May call sm_session_stop_sharing(): own
 * parts are of parameters and of state, or of neither.
 * \param [out] out  freed with sm_update_free()
 * \return SM_ERR_CONFIG naming the key of [optimizer], the same on every rank. Collective */
sm_status sm_update_new(sm_session *session, sm_update **out);
/** NULL is legal. */
void sm_update_free(sm_update *update);

/** \return where the own part of each rank of the node begins, ranks of the node + 1 positions, freed with sm_free();
 * NULL if every rank updates all. */
size_t *sm_update_parts(const sm_update *update);

/** Begins the moving average, if there is one, anew with the parameters. Collective. */
void sm_update_start_average(sm_update *update);

/** \param gradients  flat; sums over ranks in the own part
 * \param active      one a task: 0 = its slices are not updated
 * \param [out] norm  of the gradients of the network's active slices
 * \return 1; 0 if one of these gradients, of any rank's part, is not finite. Collective: afterwards no rank reads the
 * parameters any more */
int sm_update_measure(sm_update *update, const float *gradients, const int *active, double *norm);

/** Updates the own part with the slices of sm_update_measure(). Before anyone reads the parameters the caller waits in
 * sm_session_wait_for_node(). Not collective.
 * \param norm     what sm_update_measure() gave, to clip by
 * \param earlier  updates of the run before this one, for the moving average's decay */
void sm_update_apply(sm_update *update, const float *gradients, double learning_rate, double norm, int64_t earlier);

#ifdef __cplusplus
}
#endif
#endif
