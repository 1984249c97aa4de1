/** \file
 * The parameters of a network as one flat array of named slices, and its buffers (running statistics) as another.
 *
 * Slices are added in forward order and laid out in reverse, so that backward completes the flat gradient from its start.
 * Each slice starts at a multiple of 16 floats; the padding between slices is zero and stays zero.
 * Several graphs (training, evaluation, other sizes) share one object: adding a name again finds the slice. */
#ifndef SIGMATIC_GRAPH_PARAMETERS_H
#define SIGMATIC_GRAPH_PARAMETERS_H

#include <sigmatic/base/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_NAME_BYTES = 96 };

/** How a slice's numbers lie in memory; files always hold PyTorch's shape, row-major. */
typedef enum sm_layout {
    SM_LAYOUT_PLAIN,  /**< as in the file */
    SM_LAYOUT_CONV2D, /**< file O,I,kh,kw; memory kh,kw,I,O, first of the first inputs_together, then of the others */
    SM_LAYOUT_LINEAR  /**< file out,in; memory in,out */
} sm_layout;

typedef struct sm_slice {
    char name[SM_NAME_BYTES]; /**< PyTorch's: "backbone.layer1.0.conv1.weight" */
    int dimensions, shape[4]; /**< as in files */
    sm_layout layout;
    int inputs_together;             /**< SM_LAYOUT_CONV2D: 0 = all */
    float initial_mean, initial_std; /**< normal numbers; std 0 = constant */
    int decay;                       /**< weight decay applies: conv and linear weights */
    int task;                        /**< index of the task that owns it alone; -1 shared */
    int log_variance;                /**< it is a task's s */
    /* set by name patterns */
    int frozen; /**< not trained; of running statistics: they normalise, and stay */
    float learning_rate_scale;
    /* set by sm_parameters_finish() */
    size_t offset, count; /**< floats */
} sm_slice;

/** One flat array. */
typedef struct sm_slices {
    sm_slice *items;
    int count;
    size_t floats; /**< of the flat array, padding included */
} sm_slices;

typedef struct sm_parameters {
    sm_slices parameters; /**< trained */
    sm_slices buffers;    /**< running statistics */
    int finished;
} sm_parameters;

sm_parameters *sm_parameters_new(void);
void sm_parameters_free(sm_parameters *parameters);

/** \return the index of the slice of that name, added if it is new; an existing one must have the same shape (assert).
 * Only `name`, shape, layout, inputs_together, initial values, decay, task and log_variance are read. */
int sm_parameters_add(sm_parameters *parameters, const sm_slice *slice);
int sm_parameters_add_buffer(sm_parameters *parameters, const sm_slice *slice);

/** Lays the flat arrays out; nothing new can be added afterwards. Indices stay what they were. */
void sm_parameters_finish(sm_parameters *parameters);

/** \return the slice of that name in either array, or NULL. */
const sm_slice *sm_slices_find(const sm_slices *slices, const char *name);

/** Freezes, or scales the learning rate of, all parameters whose name matches the shell pattern ("backbone.layer1.*"). Where weight and
 * bias of a normalisation are frozen its running statistics are, too.
 * \return the number of matches */
int sm_parameters_freeze(sm_parameters *parameters, const char *pattern);
int sm_parameters_scale_learning_rate(sm_parameters *parameters, const char *pattern, double scale);

/** Floats begin .. end of a flat array. */
typedef struct sm_range {
    size_t begin, end;
} sm_range;

/** What backward writes of a flat gradient for one task: the trained slices that it owns alone (-1: those of no task),
 * without log-variances and padding, in their order; neighbours are one range.
 * \param [out] ranges  room for slices->count
 * \return how many */
int sm_slices_of_task(const sm_slices *slices, int task, sm_range *ranges);

/** Fills a flat array with initial values, a function of (seed, name) only. */
void sm_slices_initialise(const sm_slices *slices, uint64_t seed, float *flat);

/** Copies one slice out of a flat array in the file's order, or into it. `values`: slice->count floats. */
void sm_slice_export(const sm_slice *slice, const float *flat, float *values);
void sm_slice_import(const sm_slice *slice, const float *values, float *flat);

#ifdef __cplusplus
}
#endif
#endif
