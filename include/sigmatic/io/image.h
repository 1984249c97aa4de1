/** \file
 * Images of 8 or 16 bits a sample: read from PNG and JPEG. Thread-safe. */
#ifndef SIGMATIC_IO_IMAGE_H
#define SIGMATIC_IO_IMAGE_H

#include <sigmatic/base/status.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Pixels (height, width, channels), rows top to bottom without padding; uint8_t, or uint16_t in host order. */
typedef struct sm_image {
    int height;
    int width;
    int channels; /* 1 grey, 3 RGB */
    int bits;     /* of a sample: 8 or 16 */
    void *pixels; /* owned; sm_image_free() */
} sm_image;

/** How to read; the values can be or-ed. */
enum {
    /** Labels: a PNG's palette indices, and grey values of 1, 2 and 4 bits, as they are stored (one 8-bit channel).
     * Without it a palette becomes its RGB colours and low-bit grey is scaled to 0..255. */
    SM_IMAGE_KEEP_INDICES = 1,
    /** Three channels always: grey is repeated. Not together with SM_IMAGE_KEEP_INDICES. */
    SM_IMAGE_AS_RGB = 2,
    /** 8 bits always: of 16-bit samples the high byte. */
    SM_IMAGE_AS_8_BIT = 4
};

enum { SM_IMAGE_MAX_SIDE = 65535 };

/** Reads a PNG or a JPEG, told apart by content. Alpha is dropped, colour profiles, gamma and EXIF orientation are ignored.
 *
 * \param [out] image  zeroed on failure; freed with sm_image_free()
 * \return SM_ERR_IO: cannot be read; SM_ERR_INPUT: not an image, damaged, truncated, CMYK, or larger than 65535 a side or 2 GiB
 */
sm_status sm_image_read(const char *path, int flags, sm_image *image);

/** Frees the pixels and zeroes the struct; twice is fine. */
void sm_image_free(sm_image *image);

#ifdef __cplusplus
}
#endif
#endif
