/* Images: any of the ways to read one, chosen by the bytes of the file. */
#include "fuzz.h"

#include "../image_bytes.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/io/image.h>

#include <string.h>

static void read_image(const char *path, const uint8_t *input, size_t bytes)
{
    static const int ways[] = {0, SM_IMAGE_KEEP_INDICES, SM_IMAGE_AS_RGB | SM_IMAGE_AS_8_BIT, SM_IMAGE_AS_RGB};
    sm_image image;
    if (sm_image_read(path, ways[sm_crc32c(0, input, bytes) % 4], &image) == SM_OK) {
        fuzz_touch(image.pixels,
                   (size_t)image.height * (size_t)image.width * (size_t)(image.channels * image.bits / 8));
    }
    FUZZ_CHECK(!image.pixels == !image.height);
    sm_image_free(&image);
}

#define SEED(bytes) fuzz_seed(bytes, sizeof bytes)

static void png_seeds(void)
{
    uint8_t long_chunk[sizeof turned_png]; /* its EXIF data are said to have 16 MiB */
    memcpy(long_chunk, turned_png, sizeof turned_png);
    long_chunk[8 + 12 + 13] = 1;
    SEED(palette_png);
    SEED(grey_16_png);
    SEED(rgba_png);
    SEED(one_bit_png);
    SEED(interlaced_png);
    SEED(grey_alpha_png);
    SEED(rgb_16_png);
    SEED(turned_png);
    SEED(long_chunk);
}

static void jpeg_seeds(void)
{
    static const uint8_t start[] = {0xff, 0xd8, 0xff, 0xe1, 0, sizeof exif_of_6 + 2};
    uint8_t turned[sizeof start + sizeof exif_of_6 + sizeof rgb_jpeg - 2];
    memcpy(turned, start, sizeof start);
    memcpy(turned + sizeof start, exif_of_6, sizeof exif_of_6);
    memcpy(turned + sizeof start + sizeof exif_of_6, rgb_jpeg + 2, sizeof rgb_jpeg - 2);
    SEED(turned);
    SEED(rgb_jpeg);
    SEED(grey_jpeg);
    SEED(cmyk_jpeg);
}

/* What the header promises (image.h), for each byte of the file: a palette's index of 1 bit becomes 3 bytes, 24 times of
 * 1032; a grey pixel of a JPEG one and then three, and libjpeg holds two bytes of coefficients for each of up to three
 * components at sampling factors of up to 4. */
const fuzz_target fuzz_png = {"png", NULL, NULL, read_image, png_seeds, 4 << 20, 1032 * 24 * 2};
const fuzz_target fuzz_jpeg = {"jpeg", NULL, NULL, read_image, jpeg_seeds, 4 << 20, 2731 * 12};
