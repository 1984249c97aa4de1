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

typedef struct sm_prediction_format {
    const char *name;   /**< word of --format, and folder */
    const char *ending; /**< ".png" */
    const char *help;
    int wants_instances; /**< 1: sm_predictor_options.instances */
    /** 1: the format writes a file of the task, FORMAT/TASK/NAME; NULL: one of the image, FORMAT/NAME. */
    int (*takes)(const sm_task *task);
    const char *wants; /**< what a task must be that it takes, for messages */
    /** Writes the file, and others whose names begin as its name does. \param task  NULL of a format of images */
    sm_status (*write)(const sm_predicted_image *image, const sm_task_prediction *task, const char *path);
} sm_prediction_format;

extern const sm_prediction_format sm_prediction_formats[]; /**< ends with a NULL name */

/** \return NULL if there is none of that name */
const sm_prediction_format *sm_prediction_format_find(const char *name);

/** \return SM_ERR_USAGE if no task is one that the format takes, naming what it wants and the tasks that there are */
sm_status sm_prediction_format_check(const sm_prediction_format *format, const sm_task *const *tasks, int task_count);

/** \return 1 if a file of the format is there for this name. */
int sm_prediction_format_exists(const sm_prediction_format *format, const char *folder, const char *name,
                                const sm_task *const *tasks, int task_count);

/** Writes an image's files below `folder`, each whole or not at all. \return SM_ERR_INPUT, SM_ERR_WRITE, SM_ERR_IO naming the file */
sm_status sm_prediction_format_write(const sm_prediction_format *format, const char *folder,
                                     const sm_predicted_image *image);

#ifdef __cplusplus
}
#endif
#endif
