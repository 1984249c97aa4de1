/** \file
 * Writes a network's tensors for others: safetensors, or HDF5 with a dataset a tensor. Names are those that load_state_dict() of PyTorch
 * takes; what a program needs to build the network again stands beside them as text. */
#ifndef SIGMATIC_TRAIN_WEIGHTS_WRITE_H
#define SIGMATIC_TRAIN_WEIGHTS_WRITE_H

#include <sigmatic/io/safetensors.h>
#include <sigmatic/train/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is written beside the tensors: __metadata__ of safetensors, attributes of the root of HDF5. */
typedef struct sm_weights_notes {
    const sm_safetensors_text *texts; /**< format is written by itself */
    size_t count;
    const double *mean, *std; /**< of the images, channels each; NULL: not written */
    int channels;
} sm_weights_notes;

/** \param is_checkpoint  1: HDF5 alone will do
 * \return SM_OK if the ending of a path says what to write: .safetensors, .h5 or .hdf5; else SM_ERR_USAGE */
sm_status sm_weights_check_path(const char *path, int is_checkpoint);

/** Writes a file of the kind that the ending of `path` says, atomically. */
sm_status sm_weights_write(const char *path, const sm_safetensor_values *tensors, size_t count,
                           const sm_weights_notes *notes);

/** Writes the network of a session.
 *
 * Notes: config (resolved), version, mean, std, and as JSON
 *   network  {"backbone", "width", "output_stride", "aspp_rates", "project", "align_corners", "dropout"}
 *   tasks    [{"name", "kind", "head" ("map", "vector"), "outputs", "channels", "classes" [..], "decoding" ("none", "metres", "log_metres",
 *            "inverse_metres", "unit_vector", "other"; sm_task_decoding), "most_metres", "logit_scale" (what the first `channels`
 *            of the outputs are multiplied by, 1 but for a learned temperature), "log_variance" (where one is learned)}]
 *
 * \param style  of the names: of sm_weight_names; "sigmatic" writes all tensors, others those that they have names for
 * \param task   whose decoder is meant by a style that knows one; NULL: none
 * \param [out] written  how many tensors
 * \return SM_ERR_WRITE, SM_ERR_IO; SM_ERR_USAGE of the path. Not collective */
sm_status sm_weights_export(const sm_session *session, const char *style, const char *task, const char *path,
                            size_t *written);

#ifdef __cplusplus
}
#endif
#endif
