/* Reading JPEG by libjpeg. */
#include "io/image_private.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum {
    /* A block of 8x8 samples takes at least one bit, and with sampling factors up to 4 there are no fewer than nine
     * blocks (4x1, 1x4 and 1x1) for 32x32 pixels of three bytes. */
    MOST_UNPACKED = 2731,
    MOST_SCANS = 500, /* each goes over the whole image; encoders write ten or so */
    EXIF_MARKER = JPEG_APP0 + 1,
    MOST_MARKER_BYTES = 65533
};

typedef struct {
    struct jpeg_error_mgr base; /* first: libjpeg hands back a pointer to it */
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    sm_image_decoder *decoder;
} jpeg_errors;

static void fails(j_common_ptr jpeg)
{
    char text[JMSG_LENGTH_MAX];
    jpeg_errors *errors = (jpeg_errors *)jpeg->err;
    errors->base.format_message(jpeg, text);
    snprintf(errors->decoder->message, sizeof errors->decoder->message, "%s", text);
    longjmp(errors->jump, 1);
}

/* A missing end is only a warning to libjpeg, which fills in grey; to us it is a failure. Other warnings (stray bytes
 * between segments) are common in good files. */
static void warns(j_common_ptr jpeg, int level)
{
    int code = jpeg->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE)) {
        fails(jpeg);
    }
}

static void count_scans(j_common_ptr common)
{
    jpeg_errors *errors = (jpeg_errors *)common->err;
    if (((j_decompress_ptr)common)->input_scan_number > MOST_SCANS) {
        snprintf(errors->decoder->message, sizeof errors->decoder->message, "more than %d scans", MOST_SCANS);
        longjmp(errors->jump, 1);
    }
}

static int is_refused(const struct jpeg_decompress_struct *jpeg, sm_image_decoder *d)
{
    if (jpeg->num_components != 1 && jpeg->num_components != 3) {
        snprintf(d->message, sizeof d->message, "of %d components%s, expected grey or RGB", jpeg->num_components,
                 jpeg->num_components == 4 ? " (CMYK)" : "");
        d->is_sound = 1;
    } else if (jpeg->arith_code) {
        snprintf(d->message, sizeof d->message, "with arithmetic coding, expected Huffman codes");
        d->is_sound = 1;
    }
    return d->is_sound;
}

/* \return 1, or 0 with the message. */
static int decode(struct jpeg_decompress_struct *jpeg, jpeg_errors *errors, sm_image_decoder *d)
{
    if (setjmp(errors->jump)) {
        return 0;
    }
    jpeg_mem_src(jpeg, d->data, (unsigned long)d->bytes);
    jpeg_save_markers(jpeg, EXIF_MARKER, MOST_MARKER_BYTES);
    jpeg_read_header(jpeg, TRUE);
    if (is_refused(jpeg, d)) {
        return 0;
    }
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next) {
        if (marker->data_length >= 6 && memcmp(marker->data, "Exif\0\0", 6) == 0 &&
            !sm_image_decoder_take_exif(d, marker->data, marker->data_length)) {
            return 0;
        }
    }
    jpeg->out_color_space = jpeg->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    if (!sm_image_decoder_make_room(d, jpeg->image_height, jpeg->image_width, jpeg->num_components, 8,
                                    d->bytes * MOST_UNPACKED)) {
        return 0;
    }
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        jpeg_read_scanlines(jpeg, d->rows + jpeg->output_scanline, jpeg->output_height - jpeg->output_scanline);
    }
    jpeg_finish_decompress(jpeg);
    return 1;
}

int sm_image_decode_jpeg(sm_image_decoder *d)
{
    struct jpeg_decompress_struct jpeg;
    jpeg_errors errors = {.decoder = d};
    memset(&jpeg, 0, sizeof jpeg); /* so that destroying is safe even if creating fails */
    jpeg.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = fails;
    errors.base.emit_message = warns;
    errors.progress.progress_monitor = count_scans;
    if (setjmp(errors.jump)) {
        return 0;
    }
    jpeg_create_decompress(&jpeg);
    jpeg.progress = &errors.progress;
    int good = decode(&jpeg, &errors, d);
    jpeg_destroy_decompress(&jpeg);
    return good;
}
