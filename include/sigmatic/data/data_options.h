/** \file
 * Section [data] of the configuration. */
#ifndef SIGMATIC_DATA_DATA_OPTIONS_H
#define SIGMATIC_DATA_DATA_OPTIONS_H

#include <sigmatic/base/status.h>
#include <sigmatic/data/augmentation.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/io/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Keys of [data]: train, validation (lists of files), train_split, validation_split, height, width, prefetch, workers. */
extern const sm_key sm_data_keys[];

/** Keys of [data] that change training images at random: crop_height, crop_width, flip, scale_min, scale_max, rotation, brightness, contrast, saturation, hue, erasing, erasing_area. */
extern const sm_key sm_augmentation_keys[];

/** Opens the training files, or the validation files (without `validation`: the same files as `train`), of [data].
 * \param [out] out  NULL if validation_split is empty (no validation) */
sm_status sm_data_open_train(const sm_config *config, sm_dataset **out);
sm_status sm_data_open_validation(const sm_config *config, sm_dataset **out);

/** What changes training images at random: network input, flip, scale, crop, rotation, colours, erasing.
 * Sizes of 0 in the config are filled in from the dataset; an impossible combination is SM_ERR_CONFIG. Nothing changes a
 * table, whatever the config says.
 * \param train  NULL: only to check the config, sizes of 0 stay
 * \param [out] augmentation  height, width: the whole image as evaluation feeds it; crop_height, crop_width: as training feeds it */
sm_status sm_data_augmentation(const sm_config *config, const sm_dataset *train, sm_augmentation *augmentation);

/** Tells of sizes that are allowed but hardly meant: warns of crops that no image fills at any scale, and says where images
 * are enlarged or change their proportions. To be called on one rank. */
void sm_data_remark_sizes(const sm_augmentation *augmentation, const sm_dataset *train);

#ifdef __cplusplus
}
#endif
#endif
