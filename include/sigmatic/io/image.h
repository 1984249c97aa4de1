/** \file
 * Images of 8 or 16 bits a sample: read from PNG and JPEG, written as PNG. Thread-safe. */
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

/** Reads a PNG or a JPEG, told apart by content. The image comes out upright, as EXIF's orientation says. Alpha is dropped, colour profiles and gamma are ignored.
 * Memory is bounded by what the file's bytes can unpack to: pixels of a JPEG take at most 2731 bytes a byte of the file, rows of a PNG as they are stored at most 1032.
 *
 * \param [out] image  zeroed on failure; freed with sm_image_free()
 * \return SM_ERR_IO: cannot be read; SM_ERR_INPUT: not an image, damaged, truncated, CMYK, of arithmetic coding, of an EXIF orientation other than 1 to 8, or larger than 65535 a side or 2 GiB
 */
sm_status sm_image_read(const char *path, int flags, sm_image *image);

/** Writes a PNG of grey or RGB of the image's bits, atomically (sm_file_write_atomic). `image` stays the caller's. */
sm_status sm_image_write_png(const sm_image *image, const char *path);

/** Frees the pixels and zeroes the struct; twice is fine. */
void sm_image_free(sm_image *image);

#ifdef __cplusplus
}
#endif
#endif
