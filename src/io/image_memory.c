/* Memory of images: as much as is allowed, and as the file can fill. */
#include "io/image_private.h"

#include <sigmatic/base/memory.h>

#include <assert.h>

static const uint64_t allowed_bytes = (uint64_t)1 << 31;

size_t sm_image_row_bytes(const sm_image *image)
{
    return (size_t)image->width * image->channels * (image->bits / 8);
}

sm_image sm_image_new(int height, int width, int channels, int bits)
{
    assert(height > 0 && width > 0 && (channels == 1 || channels == 3) && (bits == 8 || bits == 16));
    sm_image image = {height, width, channels, bits, NULL};
    image.pixels = sm_alloc(sm_image_row_bytes(&image) * (size_t)height);
    return image;
}

void sm_image_free(sm_image *image)
{
    sm_free(image->pixels);
    *image = (sm_image){0};
}

int sm_image_decoder_make_room(sm_image_decoder *d, uint64_t height, uint64_t width, int channels, int bits,
                               uint64_t most_bytes)
{
    uint64_t bytes = height * width * (uint64_t)channels * (uint64_t)(bits / 8);
    if (height < 1 || width < 1 || height > SM_IMAGE_MAX_SIDE || width > SM_IMAGE_MAX_SIDE || bytes > allowed_bytes) {
        d->is_sound = 1;
        snprintf(d->message, sizeof d->message, "of %llu x %llu pixels, at most %d a side and 2 GiB in all are allowed",
                 (unsigned long long)width, (unsigned long long)height, SM_IMAGE_MAX_SIDE);
        return 0;
    }
    if (bytes > most_bytes) {
        snprintf(d->message, sizeof d->message, "the file is truncated: %llu x %llu pixels cannot be in %zu bytes",
                 (unsigned long long)width, (unsigned long long)height, d->bytes);
        return 0;
    }
    d->image = sm_image_new((int)height, (int)width, channels, bits);
    d->rows = sm_alloc(height * sizeof *d->rows);
    for (size_t y = 0; y < height; y++) {
        d->rows[y] = (uint8_t *)d->image.pixels + y * sm_image_row_bytes(&d->image);
    }
    return 1;
}
