/** \file
 * An RGB picture to put panels, colours and short words on: what overlays are made of. */
#ifndef SIGMATIC_DATA_CANVAS_H
#define SIGMATIC_DATA_CANVAS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_canvas {
    int height, width;
    uint8_t *rgb; /**< (height, width, 3) */
} sm_canvas;

/** \return a canvas of one colour; its `rgb` is freed with sm_free(). */
sm_canvas sm_canvas_new(int height, int width, const uint8_t colour[3]);

/** Fills a rectangle; what is beyond the canvas is left out, as of everything below. */
void sm_canvas_fill(const sm_canvas *canvas, int x, int y, int width, int height, const uint8_t colour[3]);

/** Puts a picture with its top left corner at (x, y), each pixel as a square of `zoom`. */
void sm_canvas_put(const sm_canvas *canvas, int x, int y, const uint8_t *rgb, int height, int width, int zoom);

/** Letters are 5 x 8 pixels, 6 apart, all times the scale. */
enum { SM_LETTER_ADVANCE = 6, SM_LETTER_HEIGHT = 8 };

/** Writes a line of text. Letters, digits and usual signs of ASCII are known; of anything else each character is a question
 * mark. \return the x behind it */
int sm_canvas_text(const sm_canvas *canvas, int x, int y, int scale, const char *text, const uint8_t colour[3]);

/** \return the width of a line of text. */
int sm_canvas_text_width(int scale, const char *text);

#ifdef __cplusplus
}
#endif
#endif
