/** \file
 * Predictions of one image as files that others read. Formats are rows of a table. */
#ifndef SIGMATIC_TRAIN_PREDICTION_FILES_H
#define SIGMATIC_TRAIN_PREDICTION_FILES_H

#include <sigmatic/train/predictor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An image with what is predicted of it. */
typedef struct sm_predicted_image {
    const char *name;   /**< path below each format's folder, without ending */
    const uint8_t *rgb; /**< (height, width, 3) */
    int height, width;
    double baseline_metres; /**< NaN: unknown */
    double fx_pixels;       /**< at this width; NaN: unknown */
    const sm_task_prediction *tasks;
    int task_count;
} sm_predicted_image;

/** What a format asks before the first image is predicted. */
typedef struct sm_prediction_source {
    const sm_task *const *tasks;
    int task_count;
    int has_camera; /**< 1: the baseline and the focal length of some image at least are known */
} sm_prediction_source;

typedef struct sm_prediction_format {
    const char *name;   /**< word of --format, and folder */
    const char *ending; /**< ".png" */
    const char *help;
    int wants_instances; /**< 1: sm_predictor_options.instances */
    int has_uncertainty; /**< 1: with sm_predictor_options.uncertainty it holds more */
    /** 1: the format writes a file of the task, FORMAT/TASK/NAME; NULL: one of the image, FORMAT/NAME. */
    int (*takes)(const sm_task *task);
    const char *wants; /**< what a task must be that it takes, for messages */
    /** Whether what it takes can be written: SM_ERR_INPUT saying what of the task is found and what expected; NULL: always. */
    sm_status (*check)(const sm_task *task, const sm_prediction_source *source);
    int uses_camera; /**< 1: of a task of disparities it needs the baseline and the focal length */
    /** Writes the file, and others whose names begin as its name does. \param task  NULL of a format of images */
    sm_status (*write)(const sm_predicted_image *image, const sm_task_prediction *task, const char *path);
} sm_prediction_format;

extern const sm_prediction_format sm_prediction_formats[]; /**< ends with a NULL name */

/** \return NULL if there is none of that name */
const sm_prediction_format *sm_prediction_format_find(const char *name);

/** Finds the tasks that the format writes. Of those that it takes but cannot write it is said why, in a message (rank 0).
 * \param [out] writes  (tasks) 1: it does
 * \return SM_ERR_USAGE if it writes none, naming what it wants, the tasks that there are, and what they lack */
sm_status sm_prediction_format_check(const sm_prediction_format *format, const sm_prediction_source *source,
                                     uint8_t *writes);

/** \return 1 if it needs the camera of some task that is there */
int sm_prediction_format_asks_camera(const sm_prediction_format *format, const sm_prediction_source *source);

/** \param writes  of sm_prediction_format_check()
 * \return 1 if a file of the format is there for this name. */
int sm_prediction_format_exists(const sm_prediction_format *format, const uint8_t *writes, const char *folder,
                                const char *name, const sm_task *const *tasks, int task_count);

/** Writes an image's files below `folder`, each whole or not at all.
 * \param writes  of sm_prediction_format_check()
 * \return SM_ERR_INPUT, SM_ERR_WRITE, SM_ERR_IO naming the file */
sm_status sm_prediction_format_write(const sm_prediction_format *format, const uint8_t *writes, const char *folder,
                                     const sm_predicted_image *image);

#ifdef __cplusplus
}
#endif
#endif
