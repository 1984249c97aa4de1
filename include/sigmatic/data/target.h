/** \file
 * What a target is: a named array of a dataset split, described once. Reading, augmentation, writing, counts of valid
 * items, losses, metrics, predictions and units follow from the description.
 *
 * An item is what has one value of a target: a pixel, or a sample. */
#ifndef SIGMATIC_DATA_TARGET_H
#define SIGMATIC_DATA_TARGET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Squares of larger numbers leave the range of a float: features and real values are from - to + this. */
#define SM_GREATEST_REAL 1e18

/** What the numbers are, and which of them mean "invalid". In memory a class and a label are a uint8_t, an instance a
 * uint16_t, a real value a float. */
typedef enum sm_target_type {
    SM_TARGET_CLASS,    /**< ids 0 .. classes - 1; SM_CLASS_IGNORED is invalid */
    SM_TARGET_INSTANCE, /**< ids within one sample; 0: no instance */
    SM_TARGET_REAL,     /**< real values; an item with a NaN among its components is invalid */
    SM_TARGET_LABELS,   /**< a component a class, none or several of which an item may have: 0 no, 1 yes,
                             SM_CLASS_IGNORED unknown; an item with no known component is invalid */
    SM_TARGET_TYPES
} sm_target_type;

enum {
    SM_CLASS_IGNORED = 255,
    SM_CLASSES_MAX = 255,
    SM_COMPONENTS_MAX = 32, /**< of real values: bits of flip_negates */
    SM_TARGETS_MAX = 32     /**< of a dataset */
};

/** What has a value of its own. A value a sample is neither scaled down nor cropped. */
typedef enum sm_scope {
    SM_SCOPE_PIXEL,  /**< an array of a split has shape (N,H,W) or (N,H,W,components); resampled by the nearest pixel */
    SM_SCOPE_SAMPLE, /**< (N) or (N,components) */
    SM_SCOPES
} sm_scope;

/** How values grow when the image is scaled by (scale_x, scale_y). */
typedef enum sm_target_scaling {
    SM_SCALING_NONE,  /**< not at all: metres, unit vectors */
    SM_SCALING_WIDTH, /**< with the width: disparities */
    SM_SCALING_AXES,  /**< component 0 (x) with the width, component 1 (y) with the height: vectors in pixels */
    SM_SCALINGS
} sm_target_scaling;

/** How values change when the image is turned: components 0 and 1 may be the x and y of a vector that turns with it. */
typedef enum sm_target_turning {
    SM_TURNING_NONE, /**< not at all: metres, disparities */
    SM_TURNING_Y_DOWN, /**< x to the right and y down, as rows are counted: vectors in pixels, normals in a camera's axes */
    SM_TURNING_Y_UP, /**< x to the right and y up: normals of many data sets */
    SM_TURNINGS
} sm_target_turning;

/** "class", "pixel", "width", ...: the words of dataset files, in the order of the enums. */
extern const char *const sm_target_type_names[SM_TARGET_TYPES], *const sm_scope_names[SM_SCOPES],
                                                                    *const sm_target_scaling_names[SM_SCALINGS];
extern const char *const sm_target_turning_names[SM_TURNINGS];

/** \return how values turn that scale so, where nothing is said of it: vectors in pixels do, y down. */
static inline sm_target_turning sm_target_turning_of(sm_target_scaling scaling)
{
    return scaling == SM_SCALING_AXES ? SM_TURNING_Y_DOWN : SM_TURNING_NONE;
}

/** The classes of a target of ids. Pointers are only read. */
typedef struct sm_class_list {
    int count;
    const char *const *names;      /**< count */
    const uint8_t (*palette)[3];   /**< count, RGB; NULL: none given */
    const uint8_t *thing;          /**< count, 1 = has instances; NULL: none has */
    const char *const *categories; /**< count, the group of classes that each belongs to, "" none; NULL: none given */
    const double *
        instance_pixels; /**< count, mean area of an instance in images of original size, 0 unknown; NULL: none given */
} sm_class_list;

/** A description. Names and classes are only read; sm_target_copy() makes one that owns them. */
typedef struct sm_target {
    const char *name; /**< of the array in its split */
    sm_target_type type;
    sm_scope scope;
    int components;   /**< values an item: ids have 1, labels one a class, real values 1 .. SM_COMPONENTS_MAX */
    const char *unit; /**< "px", "m"; "" for plain numbers and ids */
    sm_target_scaling scaling;
    sm_target_turning turning;    /**< other than NONE only of real values with 2 components and more */
    unsigned flip_negates;        /**< bit c: component c changes its sign when the image is mirrored */
    double least, most;           /**< real values outside of [least, most] are an error of the file */
    const sm_class_list *classes; /**< of SM_TARGET_CLASS and SM_TARGET_LABELS, else NULL */
} sm_target;

/** Arrays known by their name: what a file need not describe. Ends with a NULL name. */
extern const sm_target sm_standard_targets[];

/** \return the standard target of that name, NULL if there is none. */
const sm_target *sm_standard_target(const char *name);

/** \return items of one sample of (height, width) pixels. */
static inline size_t sm_scope_items(sm_scope scope, int height, int width)
{
    return scope == SM_SCOPE_SAMPLE ? 1 : (size_t)height * (size_t)width;
}

/** \return bytes of one item in memory. */
size_t sm_target_item_bytes(const sm_target *target);

/** \return a copy in one block with its name, unit and classes; freed with sm_free(). */
sm_target *sm_target_copy(const sm_target *target);

#ifdef __cplusplus
}
#endif
#endif
