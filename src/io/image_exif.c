/* The orientation of EXIF data, and how it turns an image. The data are parsed by libexif. */
#include "io/image_private.h"

#include <sigmatic/base/memory.h>

#include <libexif/exif-data.h>
#include <string.h>

/* Orientation: the place of the first row and the first column in the scene. Its row y, column x of the upright image
 * are found in the stored one by exchanging the two, then counting from the other end. */
static const struct {
    int is_transposed, from_bottom, from_right;
} turns[] = {
    [1] = {0, 0, 0}, [2] = {0, 0, 1}, [3] = {0, 1, 1}, [4] = {0, 1, 0},
    [5] = {1, 0, 0}, [6] = {1, 1, 0}, [7] = {1, 1, 1}, [8] = {1, 0, 1},
};

int sm_image_decoder_take_exif(sm_image_decoder *d, const uint8_t *exif, size_t bytes)
{
    enum { MOST = sizeof turns / sizeof *turns - 1 };
    ExifData *data = exif_data_new();
    if (!data) {
        sm_abort("out of memory for EXIF data");
    }
    /* As the file has it: libexif would mend entries and add missing ones. */
    exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
    exif_data_load_data(data, exif, (unsigned)bytes);
    const ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    int good = 1;
    if (entry && entry->format == EXIF_FORMAT_SHORT && entry->components == 1 && entry->size >= 2) {
        int found = exif_get_short(entry->data, exif_data_get_byte_order(data));
        good = found >= SM_IMAGE_UPRIGHT && found <= MOST;
        d->orientation = good ? found : d->orientation;
        if (!good) {
            d->is_sound = 1;
            snprintf(d->message, sizeof d->message, "of EXIF orientation %d, expected 1 to %d", found, MOST);
        }
    }
    exif_data_unref(data);
    return good;
}

void sm_image_decoder_turn(sm_image_decoder *d)
{
    if (d->orientation == SM_IMAGE_UPRIGHT) {
        return;
    }
    const int transposed = turns[d->orientation].is_transposed;
    const sm_image *stored = &d->image;
    sm_image turned = sm_image_new(transposed ? stored->width : stored->height,
                                   transposed ? stored->height : stored->width, stored->channels, stored->bits);
    size_t pixel = (size_t)stored->channels * (size_t)(stored->bits / 8);
    char *to = turned.pixels;
    for (int y = 0; y < turned.height; y++) {
        for (int x = 0; x < turned.width; x++, to += pixel) {
            int row = transposed ? x : y, column = transposed ? y : x;
            row = turns[d->orientation].from_bottom ? stored->height - 1 - row : row;
            column = turns[d->orientation].from_right ? stored->width - 1 - column : column;
            memcpy(to, d->rows[row] + (size_t)column * pixel, pixel);
        }
    }
    sm_image_free(&d->image);
    d->image = turned;
}
