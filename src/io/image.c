/* What a file is, and what becomes of the decoded pixels. */
#include <sigmatic/io/image.h>

#include "io/image_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t signature[8];
    size_t length;
    int (*decode)(sm_image_decoder *d);
} kinds[] = {
    {"PNG", {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, 8, sm_image_decode_png},
    {"JPEG", {0xff, 0xd8, 0xff}, 3, sm_image_decode_jpeg},
};

static void keep_high_bytes(sm_image *image)
{
    size_t count = (size_t)image->height * image->width * image->channels;
    sm_image narrow = sm_image_new(image->height, image->width, image->channels, 8);
    for (size_t i = 0; i < count; i++) {
        ((uint8_t *)narrow.pixels)[i] = (uint8_t)(((const uint16_t *)image->pixels)[i] >> 8);
    }
    sm_image_free(image);
    *image = narrow;
}

static void repeat_grey(sm_image *image)
{
    size_t count = (size_t)image->height * image->width, sample = (size_t)image->bits / 8;
    sm_image colour = sm_image_new(image->height, image->width, 3, image->bits);
    for (size_t i = 0; i < 3 * count; i++) {
        memcpy((char *)colour.pixels + i * sample, (const char *)image->pixels + i / 3 * sample, sample);
    }
    sm_image_free(image);
    *image = colour;
}

/* Decodes as what the first bytes say. The image belongs to the decoder. */
static sm_status decode(const char *path, sm_image_decoder *d)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (d->bytes < kinds[i].length || memcmp(d->data, kinds[i].signature, kinds[i].length) != 0) {
            continue;
        }
        if (kinds[i].decode(d)) {
            return SM_OK;
        }
        return sm_fail(SM_ERR_INPUT, d->is_sound ? "%s: a %s %s" : "%s: damaged %s: %s", path, kinds[i].name,
                       d->message);
    }
    return sm_fail(SM_ERR_INPUT, "%s: neither PNG nor JPEG", path);
}

sm_status sm_image_read(const char *path, int flags, sm_image *image)
{
    assert(!((flags & SM_IMAGE_KEEP_INDICES) && (flags & SM_IMAGE_AS_RGB)));
    sm_status status = SM_OK;
    sm_image_decoder d = {.flags = flags, .orientation = SM_IMAGE_UPRIGHT};
    void *data = NULL;

    *image = (sm_image){0};
    SM_TRY(sm_file_read(path, &data, &d.bytes));
    d.data = data;
    SM_TRY(decode(path, &d));
    sm_image_decoder_turn(&d);
    if (d.image.bits == 16 && (flags & SM_IMAGE_AS_8_BIT)) {
        keep_high_bytes(&d.image);
    }
    if (d.image.channels == 1 && (flags & SM_IMAGE_AS_RGB)) {
        repeat_grey(&d.image);
    }
    *image = d.image;
    d.image = (sm_image){0};
done:
    sm_free(data);
    sm_free(d.rows);
    sm_image_free(&d.image);
    return status;
}
