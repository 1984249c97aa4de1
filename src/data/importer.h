/** \file
 * For the files of importers: the table in importers.c names them. */
#ifndef SIGMATIC_SRC_DATA_IMPORTER_H
#define SIGMATIC_SRC_DATA_IMPORTER_H

#include <sigmatic/data/import.h>

#include <stddef.h>
#include <stdint.h>

/** \name Listing (rank 0) */
/** \{ */

/** Names in a folder, sorted, without hidden ones (.DS_Store, ._x, .ipynb_checkpoints); none if it is no folder.
 * \param [out] names  one sm_free(names) frees them all */
sm_status sm_import_folder(const char *path, char ***names, size_t *count);

/** Adds a sample. Those of one split are added one after the other, in their order in the file.
 * \param paths  of each kind, whether or not there is such a file; copied, as is all else */
void sm_import_add(sm_import_list *list, const char *split, const char *name, const char *const *paths);

/** \return samples added so far. */
size_t sm_import_count(const sm_import_list *list);
/** \} */

/** What one rank imports with. `target` is what read() fills; the rest belongs to import.c. */
struct sm_import {
    const sm_importer *importer;
    const sm_import_options *options;
    int height, width;                 /**< of what is written */
    void *target[SM_IMPORT_KINDS_MAX]; /**< of each kind with a target: (height, width) in memory order */

    const sm_import_list *list;
    sm_target described[SM_IMPORT_KINDS_MAX]; /* the targets in the file */
    int kind_of[SM_IMPORT_KINDS_MAX];         /* the kind of each of them */
    int described_count;
    uint8_t *image;
    int stored_height, stored_width; /* of the present sample's image */
    float *sampled, *workspace, *covered;
    size_t workspace_room, covered_room;
};

/** \name Conversion of one sample
 * Images may be PNG or JPEG; maps have one channel, exactly the bits that their function names, and the size of the image,
 * which comes first. Anything else is SM_ERR_INPUT naming the file. */
/** \{ */
sm_status sm_import_image(sm_import *import, const char *path);

/** 8 bits: class_of[id] of the nearest pixel. */
sm_status sm_import_classes(sm_import *import, int kind, const char *path, const uint8_t class_of[256]);

/** 16 bits: of the nearest pixel, renumbered 1, 2, ... in the order of the ids; 0 where `is_instance` says no. */
sm_status sm_import_instances(sm_import *import, int kind, const char *path, int (*is_instance)(int id));

/** 16 bits: the median of the valid pixels that an output pixel covers, over the shrink factor of the width; NaN if fewer
 * than half of them are valid.
 * \param pixels_of  disparity of a stored number in pixels, NaN invalid */
sm_status sm_import_disparity(sm_import *import, int kind, const char *path, float (*pixels_of)(int stored));
/** \} */

#endif
