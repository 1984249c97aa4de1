/** \file
 * Importers: folders of others into one dataset file. An importer is a row: it lists samples and reads one; what all share
 * (listing, sizes, conversions, the writing by all ranks, progress, reports) is in import.c, for importers in data/importer.h. */
#ifndef SIGMATIC_DATA_IMPORT_H
#define SIGMATIC_DATA_IMPORT_H

#include <sigmatic/base/status.h>
#include <sigmatic/comm/comm.h>
#include <sigmatic/data/sample.h>
#include <sigmatic/data/target.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_IMPORT_KINDS_MAX = 8, SM_IMPORT_FLAGS_MAX = 8 };

/** A kind of file that a sample may have. */
typedef struct sm_import_kind {
    const char *what;             /**< "labels", for messages */
    const char *target;           /**< the standard target that it becomes; NULL: none */
    const sm_class_list *classes; /**< of a target of classes */
    int is_camera;                /**< 1: tells baseline and focal length */
} sm_import_kind;

typedef struct sm_import_flag {
    const char *name, *help; /**< of the option --name */
} sm_import_flag;

/** What an importer sees: importer.h. */
typedef struct sm_import_list sm_import_list;
typedef struct sm_import sm_import;

typedef struct sm_importer {
    const char *name;            /**< of the command: "cityscapes" */
    const char *summary;         /**< "import Cityscapes", for the list of commands */
    const char *title;           /**< "Cityscapes"; the attribute `source` of the file */
    const char *root_help;       /**< what the folder holds */
    const sm_import_flag *flags; /**< at most SM_IMPORT_FLAGS_MAX, ends with a NULL name */
    const sm_import_kind *kinds; /**< kind 0 is the image, which every sample has */
    int kind_count;              /**< at most SM_IMPORT_KINDS_MAX */

    /** Adds the samples below `root`, split by split, by sm_import_add(). On rank 0 only.
     * \return SM_ERR_INPUT if there are none, saying what was looked for; SM_ERR_IO */
    sm_status (*list)(const char *root, sm_import_list *list);

    /** Converts one sample by the functions of importer.h; targets without a file are all invalid already.
     * \param [in]  paths   of each kind; NULL where there is no file
     * \param [out] sample  baseline_metres and fx_pixels, if they are known
     * \return SM_ERR_INPUT, SM_ERR_IO, naming the file */
    sm_status (*read)(sm_import *import, const char *const *paths, sm_sample *sample);
} sm_importer;

/** The importers; ends with NULL. */
extern const sm_importer *const sm_importers[];

/** How images and targets are brought to another size, for people. */
extern const char sm_import_resizing[];

typedef struct sm_import_options {
    const char *root;
    const char *output;
    int height, width; /**< of image and targets in the file; 0, 0: as the first image */
    unsigned flags;    /**< bit i: flag i of the importer was given */
    int overwrite;
} sm_import_options;

/** Imports every split that is there. A kind of file that no sample has is left out; a sample that lacks one which others
 * have is a warning that names it, and its target is all invalid. Collective; the ranks share the work.
 *
 * \return SM_ERR_INPUT: nothing found, or a file that is damaged or not what was expected, by name; SM_ERR_USAGE: the
 *         output exists; SM_ERR_IO. The same on every rank */
sm_status sm_import_dataset(sm_comm *comm, const sm_importer *importer, const sm_import_options *options);

#ifdef __cplusplus
}
#endif
#endif
