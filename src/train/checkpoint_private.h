/** \file
 * What writing, loading and checking a checkpoint share: its format, and the list of its tensors, which all of them walk. */
#ifndef SIGMATIC_SRC_TRAIN_CHECKPOINT_PRIVATE_H
#define SIGMATIC_SRC_TRAIN_CHECKPOINT_PRIVATE_H

#include <sigmatic/io/h5.h>
#include <sigmatic/train/trainer.h>

/** Version 1 has no checksums of attributes. */
enum { SM_CHECKPOINT_VERSION = 2, SM_CHECKPOINT_OBJECT_BYTES = SM_NAME_BYTES + 64 };
extern const char sm_checkpoint_format[];

/** /optimizer/updates, how often each parameter was updated; /data, what the network reads and learns. */
extern const char sm_checkpoint_updates[], sm_checkpoint_data[];

/** Opens a file that says it is a checkpoint of a version that this program knows, and whose attributes are those that were written.
 * \return SM_ERR_IO, SM_ERR_INPUT naming file and attribute */
sm_status sm_checkpoint_open(const char *path, sm_h5 **file);

/** Builds a checkpoint in memory. Not collective: by rank 0, while no rank changes the network.
 * \param path      for messages
 * \param [in,out] memory  which it is built in
 * \param [out] file       closed by the caller
 * \return SM_ERR_NUMERIC naming a tensor that is not finite throughout */
sm_status sm_checkpoint_build(const sm_trainer *trainer, const sm_trainer_position *position, const char *path,
                              const char *fingerprint, double best_metric, sm_h5_memory *memory, sm_h5 **file);

/** Where a run stood: the attributes that say so, and their places in sm_trainer_position. */
typedef struct sm_checkpoint_count {
    const char *attribute;
    size_t offset; /**< of an int64_t */
    int may_lack;  /**< 1: where a file does not say it, it is 0 */
} sm_checkpoint_count;
enum { SM_CHECKPOINT_COUNTS = 7 };
extern const sm_checkpoint_count sm_checkpoint_counts[SM_CHECKPOINT_COUNTS];

static inline int64_t *sm_checkpoint_count_of(sm_trainer_position *position, int i)
{
    return (int64_t *)(void *)((char *)position + sm_checkpoint_counts[i].offset);
}

/** What is done with one tensor, which lies in `flat` as the slice says. */
typedef sm_status (*sm_checkpoint_tensor)(sm_h5 *file, const char *object, const sm_slice *slice, float *flat);

/** Parameters and running statistics of a network. */
sm_status sm_checkpoint_network(sm_checkpoint_tensor function, sm_h5 *file, sm_session *session);
/** States of the optimizer, and the average if there is one. */
sm_status sm_checkpoint_optimizer(sm_checkpoint_tensor function, sm_h5 *file, const sm_trainer *trainer);
/** The average into the network, if the file has one. */
sm_status sm_checkpoint_average(sm_checkpoint_tensor function, sm_h5 *file, sm_session *session);

/** What a weighting carries from step to step. */
typedef sm_status (*sm_checkpoint_state)(sm_h5 *file, const char *object, const sm_weighting_state *state);
sm_status sm_checkpoint_weighting(sm_checkpoint_state function, sm_h5 *file, const sm_weighting *weighting);

#endif
