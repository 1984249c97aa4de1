/** \file
 * What one rank holds of a configured run: tasks, network, parameters, and the memory that plans run in. Shared by training and evaluation. */
#ifndef SIGMATIC_TRAIN_SESSION_H
#define SIGMATIC_TRAIN_SESSION_H

#include <sigmatic/comm/comm.h>
#include <sigmatic/comm/node_memory.h>
#include <sigmatic/data/data_description.h>
#include <sigmatic/data/loader.h>
#include <sigmatic/graph/plan.h>
#include <sigmatic/model/network.h>
#include <sigmatic/task/task.h>
#include <sigmatic/train/settings.h>
#include <sigmatic/weighting/weighting.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A network of one input size, ready to run: graph, plan and base addresses. */
typedef struct sm_engine {
    sm_graph *graph;
    sm_plan *plan;
    sm_run run;              /**< base addresses set; the caller sets batch, step, ... */
    sm_plan_options options; /**< of the plan */
    int height, width;
} sm_engine;

typedef struct sm_session {
    sm_comm *comm;           /**< not owned */
    const sm_config *config; /**< not owned */
    sm_settings settings;
    int sum_subtrees; /**< reproducible: most subtrees over a batch that a rank's samples are */
    sm_network_options network;
    sm_data_description *data; /**< what the network reads and the tasks learn; owned */
    int input_channels;
    int keep_dropout; /**< engines without training drop features as training does; set before they are made */
    int task_count;
    sm_task **tasks;
    sm_head *heads; /**< one a task */
    sm_weighting *weighting;
    sm_parameters *parameters;
    int *log_variances;     /**< one a task: index of its slice; NULL: the weighting learns none */
    sm_node_memory *shared; /**< of `values` */
    float *values;          /**< flat parameters, once a node: each of its ranks updates a part, and reads all after
                                sm_session_wait_for_node() */
    float *buffers;         /**< running statistics */
    char *memory;           /**< that engines share, as only one of them works at a time; of the largest one's size */
    size_t memory_bytes;
} sm_session;

/** Reads the config and makes tasks, weighting and parameters (initialised, the same on every rank).
 *
 * \param config, comm  must outlive the session
 * \param dataset       whose targets, with their classes, the tasks learn, and whose input the network reads; copied
 * \param [out] out     freed with sm_session_free()
 * \return the same on every rank: a configuration error, or SM_ERR_INPUT if no file of the dataset has a task's target.
 * Collective */
sm_status sm_session_new(const sm_config *config, sm_comm *comm, const sm_dataset *dataset, sm_session **out);

/** The same without a dataset: of what a checkpoint says of its own (sm_checkpoint_read_data()). Collective.
 * \param data  copied */
sm_status sm_session_new_described(const sm_config *config, sm_comm *comm, const sm_data_description *data,
                                   sm_session **out);
/** NULL is legal. After the engines. Not collective. */
void sm_session_free(sm_session *session);

/** Refuses what sm_session_new() and a training refuse of a config, before any dataset is there.
 * \return SM_ERR_CONFIG naming the key. Not collective */
sm_status sm_session_check_config(const sm_config *config);

/** \return 1 if this rank writes where one rank writes the whole of what stands once a node; the others wait in
 * sm_session_wait_for_node(). */
int sm_session_writes(const sm_session *session);

/** Waits for the ranks of the node where parameters stand once for all of them: what one wrote, all may read; what all
 * have read, one may write. Collective. */
void sm_session_wait_for_node(sm_session *session);

/** Copies rank 0's numbers to everyone, and waits for the node. \param [in,out] numbers  one a parameter, in memory shared
 * as that of `values`. Collective. */
void sm_session_broadcast(sm_session *session, float *numbers);

/** The same of all that a network is: parameters and running statistics. Collective. */
void sm_session_broadcast_network(sm_session *session);

/** Gives every rank parameters of its own, copies of what stood once a node. Before an engine is bound. Not collective, but
 * on all ranks or none. */
void sm_session_stop_sharing(sm_session *session);

/** What an engine runs. */
enum {
    SM_ENGINE_INFERENCE,
    SM_ENGINE_TRAINING,      /**< with the passes backward that the weighting needs */
    SM_ENGINE_TASK_GRADIENTS /**< with those that give gradients of single tasks, whatever it needs */
};

/** Builds graph and plan for (height, width) inputs. Before any engine of
 * the session is bound: they share memory, made for the largest.
 *
 * \param capacity   most samples of one run on this rank
 * \param training   SM_ENGINE_INFERENCE, ...
 * \param [out] out  freed with sm_engine_free(), before the session
 * \return SM_ERR_CONFIG of a network or a plan that cannot be, the same on every rank. Not collective */
sm_status sm_engine_new(sm_session *session, int height, int width, int capacity, int training, sm_engine **out);
/** NULL is legal. Not collective. */
void sm_engine_free(sm_engine *engine);

/** \return bytes of the session's memory that the engine works in: packed weights, activations, workspace. */
size_t sm_engine_memory_bytes(const sm_engine *engine);
/** \return how many more it were with one sample more. */
size_t sm_engine_image_bytes(const sm_engine *engine);

/** Gives the engine its addresses; after all engines of the session are made. What lies there is the engine's from
 * sm_plan_prepare() until another engine runs. Not collective. */
void sm_engine_bind(sm_session *session, sm_engine *engine);

/** Lets the next run read this batch: images, number of samples, their place. Not collective.
 * \param batch         in place until that run is over
 * \param batch_global  samples of all ranks behind synchronised statistics */
void sm_engine_set_batch(sm_engine *engine, const sm_batch *batch, int64_t batch_global);

/** Gives back the memory that engines share, so that another one can be made; before their next run all must be bound again.
 * Not collective. */
void sm_session_release_memory(sm_session *session);

/** \return what a loader needs to know of the tasks, one a task, freed with sm_free(). */
sm_target_builder *sm_session_target_builders(const sm_session *session);

/** \return how many slices of the parameters are the network's: the first, in the order of adding; the log-variances
 * follow. */
int sm_session_network_slices(const sm_session *session);

/** \return the first float of the network's parameters: in memory the log-variances come first. */
size_t sm_session_network_begin(const sm_session *session);

/** \return s of a task; NULL where none is learned. */
float *sm_session_log_variance(const sm_session *session, int task);

/** \return by what a task's logits are multiplied before their softmax: exp(-s) of a likelihood that scales them, else 1.
 * \param parameters  flat parameters that s is taken from; NULL: the session's */
double sm_session_logit_scale(const sm_session *session, const float *parameters, int task);

/** Makes logits of what a head put out, in place: (items, outputs of the task) becomes (items, channels). Of a likelihood
 * that scales logits they are multiplied by exp(-s) (sm_session_logit_scale), so that their softmax is the probability that was learnt, of
 * temperature exp(s) (Kendall, Gal and Cipolla 2018, equation 8).
 * \param parameters  flat parameters that s is taken from; NULL: the session's
 * \param output      of one forward run; once */
void sm_session_take_logits(const sm_session *session, const float *parameters, int task, size_t items, float *output);

#ifdef __cplusplus
}
#endif
#endif
