/** \file
 * What a network has to know of the data that it learnt from, without the data: how an image becomes its input, at which
 * size, and what the targets mean. Kept in checkpoints, so that a checkpoint alone is enough to predict. */
#ifndef SIGMATIC_DATA_DATA_DESCRIPTION_H
#define SIGMATIC_DATA_DATA_DESCRIPTION_H

#include <sigmatic/data/augmentation.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/io/h5.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_data_description {
    sm_input input;              /**< its size is that of whole images, as evaluation feeds them */
    int crop_height, crop_width; /**< as training feeds them */
    sm_target *targets[SM_TARGETS_MAX];
    int target_count;
    double *statistics;   /**< what input.mean and input.std point to */
    char **feature_names; /**< what input.names points to, in one block; NULL without */
} sm_data_description;

/** \param dataset       whose input and targets it describes; all are copied
 * \param augmentation  sizes of whole images and of crops
 * \return freed with sm_data_description_free() */
sm_data_description *sm_data_description_new(const sm_dataset *dataset, const sm_augmentation *augmentation);
sm_data_description *sm_data_description_copy(const sm_data_description *description);
/** NULL is legal. */
void sm_data_description_free(sm_data_description *description);

/** Writes it as a group that looks like a split of a dataset with one sample of one pixel, which nobody reads: the same
 * attributes say the same things. */
sm_status sm_data_description_write(const sm_data_description *description, sm_h5 *file, const char *group);

/** \return SM_ERR_INPUT naming the attribute that is missing or wrong */
sm_status sm_data_description_read(const sm_h5 *file, const char *group, sm_data_description **out);

/** Writes the attributes of an array of a dataset, or of a group that is about such an array: what its numbers mean. */
sm_status sm_target_write_description(sm_h5 *file, const char *object, const sm_target *target);

#ifdef __cplusplus
}
#endif
#endif
