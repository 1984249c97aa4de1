/* Reading and writing PNG by libpng. */
#include "io/image_private.h"

#include <sigmatic/base/byte_order.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <png.h>
#include <setjmp.h>
#include <string.h>

/* Deflate packs at most 258 bytes into 2 bits. */
enum { MOST_UNPACKED = 1032 };

/* ---- reading ------------------------------------------------------------------------------------------------------- */

typedef struct {
    png_structp png;
    png_infop info;
} png_handles;

static void reading_fails(png_structp png, png_const_charp message)
{
    sm_image_decoder *d = png_get_error_ptr(png);
    snprintf(d->message, sizeof d->message, "%s", message);
    png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void take_bytes(png_structp png, png_bytep out, size_t bytes)
{
    sm_image_decoder *d = png_get_io_ptr(png);
    if (bytes > d->bytes - d->position) {
        png_error(png, "the file is truncated");
    }
    memcpy(out, d->data + d->position, bytes);
    d->position += bytes;
}

/* libpng takes memory for what a chunk says of its length. \return whether all up to the end are as long as they say */
static int chunks_are_whole(const sm_image_decoder *d)
{
    enum { SIGNATURE = 8, AROUND = 12 /* length, name and checksum */ };
    size_t at = SIGNATURE;
    while (d->bytes - at >= AROUND) {
        const uint8_t *chunk = d->data + at;
        uint32_t length = png_get_uint_32(chunk);
        if (length > d->bytes - at - AROUND) {
            return 0;
        }
        if (memcmp(chunk + 4, "IEND", 4) == 0) {
            return 1;
        }
        at += AROUND + length;
    }
    return 0;
}

/* Asks libpng for whole bytes of grey or RGB. \return the channels that come out */
static int choose(const png_handles *h, int flags)
{
    int colours = png_get_color_type(h->png, h->info);
    int has_palette = colours == PNG_COLOR_TYPE_PALETTE;
    if (flags & SM_IMAGE_KEEP_INDICES) {
        png_set_packing(h->png);
    } else if (has_palette) {
        png_set_palette_to_rgb(h->png);
    } else if (png_get_bit_depth(h->png, h->info) < 8) {
        png_set_expand_gray_1_2_4_to_8(h->png);
    }
    png_set_strip_alpha(h->png);
    if (sm_host_is_little()) {
        png_set_swap(h->png); /* 16-bit samples are big-endian in the file */
    }
    return (colours & PNG_COLOR_MASK_COLOR) && !(has_palette && (flags & SM_IMAGE_KEEP_INDICES)) ? 3 : 1;
}

/* The chunk holds what follows "Exif\0\0" in a JPEG. \return as sm_image_decoder_take_exif() */
static int take_exif(const png_handles *h, sm_image_decoder *d)
{
    static const uint8_t prefix[6] = "Exif\0";
    png_uint_32 bytes = 0;
    png_bytep chunk = NULL;
    if (!png_get_eXIf_1(h->png, h->info, &bytes, &chunk)) {
        return 1;
    }
    uint8_t *exif = sm_alloc(sizeof prefix + bytes);
    memcpy(exif, prefix, sizeof prefix);
    memcpy(exif + sizeof prefix, chunk, bytes);
    int good = sm_image_decoder_take_exif(d, exif, sizeof prefix + bytes);
    sm_free(exif);
    return good;
}

/* \return 1, or 0 with the message. */
static int decode(const png_handles *h, sm_image_decoder *d)
{
    if (setjmp(png_jmpbuf(h->png))) {
        return 0;
    }
    png_set_read_fn(h->png, d, take_bytes);
    png_set_user_limits(h->png, SM_IMAGE_MAX_SIDE, SM_IMAGE_MAX_SIDE);
    png_read_info(h->png, h->info);
    size_t stored_row_bytes = png_get_rowbytes(h->png, h->info);
    int channels = choose(h, d->flags);
    png_set_interlace_handling(h->png);
    png_read_update_info(h->png, h->info);
    int bits = png_get_bit_depth(h->png, h->info);
    uint64_t height = png_get_image_height(h->png, h->info), width = png_get_image_width(h->png, h->info);
    uint64_t growth = (width * (uint64_t)channels * (uint64_t)(bits / 8) + stored_row_bytes - 1) / stored_row_bytes;
    if (!sm_image_decoder_make_room(d, height, width, channels, bits, d->bytes * MOST_UNPACKED * growth)) {
        return 0;
    }
    if (png_get_rowbytes(h->png, h->info) != sm_image_row_bytes(&d->image)) {
        png_error(h->png, "rows of another length than expected");
    }
    png_read_image(h->png, d->rows);
    png_read_end(h->png, h->info);
    return take_exif(h, d);
}

int sm_image_decode_png(sm_image_decoder *d)
{
    if (!chunks_are_whole(d)) {
        snprintf(d->message, sizeof d->message, "the file is truncated");
        return 0;
    }
    png_handles h = {png_create_read_struct(PNG_LIBPNG_VER_STRING, d, reading_fails, ignore_warning), NULL};
    if (!h.png || !(h.info = png_create_info_struct(h.png))) {
        sm_abort("out of memory for a PNG");
    }
    int good = decode(&h, d);
    png_destroy_read_struct(&h.png, &h.info, NULL);
    return good;
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

/* A file that grows in memory: a full disk then is the failure of one write. */
typedef struct {
    uint8_t *data;
    size_t bytes, room;
} growing_file;

static void give_bytes(png_structp png, png_bytep data, size_t bytes)
{
    growing_file *file = png_get_io_ptr(png);
    if (bytes > file->room - file->bytes) {
        file->room = 2 * file->room + bytes;
        file->data = sm_realloc(file->data, file->room);
    }
    memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
}

static void give_nothing(png_structp png)
{
    (void)png;
}

/* The image is sound and memory comes from sm_alloc() or aborts: nothing else makes libpng fail. */
static void writing_fails(png_structp png, png_const_charp message)
{
    (void)png;
    sm_abort("a PNG cannot be encoded: %s", message);
}

sm_status sm_image_write_png(const sm_image *image, const char *path)
{
    assert(image->height > 0 && image->width > 0 && (image->channels == 1 || image->channels == 3) &&
           (image->bits == 8 || image->bits == 16));
    growing_file file = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, writing_fails, ignore_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        sm_abort("out of memory for a PNG");
    }
    png_set_write_fn(png, &file, give_bytes, give_nothing);
    png_set_compression_level(png, 3); /* half the time of the default, a sixth larger */
    png_set_IHDR(png, info, (png_uint_32)image->width, (png_uint_32)image->height, image->bits,
                 image->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    if (image->bits == 16 && sm_host_is_little()) {
        png_set_swap(png);
    }
    for (int y = 0; y < image->height; y++) {
        png_write_row(png, (png_const_bytep)image->pixels + (size_t)y * sm_image_row_bytes(image));
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    sm_status status = sm_file_write_atomic(path, file.data, file.bytes);
    sm_free(file.data);
    return status;
}
