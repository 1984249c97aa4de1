/** \file
 * The picture of a prediction that a person looks at. */
#ifndef SIGMATIC_TRAIN_OVERLAY_H
#define SIGMATIC_TRAIN_OVERLAY_H

#include <sigmatic/data/canvas.h>
#include <sigmatic/train/prediction_files.h>

/** Draws panels of the image's size (small images are enlarged) side by side, each with a caption: for each task of a value a
 * pixel the image under its classes, or its values in colours with their range; then maps of uncertainty; values of the whole image
 * as words; below, the classes that occur.
 * \return its `rgb` is freed with sm_free() */
sm_canvas sm_overlay_draw(const sm_predicted_image *image);

#endif
