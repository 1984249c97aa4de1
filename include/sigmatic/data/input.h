/** \file
 * What a network reads: the input arrays that a dataset split may have, and how a stored one becomes numbers. Kinds are
 * rows of a table. */
#ifndef SIGMATIC_DATA_INPUT_H
#define SIGMATIC_DATA_INPUT_H

#include <sigmatic/data/colours.h>
#include <sigmatic/data/sample.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_input sm_input;

enum { SM_FEATURES_MAX = 65536 /**< of a table: numbers of a sample */ };

/** One row of the table. A stored input is an array u8 (N,H,W,channels), or that of a table. */
typedef struct sm_input_kind {
    const char *name;    /**< of the array in its split: "image" */
    const char *samples; /**< what people call its samples: "images", "rows" */
    int is_table; /**< 1: numbers of a sample as a whole, f32 (N,channels); NaN: unknown. Height and width are 1 */
    int channels; /**< of a table 0: as many as the file has, 1 .. SM_FEATURES_MAX */
    const char *channel_names; /**< for messages: "R, G, B" */
    const double *mean, *std;  /**< of files that give none; channels each, of a table NULL: 0 and 1 */
    /** \return floats of workspace that `prepare` needs for this stored size at any scale >= scale_min (output pixels a
     * stored pixel, the smaller of both axes). */
    size_t (*workspace_floats)(int stored_height, int stored_width, int height, int width, double scale_min);
    /** Takes a stored sample through the geometry and normalises it; what is unknown becomes 0, the mean.
     * \param [in]  stored     (stored_height, stored_width, channels)
     * \param [out] out        (geometry->out_height, geometry->out_width, channels) */
    void (*prepare)(const sm_input *input, const void *stored, int stored_height, int stored_width,
                    const sm_geometry *geometry, float *out, float *workspace);
    /** Changes the colours of what `prepare` made, in place; the same workspace. NULL: it has none. */
    void (*recolour)(const sm_input *input, const sm_colour_change *change, int stored_height, int stored_width,
                     const sm_geometry *geometry, float *out, float *workspace);
} sm_input_kind;

extern const sm_input_kind sm_input_kinds[]; /**< ends with a NULL name */

/** The input of a dataset, or of a network that learns from it. */
struct sm_input {
    const sm_input_kind *kind;
    int height, width, channels;
    const double *mean, *std; /**< channels each, of images of numbers in [0, 1]; kept by reference */
    const char *const *names; /**< channels, of a table whose features have names, else NULL; kept by reference */
};

/** \return bytes of a number of a sample as it is in memory before it is prepared. */
static inline size_t sm_input_number_bytes(const sm_input_kind *kind)
{
    return kind->is_table ? sizeof(float) : sizeof(uint8_t);
}

/** \return numbers of one sample. */
static inline size_t sm_input_elements(const sm_input *input)
{
    return (size_t)input->height * (size_t)input->width * (size_t)input->channels;
}

/** Mean and standard deviation of ImageNet's RGB / 255: what pretrained backbones expect. */
extern const double sm_imagenet_mean[3], sm_imagenet_std[3];

#ifdef __cplusplus
}
#endif
#endif
