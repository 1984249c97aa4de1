/** \file
 * Prefetching loader: threads read, augment and build targets ahead of the training step. They never enter MPI, and HDF5 only for datasets that are not stored as they are in memory (dataset.h).
 *
 * What is delivered is a function of the options alone: the same bits for any number of workers, and per sample for any number of ranks. */
#ifndef SIGMATIC_DATA_LOADER_H
#define SIGMATIC_DATA_LOADER_H

#include <sigmatic/base/status.h>
#include <sigmatic/data/augmentation.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/input.h>
#include <sigmatic/data/sample.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sm_loader_order {
    SM_LOADER_SHUFFLED,   /**< training: step after step in the order of sm_sampler_index(), sm_sampler_step_at() */
    SM_LOADER_SEQUENTIAL, /**< the same steps over samples 0, 1, 2, ... */
    SM_LOADER_BLOCKS /**< evaluation: each rank walks through its contiguous block of the split (sm_sampler_share), one epoch;
                               ranks that are done get empty batches until all are */
} sm_loader_order;

typedef struct sm_loader_options {
    sm_dataset *dataset;               /**< kept by reference */
    const sm_target_builder *builders; /**< one a task; copied */
    int task_count;
    int batch; /**< global, at least 1; order BLOCKS: each rank gets up to ceil(batch / size) */
    int rank, size;
    uint64_t seed;
    sm_loader_order order;
    int64_t start_position; /**< samples of the run that came before */
    int64_t epochs;         /**< of the run in all; 0: endless */
    sm_input
        input; /**< what is delivered: kind, size (with an augmentation its crop_height, crop_width), statistics (kept by reference) */
    const sm_augmentation *augmentation; /**< copied; NULL: the whole input scaled to the size of `input` */
    int micro_batches;                   /**< parts of a rank's share of a step, delivered one after the other; 0 = 1 */
    int prefetch;                        /**< steps prepared ahead; at least 1, 0 = 2 */
    int workers;                         /**< threads; 0 = 1 */
    int keep_pixels;                     /**< 1: also deliver the 8-bit inputs (augmented alike), for pictures */
} sm_loader_options;

/** One micro-batch: samples [first_local, first_local + count_local) of the global batch. Valid until the next sm_loader_next(). */
typedef struct sm_batch {
    int count_local;      /**< samples here; 0 is legal, then the step is still delivered */
    int64_t first_local;  /**< place of the first one in the step's global batch */
    int64_t count_global; /**< of the whole step: all ranks and micro-batches */
    int micro_batch;      /**< 0 .. micro_batches - 1; every rank gets every one */
    int micro_batches;
    int64_t position; /**< of the run before this step; after it: position + count_global */
    int64_t epoch;
    int height, width;
    const float *input;          /**< (count_local, height, width, channels), normalised */
    const uint8_t *pixels;       /**< the same as 8 bits a channel; NULL unless keep_pixels */
    const void *const *target;   /**< one a task: its items of count_local samples, item_bytes each */
    const int64_t *valid;        /**< one a task: valid items in this micro-batch */
    const int64_t *valid_step;   /**< one a task: valid items in all micro-batches of this rank's step */
    const int64_t *sample_index; /**< count_local, in the dataset */
    const double *
        metres_pixels; /**< count_local: baseline * fx * (width of the whole image at this scale / original width), so that
                                      metres = this / disparity; NaN unknown */
    double wait_seconds; /**< that sm_loader_next() stood waiting for this one */
} sm_batch;

/** \return items of `samples` samples of a batch for a target of this scope. */
static inline size_t sm_batch_items(const sm_batch *batch, sm_scope scope, int samples)
{
    return (size_t)samples * sm_scope_items(scope, batch->height, batch->width);
}

typedef struct sm_loader sm_loader;

/** Allocates everything and starts the threads. Options are checked by assertion, except that the dataset must not be empty. */
sm_status sm_loader_new(const sm_loader_options *options, sm_loader **out);

/** Stops the threads at any time and frees. NULL is legal. */
void sm_loader_free(sm_loader *loader);

/** Waits for the next micro-batch.
 *
 * \param [out] batch  owned by the loader; NULL at the end of the data (never when epochs = 0)
 * \return what a thread met when reading this step (SM_ERR_IO, SM_ERR_INPUT with its message); the same again afterwards. Not collective: agree on it. */
sm_status sm_loader_next(sm_loader *loader, const sm_batch **batch);

/** \return samples that a micro-batch of these options can hold at most: the capacity to plan for. */
int sm_loader_capacity(const sm_loader_options *options);

/** \return bytes that a loader of these options will hold. */
size_t sm_loader_bytes(const sm_loader_options *options);

#ifdef __cplusplus
}
#endif
#endif
