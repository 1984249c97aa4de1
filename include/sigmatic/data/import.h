/** \file
 * Importers: folders of others into one dataset file. An importer is a row: it lists samples and reads one; what all share
 * (listing, sizes, conversions, the writing by all ranks, progress, reports) is in import*.c, for importers in
 * data/importer.h. */
#ifndef SIGMATIC_DATA_IMPORT_H
#define SIGMATIC_DATA_IMPORT_H

#include <sigmatic/base/status.h>
#include <sigmatic/comm/comm.h>
#include <sigmatic/data/fit.h>
#include <sigmatic/data/sample.h>
#include <sigmatic/data/target.h>
#include <sigmatic/io/config.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_IMPORT_KINDS_MAX = SM_TARGETS_MAX + 4, SM_IMPORT_FLAGS_MAX = 8 };

/** What a sample may have: a file, or a text. */
typedef struct sm_import_kind {
    const char *what;             /**< "labels", for messages */
    const char *target;           /**< the standard target that it becomes; NULL: none, or `described` */
    const sm_class_list *classes; /**< of a target of classes */
    int is_camera;                /**< 1: tells baseline and focal length */
    const sm_target *described;   /**< the target that it becomes, in place of `target` and `classes`; NULL: none */
    int is_text;                  /**< 1: no path but a text; the empty one is as a file that is not there */
    int is_named; /**< 1: the user named it (or wrote a value in its place): unless empty it counts as there, and read()
                       fails if it is not */
} sm_import_kind;

/** An option of an importer: a flag, or with a value. */
typedef struct sm_import_flag {
    const char *name, *help; /**< of the option --name */
    const char *metavar;     /**< "FILE", of one with a value; NULL: a flag */
} sm_import_flag;

/** What an importer sees: importer.h. */
typedef struct sm_import_list sm_import_list;
typedef struct sm_import sm_import;
typedef struct sm_import_options sm_import_options;

typedef struct sm_importer sm_importer;

struct sm_importer {
    const char *name;            /**< of the command: "cityscapes" */
    const char *summary;         /**< "import Cityscapes", for the list of commands */
    const char *title;           /**< "Cityscapes"; the attribute `source` of the file */
    const char *root_help;       /**< what the folder holds */
    int root_may_be_file;        /**< 1: ROOT need not be a folder */
    const sm_key *const *keys;   /**< of a file that says what is imported, for --help-describe; NULL: there is none */
    const sm_import_flag *flags; /**< at most SM_IMPORT_FLAGS_MAX, ends with a NULL name */
    const sm_import_kind *kinds; /**< kind 0 is the image, which every sample has */
    int kind_count;              /**< at most SM_IMPORT_KINDS_MAX */

    /** Adds the samples below `root`, split by split, by sm_import_add(). On rank 0 only.
     * \return SM_ERR_INPUT if there are none, saying what was looked for; SM_ERR_IO */
    sm_status (*list)(const char *root, sm_import_list *list);

    /** Finds the size of a sample's image where it is no image file; NULL: it is one.
     * \return SM_ERR_INPUT, SM_ERR_IO, naming the file */
    sm_status (*size)(const sm_import_options *options, const char *image, int *height, int *width);

    /** Converts one sample by the functions of importer.h; targets without a file are all invalid already.
     * \param [in]  paths   of each kind; NULL where there is no file
     * \param [out] sample  baseline_metres and fx_pixels, if they are known
     * \return SM_ERR_INPUT, SM_ERR_IO, naming the file */
    sm_status (*read)(sm_import *import, const char *const *paths, sm_sample *sample);

    const char *facts; /**< of one made at run time: what decides beside options and files; NULL: nothing does */
    const void *user;  /**< for list() and read() of importers that are made at run time; the rest ignore it */

    /** Of a row whose kinds are known only once the options are: makes the importer itself, with its own kinds, list() and
     * read(); NULL: the row is it. Collective; the same result on every rank.
     * \param [out] made  freed by its own `free` */
    sm_status (*make)(sm_comm *comm, const sm_import_options *options, sm_importer **made);
    void (*free)(sm_importer *importer);
};

/** The importers; ends with NULL. */
extern const sm_importer *const sm_importers[];

/** How images and targets are brought to another size, for people. */
extern const char sm_import_resizing[];

struct sm_import_options {
    const char *root;
    const char *output;
    int height,
        width;      /**< of image and targets in the file; 0, 0: as the first image, and then all must have its size */
    unsigned flags; /**< bit i: flag i of the importer was given */
    int overwrite;
    sm_fit fit;
    int measures; /**< 1: mean and standard deviation of the file are those of the images of train (the first split if
                       there is none), borders and bad images left out; 0: ImageNet's */
    const char *values[SM_IMPORT_FLAGS_MAX]; /**< of options with a value: the one given, NULL without */
    int skip_bad; /**< 1: samples with bad files are warned of, each file by name, and left out: half of all at most,
                            and of no split all */
    int (*stop)(void); /**< \return 1: this process was asked to stop; NULL: none ever is */
};

/** Imports every split that is there. A kind of file that no sample has is left out; a sample that lacks one which others
 * of its split have is a warning that names it, and its target is all invalid. Collective; the ranks share the work.
 *
 * What an interrupted import has done is gone on with by the next one of the same options, files and version; a file whose
 * size or time has changed is read again.
 *
 * \return SM_ERR_INPUT: nothing found, or a file that is damaged or not what was expected, by name; SM_ERR_USAGE: the
 *         output exists; SM_ERR_IO; SM_PREEMPTED. The same on every rank */
sm_status sm_import_dataset(sm_comm *comm, const sm_importer *importer, const sm_import_options *options);

#ifdef __cplusplus
}
#endif
#endif
