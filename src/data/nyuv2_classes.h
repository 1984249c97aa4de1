/* What is known of NYU Depth V2 (Silberman et al., ECCV 2012): its usual classes and split. */
#ifndef DATA_NYUV2_CLASSES_H
#define DATA_NYUV2_CLASSES_H

#include <sigmatic/base/status.h>
#include <sigmatic/data/target.h>

#include <stddef.h>
#include <stdint.h>

enum { SM_NYUV2_IMAGES = 1449, SM_NYUV2_LABELS = 894, SM_NYUV2_NAMED_CLASSES = 37 };

/* The first SM_NYUV2_NAMED_CLASSES of the 40 are called as the one label that each stands for. */
extern const sm_class_list sm_nyuv2_classes_40, sm_nyuv2_classes_13;

/* The class among 40 of each label, which the file counts from 1; the one among 13 of each class among 40. */
extern const uint8_t sm_nyuv2_40_of_label[SM_NYUV2_LABELS], sm_nyuv2_13_of_40[40];

enum { SM_NYUV2_SPLITS = 3 };
extern const char *const sm_nyuv2_split_names[SM_NYUV2_SPLITS];

/* The official split, its test images for validation, if these are all images; else all are for training.
 * \param [out] split_of  `count` places in sm_nyuv2_split_names */
void sm_nyuv2_official_split(uint8_t *split_of, size_t count);

/* From a table with the columns index and split, or from the numbers of the training images; both from 1.
 * \param [out] split_of  SM_NYUV2_SPLITS: none
 * \return SM_ERR_INPUT naming file and line, SM_ERR_IO */
sm_status sm_nyuv2_read_split(const char *path, uint8_t *split_of, size_t count);

/* 1: image 0 .. SM_NYUV2_IMAGES - 1 is one of the 795 for training, 0: of the 654 for testing. */
int sm_nyuv2_is_train(int image);

#endif
