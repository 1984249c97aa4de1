/** \file
 * Named tensors of a network out of a file of any kind that can hold them:
 *   a checkpoint of ours (format "sigmatic-checkpoint"): /model, parameters averaged where the run kept an average (/ema);
 *   another HDF5 file, a state_dict: the datasets of its root, or of its group "model" or "state_dict" if there is one;
 *   safetensors.
 * Of a run's folder it is the checkpoint that sm_run_checkpoint() finds; the log says which.
 * Opening reads no numbers. A checksum that a tensor has (attribute crc32c) is verified when it is read. Not collective. */
#ifndef SIGMATIC_TRAIN_WEIGHTS_FILE_H
#define SIGMATIC_TRAIN_WEIGHTS_FILE_H

#include <sigmatic/base/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_WEIGHTS_MAX_RANK = 8 };

typedef struct sm_weights_tensor {
    char *name;       /**< as the file has it */
    const char *type; /**< "float32", "float16", "bfloat16", "int64", ... */
    int is_real;      /**< sm_weights_file_read() can read it */
    int rank;         /**< 0: one number */
    size_t shape[SM_WEIGHTS_MAX_RANK];
    size_t count; /**< product of the shape */
} sm_weights_tensor;

typedef struct sm_weights_source sm_weights_source;

/** An open file. */
typedef struct sm_weights_file {
    char *path;       /**< of the file, where a folder was named */
    const char *kind; /**< "checkpoint", "HDF5", "safetensors" */
    sm_weights_tensor *tensors;
    size_t count;
    double *mean, *std; /**< of the images that the network learnt from, of numbers in [0, 1]; NULL: it does not say */
    int channels;       /**< of mean and std; 0: it does not say */
    int is_average;     /**< parameters are averages of a run's */
    size_t checksums;   /**< tensors of real numbers that have one, which is verified when they are read */
    char *config;       /**< of the run that wrote it; NULL: it does not say */
    sm_weights_source *source;
} sm_weights_file;

/** \param [out] out  freed with sm_weights_file_close(); NULL on failure
 * \return SM_ERR_IO: cannot be read; SM_ERR_INPUT: of no such kind (of a pickle of PyTorch with what converts it), damaged, or of
 * numbers mean and std that are none */
sm_status sm_weights_file_open(const char *path, sm_weights_file **out);
/** NULL is legal. */
void sm_weights_file_close(sm_weights_file *weights);

/** Reads a tensor whose `is_real` is 1.
 * \param [out] values  as many floats as its count
 * \return SM_ERR_IO; SM_ERR_INPUT: damaged */
sm_status sm_weights_file_read(const sm_weights_file *weights, size_t index, float *values);

#ifdef __cplusplus
}
#endif
#endif
