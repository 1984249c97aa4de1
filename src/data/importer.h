/** \file
 * For the files of importers: the table in importers.c names them. */
#ifndef SIGMATIC_SRC_DATA_IMPORTER_H
#define SIGMATIC_SRC_DATA_IMPORTER_H

#include <sigmatic/data/import.h>
#include <sigmatic/io/image.h>

#include <stddef.h>
#include <stdint.h>

/** \name Listing (rank 0) */
/** \{ */
enum { SM_IMPORT_SPLITS_MAX = 8, SM_IMPORT_SPLIT_BYTES = 32 };

/** Names in a folder, sorted, without hidden ones (.DS_Store, ._x, .ipynb_checkpoints); none if it is no folder.
 * \param [out] names  one sm_free(names) frees them all */
sm_status sm_import_folder(const char *path, char ***names, size_t *count);

/** Adds a sample. Those of one split are added one after the other, in their order in the file.
 * \param split  at most SM_IMPORT_SPLITS_MAX splits, of names shorter than SM_IMPORT_SPLIT_BYTES
 * \param paths  of each kind, whether or not there is such a file; the texts of kinds of text; copied, as is all else */
void sm_import_add(sm_import_list *list, const char *split, const char *name, const char *const *paths);

/** Keeps a line that rank 0 tells once the dataset is written: what was decided for the user, which nobody wants to read
 * above an error. \param text  taken over, freed with sm_free() */
void sm_import_note(sm_import_list *list, char *text);

/** \return samples added so far. */
size_t sm_import_count(const sm_import_list *list);

/** \return the importer that lists, for its `user`. */
const sm_importer *sm_import_importer(const sm_import_list *list);

/** \return what was asked for. */
const sm_import_options *sm_import_list_options(const sm_import_list *list);

/** A whole number that an option's value gives; `fallback` without one.
 * \return SM_ERR_USAGE naming the option and what it may be: 0 .. most */
sm_status sm_import_count_option(const sm_importer *importer, const sm_import_options *options, int flag,
                                 int64_t fallback, int64_t most, int64_t *count);

/** Tells which of `total` samples in their order are among `part` of them that are spread evenly. */
static inline int sm_import_is_spread(int64_t sample, int64_t total, int64_t part)
{
    return (sample + 1) * part / total > sample * part / total;
}
/** \} */

/** What one rank imports with. `target` is what read() fills; the rest belongs to import.c. */
struct sm_import {
    const sm_importer *importer;
    const sm_import_options *options;
    int height, width;                        /**< of what is written */
    void *target[SM_IMPORT_KINDS_MAX];        /**< of each kind with a target: its items in memory order; else NULL */
    sm_target target_of[SM_IMPORT_KINDS_MAX]; /**< the descriptions of these */

    int begins_anew; /**< 1: what mends the failure of this sample makes other samples of all files: a size, a scale */

    void *cache[SM_IMPORT_KINDS_MAX]; /**< what read() wants to keep from one sample to the next; freed by sm_free() */

    const sm_import_list *list;
    sm_target described[SM_IMPORT_KINDS_MAX]; /* the targets in the file */
    int kind_of[SM_IMPORT_KINDS_MAX];         /* the kind of each of them */
    int described_count;
    uint8_t *image;
    int stored_height, stored_width; /* of the present sample's image */
    sm_geometry geometry;            /* of what is written to that image */
    float *sampled, *workspace, *covered;
    size_t workspace_room, covered_room;
};

/** \return the file, or text, of a kind that the first sample from `sample` on has; NULL: none has. The same on every rank.
 * \param [in,out] sample  its place among all samples */
const char *sm_import_find(const sm_import *import, int kind, size_t *sample);

/** \name Conversion of one sample, from files
 * The image comes first. Images may be PNG or JPEG; maps have one channel, exactly the bits that their function names, and
 * the size of the image. Anything else is SM_ERR_INPUT naming the file. What lies outside of the image (`fit`) has the mean
 * colour of ImageNet and is invalid in every target. */
/** \{ */
sm_status sm_import_image(sm_import *import, const char *path);

/** A map for the functions from memory below: one channel of `bits` bits (8 or 16), palettes by their indices.
 * \param [out] map  freed with sm_image_free(), also after a failure */
sm_status sm_import_read_map(const sm_import *import, const char *path, int bits, sm_image *map);

/** 8 bits: class_of[id] of the nearest pixel. */
sm_status sm_import_classes(sm_import *import, int kind, const char *path, const uint8_t class_of[256]);

/** 16 bits: of the nearest pixel, renumbered 1, 2, ... in the order of the ids; 0 where `is_instance` says no. */
sm_status sm_import_instances(sm_import *import, int kind, const char *path, int (*is_instance)(int id));

/** 16 bits: as sm_import_reals() by the median.
 * \param pixels_of  disparity of a stored number in pixels, NaN invalid */
sm_status sm_import_disparity(sm_import *import, int kind, const char *path, float (*pixels_of)(int stored));
/** \} */

/** \name Conversion of one sample, from memory
 * For files of any other format. The image comes first; maps are (stored_height, stored_width), rows top to bottom. */
/** \{ */

/** \param pixels  (height, width, 3) RGB
 * \return SM_ERR_INPUT naming `path`: its size is another than that of the first image and no size was asked for */
sm_status sm_import_pixels(sm_import *import, const char *path, const uint8_t *pixels, int height, int width);

/** \return SM_ERR_INPUT naming the map and both sizes, if its size is not that of its image. */
sm_status sm_import_check_size(const sm_import *import, const char *path, int height, int width);

/** The class of the nearest pixel. \param classes  SM_CLASS_IGNORED invalid */
void sm_import_class_ids(sm_import *import, int kind, const uint8_t *classes);

/** The labels of the nearest pixel. \param labels  a component a class: 0, 1 or SM_CLASS_IGNORED */
void sm_import_labels(sm_import *import, int kind, const uint8_t *labels);

/** The instance of the nearest pixel, renumbered 1, 2, ... in the order of the ids.
 * \param ids  0 and below: none
 * \return SM_ERR_INPUT naming `path`: more than 65535 instances */
sm_status sm_import_instance_ids(sm_import *import, int kind, const char *path, const int32_t *ids);

/** How an output pixel gets a real value from the stored pixels that it covers (one of them when it covers less). */
typedef enum sm_import_rule {
    /** The median of the valid ones, invalid if fewer than half are. Of an even number the middle two's mean if they can
     * be one surface (disparities within a pixel), else that of the two which is farther away (the lower disparity, else
     * the higher value): no value between two surfaces. For maps of one component. */
    SM_IMPORT_MEDIAN,
    /** The valid one nearest to the centre, however few there are: for sparse maps, as of a laser scanner. */
    SM_IMPORT_NEAREST_VALID,
    /** The one at the centre, valid or not. */
    SM_IMPORT_NEAREST
} sm_import_rule;

/** Real values: components as of the target of this kind; times the scale of the image as the target's `scaling` says.
 * \param values  (stored_height, stored_width, components); a pixel with a NaN among its components is invalid */
void sm_import_reals(sm_import *import, int kind, const float *values, sm_import_rule rule);
/** \} */

/** \name For import.c */
/** \{ */

/** Mean and standard deviation of the images of `count` samples as they will be stored, in [0, 1]: sums of whole numbers,
 * the same on any number of ranks. Reads every image once. Collective.
 * \param read  makes the image of a sample
 * \return SM_ERR_INPUT, SM_ERR_IO: a bad image, unless these are skipped; SM_PREEMPTED */
sm_status sm_import_measure(sm_comm *comm, sm_import *import, int split, int64_t count,
                            sm_status (*read)(sm_import *import, int split, int64_t index), double mean[3],
                            double std[3]);
/** \} */

#endif
