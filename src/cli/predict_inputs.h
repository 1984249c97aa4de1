/** \file
 * What `predict` was given: images, in files, folders with all below them, or a dataset; or the rows of a table, in a CSV file or a
 * dataset. The same list on every rank. */
#ifndef SIGMATIC_CLI_PREDICT_INPUTS_H
#define SIGMATIC_CLI_PREDICT_INPUTS_H

#include <sigmatic/comm/comm.h>
#include <sigmatic/data/dataset.h>

#include "cli/arguments.h"

typedef struct predict_inputs {
    int64_t count;
    char **paths;        /* count; NULL: samples of `dataset`, or rows */
    char **names;        /* count; what results are called: no ending, no two alike */
    sm_dataset *dataset; /* NULL: files */
    sm_sample_storage *storage;
    float *rows; /* (count, features) of a CSV file; NULL: others */
    int features;
} predict_inputs;

/** One image, or one row, ready for a network. */
typedef struct predict_image {
    int height, width;
    const void *input;                 /* (height, width, 3) RGB u8, or the features of a row, floats */
    double baseline_metres, fx_pixels; /* NaN: unknown; at this width */
    void *owned;                       /* what `input` lies in, if it is the image's own */
} predict_image;

/** Collective.
 * \param words        files, folders, or one dataset, or one CSV file
 * \param learnt       what the networks read: images, or the features of a table, which are found by their names
 * \param split        of a dataset; NULL: `usual` if it has one of that name, else its only one
 * \param output       folder that is no input, though it may lie in one; SM_ERR_USAGE if a word is that folder
 * \param [out] inputs  freed with predict_inputs_free(), also after a failure
 * \return the same on every rank: SM_ERR_IO, SM_ERR_INPUT naming what cannot be read; SM_ERR_USAGE: no image, or two of one name */
sm_status predict_inputs_find(sm_comm *comm, const argument_words *words, const sm_input *learnt, const char *split,
                              const char *usual, const char *output, predict_inputs *inputs);
void predict_inputs_free(predict_inputs *inputs);

/** Reads image `index`. Not collective.
 * \param [out] image  freed with predict_image_free(); in place until the next reading
 * \return SM_ERR_IO, SM_ERR_INPUT naming the file or the sample */
sm_status predict_inputs_read(predict_inputs *inputs, int64_t index, predict_image *image);
void predict_image_free(predict_image *image);

#endif
