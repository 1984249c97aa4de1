/** \file
 * What the decoders of images share. They read from memory: the file is read first, so that what it is can be seen and a
 * missing end is noticed.
 *
 * libpng and libjpeg leave by longjmp. What must outlive the jump lives in a struct of the function above the one that
 * calls setjmp, so that nothing is lost to registers and everything is freed in one place. */
#ifndef SIGMATIC_SRC_IO_IMAGE_PRIVATE_H
#define SIGMATIC_SRC_IO_IMAGE_PRIVATE_H

#include <sigmatic/io/image.h>

#include <stddef.h>
#include <stdio.h>

enum { SM_IMAGE_MESSAGE_BYTES = 256, SM_IMAGE_UPRIGHT = 1 };

typedef struct sm_image_decoder {
    const uint8_t *data;
    size_t bytes, position;
    int flags;
    sm_image image;
    uint8_t **rows;
    int orientation; /* EXIF's: 1 to 8 */
    int is_sound;    /* it failed for what it is, not for damage */
    char
        message[SM_IMAGE_MESSAGE_BYTES]; /* why it failed: "a PNG <message>" of a sound one, "damaged PNG: <message>" */
} sm_image_decoder;

size_t sm_image_row_bytes(const sm_image *image);

/** \return an image with pixels of undefined values. */
sm_image sm_image_new(int height, int width, int channels, int bits);

/** Makes the image and its list of rows.
 * \param most_bytes  the most that the file's data can unpack to
 * \return 0 with the message if the size is out of bounds */
int sm_image_decoder_make_room(sm_image_decoder *d, uint64_t height, uint64_t width, int channels, int bits,
                               uint64_t most_bytes);

/** Decode the whole file. \return 1, or 0 with the message */
int sm_image_decode_png(sm_image_decoder *d);
int sm_image_decode_jpeg(sm_image_decoder *d);

/** Takes the orientation out of EXIF data, which begin with "Exif\0\0"; data that cannot be read, or hold none, change nothing.
 * \return 1, or 0 with the message for one that is none of 1 to 8 */
int sm_image_decoder_take_exif(sm_image_decoder *d, const uint8_t *exif, size_t bytes);

/** Turns the decoded image upright. */
void sm_image_decoder_turn(sm_image_decoder *d);

#endif
