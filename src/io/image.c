/* Decoders read from memory: the file is read first, so that what it is can be seen and a missing end is noticed.
 *
 * libpng and libjpeg leave by longjmp. What must outlive the jump lives in a struct of the function above the one that
 * calls setjmp, so that nothing is lost to registers and everything is freed in one place. */
#include <sigmatic/io/image.h>

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>
#include <png.h>

enum { MESSAGE_BYTES = JMSG_LENGTH_MAX };

static const uint64_t most_bytes = (uint64_t)1 << 31;

static size_t row_bytes(const sm_image *image)
{
    return (size_t)image->width * image->channels * (image->bits / 8);
}

static sm_image new_image(int height, int width, int channels, int bits)
{
    assert(height > 0 && width > 0 && (channels == 1 || channels == 3) && (bits == 8 || bits == 16));
    sm_image image = {height, width, channels, bits, NULL};
    image.pixels = sm_alloc(row_bytes(&image) * (size_t)height);
    return image;
}

void sm_image_free(sm_image *image)
{
    sm_free(image->pixels);
    *image = (sm_image){0};
}

/* ---- what both decoders share ------------------------------------------------------------------------------------ */

typedef struct {
    const char *path;
    const uint8_t *data;
    size_t bytes, position;
    int flags;
    sm_image image;
    uint8_t **rows;
    int is_sound;                /* it failed for what it is, not for damage */
    char message[MESSAGE_BYTES]; /* why it failed */
} decoder;

/* \return 0 and the message if the size is out of bounds; else makes the image and its list of rows. */
static int make_room(decoder *d, uint64_t height, uint64_t width, int channels, int bits)
{
    if (height < 1 || width < 1 || height > SM_IMAGE_MAX_SIDE || width > SM_IMAGE_MAX_SIDE ||
        height * width * (uint64_t)channels * (uint64_t)(bits / 8) > most_bytes) {
        d->is_sound = 1;
        snprintf(d->message, sizeof d->message, "of %llu x %llu pixels, at most %d a side and 2 GiB in all are allowed",
                 (unsigned long long)width, (unsigned long long)height, SM_IMAGE_MAX_SIDE);
        return 0;
    }
    d->image = new_image((int)height, (int)width, channels, bits);
    d->rows = sm_alloc(height * sizeof *d->rows);
    for (size_t y = 0; y < height; y++) {
        d->rows[y] = (uint8_t *)d->image.pixels + y * row_bytes(&d->image);
    }
    return 1;
}

/* ---- PNG --------------------------------------------------------------------------------------------------------- */

typedef struct {
    png_structp png;
    png_infop info;
} png_handles;

static void png_fails(png_structp png, png_const_charp message)
{
    decoder *d = png_get_error_ptr(png);
    snprintf(d->message, sizeof d->message, "%s", message);
    png_longjmp(png, 1);
}

static void png_warns(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void png_takes(png_structp png, png_bytep out, size_t bytes)
{
    decoder *d = png_get_io_ptr(png);
    if (bytes > d->bytes - d->position) {
        png_error(png, "the file is truncated");
    }
    memcpy(out, d->data + d->position, bytes);
    d->position += bytes;
}

/* Asks libpng for whole bytes of grey or RGB. \return the channels that come out */
static int png_choose(const png_handles *h, int flags)
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
    const uint16_t probe = 1;
    if (*(const uint8_t *)&probe == 1) {
        png_set_swap(h->png); /* 16-bit samples are big-endian in the file */
    }
    return (colours & PNG_COLOR_MASK_COLOR) && !(has_palette && (flags & SM_IMAGE_KEEP_INDICES)) ? 3 : 1;
}

/* \return 1, or 0 with the message. */
static int png_decode(const png_handles *h, decoder *d)
{
    if (setjmp(png_jmpbuf(h->png))) {
        return 0;
    }
    png_set_read_fn(h->png, d, png_takes);
    png_set_user_limits(h->png, SM_IMAGE_MAX_SIDE, SM_IMAGE_MAX_SIDE);
    png_read_info(h->png, h->info);
    int channels = png_choose(h, d->flags);
    png_set_interlace_handling(h->png);
    png_read_update_info(h->png, h->info);
    int bits = png_get_bit_depth(h->png, h->info);
    if (!make_room(d, png_get_image_height(h->png, h->info), png_get_image_width(h->png, h->info), channels, bits)) {
        return 0;
    }
    if (png_get_rowbytes(h->png, h->info) != row_bytes(&d->image)) {
        png_error(h->png, "rows of another length than expected");
    }
    png_read_image(h->png, d->rows);
    png_read_end(h->png, NULL);
    return 1;
}

static int read_png(decoder *d)
{
    png_handles h = {png_create_read_struct(PNG_LIBPNG_VER_STRING, d, png_fails, png_warns), NULL};
    if (!h.png || !(h.info = png_create_info_struct(h.png))) {
        sm_abort("out of memory for a PNG");
    }
    int good = png_decode(&h, d);
    png_destroy_read_struct(&h.png, &h.info, NULL);
    return good;
}

/* ---- JPEG -------------------------------------------------------------------------------------------------------- */

typedef struct {
    struct jpeg_error_mgr base; /* first: libjpeg hands back a pointer to it */
    jmp_buf jump;
    decoder *decoder;
} jpeg_errors;

static void jpeg_fails(j_common_ptr jpeg)
{
    jpeg_errors *errors = (jpeg_errors *)jpeg->err;
    errors->base.format_message(jpeg, errors->decoder->message);
    longjmp(errors->jump, 1);
}

/* A missing end is only a warning to libjpeg, which fills in grey; to us it is a failure. Other warnings (stray bytes
 * between segments) are common in good files. */
static void jpeg_tells(j_common_ptr jpeg, int level)
{
    int code = jpeg->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE)) {
        jpeg_fails(jpeg);
    }
}

/* \return 1, or 0 with the message. */
static int jpeg_decode(struct jpeg_decompress_struct *jpeg, jpeg_errors *errors, decoder *d)
{
    if (setjmp(errors->jump)) {
        return 0;
    }
    jpeg_mem_src(jpeg, d->data, (unsigned long)d->bytes);
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->num_components != 1 && jpeg->num_components != 3) {
        d->is_sound = 1;
        snprintf(d->message, sizeof d->message, "of %d components%s, expected grey or RGB", jpeg->num_components,
                 jpeg->num_components == 4 ? " (CMYK)" : "");
        return 0;
    }
    jpeg->out_color_space = jpeg->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    if (!make_room(d, jpeg->image_height, jpeg->image_width, jpeg->num_components, 8)) {
        return 0;
    }
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        jpeg_read_scanlines(jpeg, d->rows + jpeg->output_scanline, jpeg->output_height - jpeg->output_scanline);
    }
    jpeg_finish_decompress(jpeg);
    return 1;
}

static int read_jpeg(decoder *d)
{
    struct jpeg_decompress_struct jpeg;
    jpeg_errors errors = {.decoder = d};
    memset(&jpeg, 0, sizeof jpeg); /* so that destroying is safe even if creating fails */
    jpeg.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = jpeg_fails;
    errors.base.emit_message = jpeg_tells;
    if (setjmp(errors.jump)) {
        return 0;
    }
    jpeg_create_decompress(&jpeg);
    int good = jpeg_decode(&jpeg, &errors, d);
    jpeg_destroy_decompress(&jpeg);
    return good;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint8_t signature[8];
    size_t length;
    int (*read)(decoder *d);
} kinds[] = {
    {"PNG", {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, 8, read_png},
    {"JPEG", {0xff, 0xd8, 0xff}, 3, read_jpeg},
};

static void keep_high_bytes(sm_image *image)
{
    size_t count = (size_t)image->height * image->width * image->channels;
    sm_image narrow = new_image(image->height, image->width, image->channels, 8);
    for (size_t i = 0; i < count; i++) {
        ((uint8_t *)narrow.pixels)[i] = (uint8_t)(((const uint16_t *)image->pixels)[i] >> 8);
    }
    sm_image_free(image);
    *image = narrow;
}

static void repeat_grey(sm_image *image)
{
    size_t count = (size_t)image->height * image->width, sample = (size_t)image->bits / 8;
    sm_image colour = new_image(image->height, image->width, 3, image->bits);
    for (size_t i = 0; i < 3 * count; i++) {
        memcpy((char *)colour.pixels + i * sample, (const char *)image->pixels + i / 3 * sample, sample);
    }
    sm_image_free(image);
    *image = colour;
}

sm_status sm_image_read(const char *path, int flags, sm_image *image)
{
    assert(!((flags & SM_IMAGE_KEEP_INDICES) && (flags & SM_IMAGE_AS_RGB)));
    decoder d = {.path = path, .flags = flags};
    void *data = NULL;
    int kind = -1, good = 0;
    *image = (sm_image){0};
    sm_status status = sm_file_read(path, &data, &d.bytes);
    if (status != SM_OK) {
        return status;
    }
    d.data = data;
    for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++) {
        if (d.bytes >= kinds[i].length && memcmp(data, kinds[i].signature, kinds[i].length) == 0) {
            kind = i;
        }
    }
    if (kind < 0) {
        status = sm_fail(SM_ERR_INPUT, "%s: neither PNG nor JPEG", path);
    } else {
        good = kinds[kind].read(&d);
        if (!good) {
            status = sm_fail(SM_ERR_INPUT, d.is_sound ? "%s: a %s %s" : "%s: damaged %s: %s", path, kinds[kind].name,
                             d.message);
        }
    }
    sm_free(data);
    sm_free(d.rows);
    if (!good) {
        sm_image_free(&d.image);
        return status;
    }
    if (d.image.bits == 16 && (flags & SM_IMAGE_AS_8_BIT)) {
        keep_high_bytes(&d.image);
    }
    if (d.image.channels == 1 && (flags & SM_IMAGE_AS_RGB)) {
        repeat_grey(&d.image);
    }
    *image = d.image;
    return SM_OK;
}
