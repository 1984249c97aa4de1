/** \file
 * The page that an overlay's panels are laid out on: captions, ranges of colours, and a legend below. */
#ifndef SIGMATIC_TRAIN_OVERLAY_PAGE_H
#define SIGMATIC_TRAIN_OVERLAY_PAGE_H

#include <sigmatic/data/canvas.h>
#include <sigmatic/train/prediction_files.h>

enum { CAPTION_BYTES = 160 };

typedef struct panel {
    char caption[CAPTION_BYTES];
    int has_ramp, is_root; /* a bar of its colours from `least` to `most`, by the value or by its root */
    double least, most;
    char unit[24];
    uint8_t *rgb; /* of the image's size, owned */
} panel;

typedef struct overlay {
    const sm_predicted_image *image;
    panel *panels;
    int count;
} overlay;

/** \return 1 for a task of a value a pixel: it has panels; of others the legend tells */
int sm_overlay_is_map(const sm_task_prediction *task);

/** Lays out and draws: panels side by side, small ones enlarged, with as many letters across whatever their size; where a caption
 * and its range do not fit beside each other, they stand on two lines. \return its `rgb` is freed with sm_free() */
sm_canvas sm_overlay_page_draw(const overlay *o);

#endif
