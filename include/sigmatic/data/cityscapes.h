/** \file
 * Importer of Cityscapes (Cordts et al., CVPR 2016) into a dataset file, from the official folders
 * `{root}/{leftImg8bit,gtFine,disparity,camera}/{split}/{city}/{name}_{kind}` or from a flat copy that keeps all kinds of a city in one folder, `{root}/{split}/{city}/{name}_{kind}`;
 * name = `{city}_{sequence}_{frame}`. */
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
extern const sm_class_list sm_cityscapes_classes;

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

/** Imports every split that is there (train, val, test), samples in the order of their names.
 *
 * - image: averaged over area (a triangle as wide as the shrink factor)
 * - semantic: label id of the nearest pixel, as class (trainId)
 * - instance: the nearest pixel's instance if it is one of a thing (id >= 1000; groups and stuff get 0), renumbered 1, 2, ... within the image in the order of the ids
 * - disparity: (p - 1) / 256 / shrink factor of the width; the median of the valid pixels that an output pixel covers, NaN if fewer than half of them are valid
 * - baseline and fx from the camera file; NaN without
 *
 * A kind of file that no frame has is left out of the dataset; a frame that lacks one which others have is a warning that names it, and its map is all invalid.
 * Collective; the ranks share the work.
 *
 * \return SM_ERR_INPUT: nothing found (the message says which patterns were looked for), or a damaged file or one of another size than its image, by name; SM_ERR_USAGE: the output exists; SM_ERR_IO. The same on every rank */
sm_status sm_cityscapes_import(sm_comm *comm, const sm_cityscapes_options *options);

#ifdef __cplusplus
}
#endif
#endif
