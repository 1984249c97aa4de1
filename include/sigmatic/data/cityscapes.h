/** \file
 * Importer of Cityscapes (Cordts et al., CVPR 2016) into a dataset file, from the official folders
 * `{root}/{leftImg8bit,gtFine,disparity,camera}/{split}/{city}/...` or from flat copies that keep all kinds of a city in one folder (`{root}/.../{split}/{city}/` or `{root}/{city}/`). */
#ifndef SIGMATIC_DATA_CITYSCAPES_H
#define SIGMATIC_DATA_CITYSCAPES_H

#include <sigmatic/base/status.h>
#include <sigmatic/comm/comm.h>
#include <sigmatic/data/dataset.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_CITYSCAPES_CLASSES = 19 };

/** The 19 scored classes: names, colours, things (the last 8). */
extern const sm_dataset_classes sm_cityscapes_classes;

/** The label id of each class (trainId), as the official evaluation wants it. */
extern const uint8_t sm_cityscapes_label_id[SM_CITYSCAPES_CLASSES];

/** \return the class of a label id, 255 if it is not scored. */
uint8_t sm_cityscapes_train_id(int label_id);

typedef struct sm_cityscapes_options {
    const char *root;
    const char *output;
    int height, width; /**< of the maps in the file; 0, 0: as the first image */
    int sky_is_far; /**< 1: pixels labelled sky get disparity 0, valid, whatever the disparity map says (the default of the command) */
    int overwrite;
} sm_cityscapes_options;

/** Imports every split that is there (train, val, test), samples in the order of their names `{city}_{seq}_{frame}`.
 *
 * Images are averaged over area (triangle filter), labels and instances taken at the nearest pixel, disparity averaged over the valid pixels that an output pixel covers (of its nearest pixel's surface only, see cityscapes.c)
 * and divided by the shrink factor of the width. Instances are renumbered 1, 2, ... within an image; groups and stuff get 0.
 * A kind of file that no sample has is left out of the dataset; a single sample that lacks one is a warning and its map is all invalid.
 * Collective; the ranks share the work.
 *
 * \return SM_ERR_INPUT: nothing found (the message says which patterns were looked for), unreadable or wrong files by name */
sm_status sm_cityscapes_import(sm_comm *comm, const sm_cityscapes_options *options);

#ifdef __cplusplus
}
#endif
#endif
