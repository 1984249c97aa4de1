/** \file
 * Parts of `data folder`: what a description (INI) says of a user's files, and how samples are found and read by it. */
#ifndef SIGMATIC_SRC_DATA_FOLDER_H
#define SIGMATIC_SRC_DATA_FOLDER_H

#include "data/importer.h"
#include "data/split_draw.h"

#include <sigmatic/io/config.h>
#include <sigmatic/io/csv.h>

#include <stddef.h>
#include <stdint.h>

typedef struct folder_target folder_target;

/** What files or values of one target may be: a row of the table in folder_kinds.c. */
typedef struct folder_kind {
    const char *name;     /**< of the key `kind`: "class_map" */
    const char *standard; /**< the standard target whose unit, scaling and limits it takes; NULL: as the keys say */
    sm_target_type type;
    sm_scope scope;
    int has_classes;     /**< names are needed, or found */
    int zero_is_invalid; /**< unless the key `invalid` says otherwise */

    /** Makes the target of one sample. \param source  a path, or the text of a cell
     * \return SM_ERR_INPUT, SM_ERR_IO, naming the file, or what is wrong with the text */
    sm_status (*read)(sm_import *import, int kind, const folder_target *target, const char *source);
} folder_kind;

extern const folder_kind folder_kinds[]; /**< ends with a NULL name */

/** A stored id, or a colour R + 256 G + 65536 B, and what it means. */
typedef struct folder_id {
    int32_t id;
    uint8_t class_id; /**< SM_CLASS_IGNORED: ignored */
} folder_id;

/** Ids or colours in ascending order. */
typedef struct folder_ids {
    folder_id *ids;
    size_t count;
} folder_ids;

/** [target.NAME]. Texts belong to the config. */
struct folder_target {
    const char *section, *name;
    const folder_kind *kind;
    sm_target target; /**< its class list is `classes` */
    sm_class_list classes;
    uint8_t (*palette)[3], *thing;
    folder_ids ids, colours;
    int ignores_unlisted;
    const char *folder; /**< as that of images; "": a manifest's paths stand as they are */
    const char *suffix;
    const char *const *columns; /**< of the manifest, one, or one a component */
    size_t column_count;
    double scale, offset;
    double invalid[16]; /**< stored numbers that mean nothing */
    size_t invalid_count;
    int64_t background[16];
    size_t background_count;
    int is_sparse;
};

/** Numbers of the camera: constants, or columns of the manifest. NULL: unknown. */
typedef struct folder_camera {
    const char *baseline_metres, *fx_pixels;
} folder_camera;

/** A whole description with the options of the command. */
typedef struct folder_description {
    sm_config *config;
    char *text;           /**< of the config, complete */
    const char *describe; /**< the INI; NULL: none, only images are taken */
    const char *root;     /**< the folder, or the manifest */
    int has_manifest;
    const char *image_column, *split_column, *image_suffix;
    const char *image_folder;  /**< of a manifest in front of the column's paths, else below the root */
    int has_image_folder;      /**< the description names it */
    const char *const *splits; /**< names beside train, val and test */
    size_t split_count;
    folder_target *targets;
    int target_count;
    folder_camera camera;
    double fractions[SM_USUAL_SPLITS]; /**< of train, val, test; 0, 0, 0: not asked for */
    uint64_t seed;
    sm_import_kind kinds[SM_IMPORT_KINDS_MAX]; /**< image, targets, then these two, -1 where there is none */
    int camera_kind, row_kind, kind_count;
} folder_description;

/** The keys of a description, for the reference; ends with NULL. */
extern const sm_key *const folder_tables[];

/** Joins keys and kinds into what list() and read() work with. Any rank.
 * \return SM_ERR_CONFIG naming file, line and key */
sm_status folder_describe(folder_description *description);

/** Undoes it; the config stays. */
void folder_description_clear(folder_description *description);

/** \return those that are known, then those of the description; words NULL past the last. */
sm_split_word folder_split_at(const folder_description *description, size_t i);
/** \return the split that a word means, in any case of letters; NULL: none. */
const char *folder_split_of(const folder_description *description, const char *word);
/** Reads the description's own. \return SM_ERR_CONFIG */
sm_status folder_describe_splits(folder_description *description);

/** \return 1 if the names of the target's classes are not given, but may be found by folder_find_names(). */
int folder_names_are_found(const folder_target *target);

/** Gives the config the names that cells, or the folders of images, tell, in alphabetical order; of whole numbers
 * without zeros in front all from 0 on. The description is to be made anew if there are such. Rank 0.
 * \param [out] found  1: names were set */
sm_status folder_find_names(folder_description *description, int *found);

/** A sample that was found, before it goes into the list. Texts are owned. */
typedef struct folder_sample {
    char *name, *split; /**< split NULL: none known */
    char **sources;     /**< of each kind */
} folder_sample;

typedef struct folder_samples {
    folder_sample *samples;
    size_t count, room;
    int kind_count;
} folder_samples;

/** \return where a message finds a sample: the manifest's row, else its image. */
static inline const char *folder_place_of(const folder_description *description, const folder_sample *sample)
{
    return sample->sources[description->row_kind >= 0 ? description->row_kind : 0];
}

/** \param sources  of each kind; taken over, as are name and split */
void folder_samples_add(folder_samples *samples, char *name, char *split, char **sources);
void folder_samples_clear(folder_samples *samples);

/** Finds the samples of the manifest, or of the folder. Rank 0. */
sm_status folder_find_in_manifest(const folder_description *description, folder_samples *samples);
sm_status folder_find_in_folders(const folder_description *description, folder_samples *samples);
static inline sm_status folder_find_samples(const folder_description *description, folder_samples *samples)
{
    return description->has_manifest ? folder_find_in_manifest(description, samples)
                                     : folder_find_in_folders(description, samples);
}

/** \return the folders in the root, for a message: "a/, b/"; freed by the caller. */
char *folder_list_folders(const char *root);

/** Fails with SM_ERR_CONFIG that names key, folder and the nearest one that is there. Without a manifest; rank 0.
 * \param target  whose folder is not there; NULL: that of the images */
sm_status folder_fail_missing(const folder_description *description, const folder_target *target);

/** With a manifest: whether the files of a row are there.
 * \param sources  of each kind; NULL or "": none
 * \return SM_ERR_IO naming the first that is not, and the key that says in which folder it is */
sm_status folder_check_files(const folder_description *description, const char *const *sources);

/** Files below a folder and in its subfolders, by their path in it without extension.
 * Hidden ones, and those of other extensions, are left out. */
typedef struct folder_file {
    char *stem, *path;
} folder_file;
typedef struct folder_files {
    folder_file *files; /**< in ascending order of stem, then path */
    size_t count, room;
} folder_files;

enum { FOLDER_DEEP = 32 }; /**< levels: not without end, a link may lead back */

/** \param levels      of subfolders: 0 or FOLDER_DEEP
 * \param extensions  ".png", ...; any case of letters; ends with NULL
 * \param suffix      the end of a stem that is not part of it; files without it are left out */
sm_status folder_files_find(const char *folder, int levels, const char *const *extensions, const char *suffix,
                            folder_files *files);
void folder_files_clear(folder_files *files);
/** \return the path of a stem; NULL if there is none. */
const char *folder_files_path(const folder_files *files, const char *stem);

/** \param [out] bits  of the numbers of a PNG or .npy: whole ones of 8 or 16 (or more); 0: floats */
sm_status folder_storage_bits(const char *path, int *bits);
/** \param bits  those of this file
 * \return SM_ERR_INPUT naming both files, if the first file of the target stores its numbers in another way. */
sm_status folder_check_storage(sm_import *import, int kind, const folder_target *target, const char *path, int bits);

extern const char *const folder_image_extensions[], *const folder_map_extensions[], *const folder_value_extensions[];
/** \return 1 if the text ends with one of the extensions. */
int folder_has_extension(const char *text, const char *const *extensions);

/** The text of a cell: itself, or that of the .txt that it names, without blanks at its end.
 * \param [out] text  freed by the caller */
sm_status folder_cell_text(const char *source, char **text);
/** Takes the next of several names, separated by '|' or ';', off a text. \return it, freed by the caller; NULL: none is left */
char *folder_next_name(const char **text);

/** \return what a message of a name that is no class of the target ends with: "; did you mean 'road'?", or ""; freed with
 * sm_free() */
char *folder_ask_for_class(const folder_target *t, const char *name);

/** Without a description: prints on rank 0 what else there is beside the images, as a description to begin with. Some files
 * of each target are looked at. What cannot be read is a warning: no import of images alone needs it. */
void folder_suggest(const folder_description *description, const folder_samples *samples);

/** \return a description, without a line end, that takes the class of an image from its folder; NULL: the folders do not
 * look like classes. Freed by the caller. */
char *folder_class_description(const folder_samples *samples);

#endif
