/* ranks: 1 */
#include "harness.h"
#include "image_bytes.h"
#include "png_file.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/image.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *in_folder(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", sm_test_folder(), name);
    return path;
}

/* Reads an image that is these bytes. The name says nothing of the kind. */
static sm_status read_bytes(const uint8_t *bytes, size_t count, int flags, sm_image *image)
{
    FILE *file = fopen(in_folder("some.file"), "wb"); /* thousands of files: not each is synced */
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT(fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
    return sm_image_read(in_folder("some.file"), flags, image);
}

#define READ(bytes, flags, image) read_bytes(bytes, sizeof bytes, flags, image)

static void expect_image(sm_image *image, int height, int width, int channels, int bits, const void *pixels)
{
    int same = image->height == height && image->width == width && image->channels == channels && image->bits == bits;
    CU_ASSERT(same);
    if (same) {
        CU_ASSERT(memcmp(image->pixels, pixels, (size_t)height * width * channels * bits / 8) == 0);
    }
    sm_image_free(image);
}

static void a_png_of_any_kind_is_read(void)
{
    sm_image image;
    SM_TEST_OK(READ(palette_png, 0, &image));
    expect_image(&image, 2, 3, 3, 8,
                 (uint8_t[]){10, 20, 30, 40, 50, 60, 255, 0, 128, 255, 0, 128, 10, 20, 30, 40, 50, 60});
    SM_TEST_OK(READ(palette_png, SM_IMAGE_KEEP_INDICES, &image));
    expect_image(&image, 2, 3, 1, 8, (uint8_t[]){0, 1, 2, 2, 0, 1});
    SM_TEST_OK(READ(grey_16_png, 0, &image));
    expect_image(&image, 2, 3, 1, 16, (uint16_t[]){0, 1, 256, 770, 65534, 65535});
    SM_TEST_OK(READ(grey_16_png, SM_IMAGE_KEEP_INDICES, &image));
    expect_image(&image, 2, 3, 1, 16, (uint16_t[]){0, 1, 256, 770, 65534, 65535});
    SM_TEST_OK(READ(grey_16_png, SM_IMAGE_AS_8_BIT | SM_IMAGE_AS_RGB, &image));
    expect_image(&image, 2, 3, 3, 8, (uint8_t[]){0, 0, 0, 0, 0, 0, 1, 1, 1, 3, 3, 3, 255, 255, 255, 255, 255, 255});
    SM_TEST_OK(READ(rgba_png, 0, &image));
    expect_image(&image, 1, 3, 3, 8, (uint8_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9});
    SM_TEST_OK(READ(one_bit_png, 0, &image));
    expect_image(&image, 1, 5, 1, 8, (uint8_t[]){0, 255, 0, 255, 255});
    SM_TEST_OK(READ(one_bit_png, SM_IMAGE_KEEP_INDICES, &image));
    expect_image(&image, 1, 5, 1, 8, (uint8_t[]){0, 1, 0, 1, 1});
    SM_TEST_OK(READ(grey_2_png, 0, &image));
    expect_image(&image, 1, 5, 1, 8, (uint8_t[]){0, 85, 170, 255, 85});
    SM_TEST_OK(READ(grey_2_png, SM_IMAGE_KEEP_INDICES, &image));
    expect_image(&image, 1, 5, 1, 8, (uint8_t[]){0, 1, 2, 3, 1});
    SM_TEST_OK(READ(grey_4_png, 0, &image));
    expect_image(&image, 1, 3, 1, 8, (uint8_t[]){0, 255, 119});
    SM_TEST_OK(READ(grey_4_png, SM_IMAGE_KEEP_INDICES, &image));
    expect_image(&image, 1, 3, 1, 8, (uint8_t[]){0, 15, 7});
    SM_TEST_OK(READ(grey_alpha_png, 0, &image));
    expect_image(&image, 1, 2, 1, 8, (uint8_t[]){7, 200});
    SM_TEST_OK(READ(rgba_16_png, 0, &image));
    expect_image(&image, 1, 1, 3, 16, (uint16_t[]){0x1234, 0xfffe, 1});
    SM_TEST_OK(READ(interlaced_png, 0, &image));
    expect_image(&image, 2, 2, 1, 8, (uint8_t[]){11, 22, 33, 44});
    SM_TEST_OK(READ(rgb_16_png, 0, &image));
    expect_image(&image, 2, 1, 3, 16, (uint16_t[]){0x1234, 0xfffe, 1, 0xabcd, 0, 0x8000});
    SM_TEST_OK(READ(interlaced_png, SM_IMAGE_AS_RGB, &image));
    expect_image(&image, 2, 2, 3, 8, (uint8_t[]){11, 11, 11, 22, 22, 22, 33, 33, 33, 44, 44, 44});
}

/* Inverse cosine transforms may differ by one step between libraries, colour conversion by another. */
static void expect_near(sm_image *image, int channels, const uint8_t *pixels)
{
    CU_ASSERT(image->height == 8 && image->width == 12 && image->channels == channels && image->bits == 8);
    for (int i = 0; i < 8 * 12 * channels; i++) {
        SM_TEST_AT_MOST(abs(((uint8_t *)image->pixels)[i] - pixels[i]), 2);
    }
    sm_image_free(image);
}

static void a_jpeg_of_grey_or_colour_is_read(void)
{
    sm_image image;
    SM_TEST_OK(READ(rgb_jpeg, 0, &image));
    expect_near(&image, 3, rgb_jpeg_pixels);
    SM_TEST_OK(READ(grey_jpeg, 0, &image));
    expect_near(&image, 1, grey_jpeg_pixels);
    CU_ASSERT(READ(cmyk_jpeg, 0, &image) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("some.file: a JPEG of 4 components (CMYK), expected grey or RGB");
    CU_ASSERT(image.pixels == NULL);
}

/* rgb_jpeg with EXIF data of Pillow's, in which the orientation is the only 6, set to another. \return its bytes */
static size_t jpeg_of_orientation(uint16_t orientation, uint8_t *file)
{
    uint8_t *exif = file + 6;
    memcpy(file, (uint8_t[]){0xff, 0xd8, 0xff, 0xe1, 0, sizeof exif_of_6 + 2}, 6);
    memcpy(exif, exif_of_6, sizeof exif_of_6);
    for (size_t i = 1; i < sizeof exif_of_6; i++) {
        if (exif_of_6[i] == 6) {
            exif[i - 1] = (uint8_t)(orientation >> 8);
            exif[i] = (uint8_t)orientation;
        }
    }
    memcpy(exif + sizeof exif_of_6, rgb_jpeg + 2, sizeof rgb_jpeg - 2);
    return 6 + sizeof exif_of_6 + sizeof rgb_jpeg - 2;
}

/* upright_N says which stored pixel Pillow's exif_transpose() puts at each place. */
static void exif_orientation_turns_an_image_upright(void)
{
    static const uint8_t *const upright[] = {NULL,      upright_1, upright_2, upright_3, upright_4,
                                             upright_5, upright_6, upright_7, upright_8};
    uint8_t file[512];
    sm_image plain, image;
    SM_TEST_OK(READ(rgb_jpeg, 0, &plain));
    for (uint16_t orientation = 1; orientation <= 8; orientation++) {
        uint8_t expected[8 * 12 * 3];
        for (int i = 0; i < 8 * 12; i++) {
            memcpy(expected + 3 * i, (uint8_t *)plain.pixels + 3 * upright[orientation][i], 3);
        }
        SM_TEST_OK(read_bytes(file, jpeg_of_orientation(orientation, file), 0, &image));
        int is_turned = orientation >= 5;
        expect_image(&image, is_turned ? 12 : 8, is_turned ? 8 : 12, 3, 8, expected);
    }
    static const struct {
        uint16_t orientation;
        const char *message;
    } wrong[] = {
        {0, "some.file: a JPEG of EXIF orientation 0, expected 1 to 8"},
        {9, "some.file: a JPEG of EXIF orientation 9, expected 1 to 8"},
        {65535, "some.file: a JPEG of EXIF orientation 65535, expected 1 to 8"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CU_ASSERT(read_bytes(file, jpeg_of_orientation(wrong[i].orientation, file), 0, &image) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(wrong[i].message);
    }
    SM_TEST_OK(READ(turned_png, 0, &image));
    expect_image(&image, 3, 2, 1, 8, (uint8_t[]){4, 1, 5, 2, 6, 3});
    sm_image_free(&plain);
}

/* Cameras write much that is wrong; only the orientation matters, and an image without a readable one is as stored. */
static void damaged_exif_data_are_as_none(void)
{
    uint8_t file[512];
    sm_image plain, image;
    SM_TEST_OK(READ(rgb_jpeg, 0, &plain));
    size_t before = sm_memory_held_bytes(), bytes = jpeg_of_orientation(1, file);
    for (size_t i = 12; i < 6 + sizeof exif_of_6; i++) {
        for (int bit = 0; bit < 8; bit++) {
            jpeg_of_orientation(1, file);
            file[i] ^= (uint8_t)(1 << bit);
            sm_status status = read_bytes(file, bytes, 0, &image);
            CU_ASSERT(status == SM_OK || strstr(sm_error_message(), "of EXIF orientation"));
            sm_image_free(&image);
        }
    }
    jpeg_of_orientation(6, file);
    file[12] = 'X'; /* neither II nor MM: no byte order */
    SM_TEST_OK(read_bytes(file, bytes, 0, &image));
    expect_image(&image, 8, 12, 3, 8, plain.pixels);
    CU_ASSERT(sm_memory_held_bytes() == before);
    sm_image_free(&plain);
}

static void what_is_no_image_is_refused_with_its_path(void)
{
    sm_image image;
    CU_ASSERT(sm_image_read(in_folder("none.png"), 0, &image) == SM_ERR_IO);
    SM_TEST_MESSAGE("none.png: cannot be opened: No such file or directory");
    CU_ASSERT(read_bytes((const uint8_t *)"hello, world", 12, 0, &image) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("some.file: neither PNG nor JPEG");
    CU_ASSERT(read_bytes((const uint8_t *)"", 0, 0, &image) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("some.file: neither PNG nor JPEG");
}

/* Every beginning of a file but the whole is an error, and nothing leaks on the way out. */
static void every_truncation_is_noticed(void)
{
    static const struct {
        const uint8_t *data;
        size_t bytes, first;
        const char *part;
    } files[] = {
        {palette_png, sizeof palette_png, 8, "some.file: damaged PNG: the file is truncated"},
        {interlaced_png, sizeof interlaced_png, 8, "some.file: damaged PNG: the file is truncated"},
        {rgb_jpeg, sizeof rgb_jpeg, 3, "some.file: damaged JPEG: "},
        {grey_jpeg, sizeof grey_jpeg, 3, "some.file: damaged JPEG: "},
        {grey_2_png, sizeof grey_2_png, 8, "some.file: damaged PNG: the file is truncated"},
        {rgba_16_png, sizeof rgba_16_png, 8, "some.file: damaged PNG: the file is truncated"},
        {turned_png, sizeof turned_png, 8, "some.file: damaged PNG: the file is truncated"},
    };
    size_t before = sm_memory_held_bytes();
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        for (size_t bytes = files[f].first; bytes < files[f].bytes; bytes++) {
            sm_image image;
            CU_ASSERT(read_bytes(files[f].data, bytes, 0, &image) == SM_ERR_INPUT);
            SM_TEST_MESSAGE(files[f].part);
            CU_ASSERT(image.pixels == NULL);
        }
    }
    CU_ASSERT(sm_memory_held_bytes() == before);
}

/* PNG's checksums notice a flipped bit; nothing may crash on one in a JPEG. */
static void damage_is_noticed_or_survived(void)
{
    sm_image image;
    uint8_t copy[1024];
    size_t before = sm_memory_held_bytes();
    for (size_t i = 8; i < sizeof palette_png; i++) {
        memcpy(copy, palette_png, sizeof palette_png);
        copy[i] ^= 0x10;
        CU_ASSERT(read_bytes(copy, sizeof palette_png, 0, &image) == SM_ERR_INPUT || i >= sizeof palette_png - 12);
        sm_image_free(&image);
    }
    for (size_t i = 3; i < sizeof rgb_jpeg; i++) {
        memcpy(copy, rgb_jpeg, sizeof rgb_jpeg);
        copy[i] ^= 0x10;
        if (read_bytes(copy, sizeof rgb_jpeg, 0, &image) == SM_OK) {
            sm_image_free(&image);
        }
    }
    CU_ASSERT(sm_memory_held_bytes() == before);
}

/* A header that promises more than is allowed. */
static void sizes_are_bounded(void)
{
    sm_image image;
    uint8_t copy[sizeof rgb_jpeg];
    static const struct {
        uint8_t high_byte;
        const char *message;
    } cases[] = {
        {0xff, "some.file: a JPEG of 65280 x 65280 pixels, at most 65535 a side and 2 GiB in all are allowed"},
        {0x10, "some.file: damaged JPEG: the file is truncated: 4096 x 4096 pixels cannot be in 353 bytes"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int changed = 0;
        memcpy(copy, rgb_jpeg, sizeof copy);
        for (size_t i = 0; i + 9 < sizeof copy; i++) {
            if (copy[i] == 0xff && copy[i + 1] == 0xc0) {
                memcpy(copy + i + 5, (uint8_t[]){cases[k].high_byte, 0, cases[k].high_byte, 0}, 4);
                changed++;
            }
        }
        CU_ASSERT(changed == 1);
        CU_ASSERT(read_bytes(copy, sizeof copy, 0, &image) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(cases[k].message);
    }
    CU_ASSERT(READ(huge_png, 0, &image) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("some.file: damaged PNG: the file is truncated: 16384 x 16384 pixels cannot be in ");
}

/* What libjpeg would do, but at the cost of hours, or hardly anybody writes. */
static void odd_jpegs_are_refused(void)
{
    enum { SCANS = 600, END = 2 };
    sm_image image;
    uint8_t copy[sizeof rgb_jpeg];
    memcpy(copy, rgb_jpeg, sizeof copy);
    for (size_t i = 0; i + 1 < sizeof copy; i++) {
        copy[i + 1] = copy[i] == 0xff && copy[i + 1] == 0xc0 ? 0xc9 : copy[i + 1];
    }
    CU_ASSERT(read_bytes(copy, sizeof copy, 0, &image) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("some.file: a JPEG with arithmetic coding, expected Huffman codes");
    size_t last = 0, bytes = sizeof grey_jpeg - END;
    for (size_t i = 0; i + 1 < sizeof grey_jpeg; i++) {
        last = grey_jpeg[i] == 0xff && grey_jpeg[i + 1] == 0xda ? i : last;
    }
    uint8_t *file = sm_alloc(sizeof grey_jpeg + SCANS * (bytes - last));
    memcpy(file, grey_jpeg, bytes);
    for (int i = 0; i < SCANS; i++, bytes += sizeof grey_jpeg - END - last) {
        memcpy(file + bytes, grey_jpeg + last, sizeof grey_jpeg - END - last);
    }
    memcpy(file + bytes, grey_jpeg + sizeof grey_jpeg - END, END);
    CU_ASSERT(read_bytes(file, bytes + END, 0, &image) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("some.file: damaged JPEG: more than 500 scans");
    sm_free(file);
}

/* As little as a coder can make of an image: nothing that is right may be taken for too large. */
static void the_emptiest_images_are_read(void)
{
    enum { SIDE = 4000 };
    sm_image image = {SIDE, SIDE, 3, 8, sm_alloc_zeroed((size_t)3 * SIDE * SIDE)}, read;
    SM_TEST_OK(sm_image_write_png(&image, in_folder("out.png")));
    SM_TEST_OK(sm_image_read(in_folder("out.png"), 0, &read));
    expect_image(&read, SIDE, SIDE, 3, 8, image.pixels);
    sm_image_free(&image);
}

/* Larger than libpng's buffers, in every kind of sample. */
static void every_sample_of_a_large_image_is_read(void)
{
    enum { HEIGHT = 137, WIDTH = 253 };
    size_t before = sm_memory_held_bytes();
    for (int kind = 0; kind < 4; kind++) {
        int channels = kind % 2 ? 3 : 1, bits = kind / 2 ? 16 : 8;
        size_t bytes = (size_t)HEIGHT * WIDTH * (size_t)(channels * bits / 8);
        uint8_t *pixels = sm_alloc(bytes);
        sm_image read;
        for (size_t i = 0; i < bytes; i++) {
            pixels[i] = (uint8_t)(i * i / 7);
        }
        png_write(in_folder("out.png"), HEIGHT, WIDTH, channels, bits, pixels);
        SM_TEST_OK(sm_image_read(in_folder("out.png"), 0, &read));
        expect_image(&read, HEIGHT, WIDTH, channels, bits, pixels);
        sm_free(pixels);
    }
    CU_ASSERT(sm_memory_held_bytes() == before);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_png_of_any_kind_is_read);
    SM_TEST(a_jpeg_of_grey_or_colour_is_read);
    SM_TEST(exif_orientation_turns_an_image_upright);
    SM_TEST(damaged_exif_data_are_as_none);
    SM_TEST(what_is_no_image_is_refused_with_its_path);
    SM_TEST(every_truncation_is_noticed);
    SM_TEST(damage_is_noticed_or_survived);
    SM_TEST(sizes_are_bounded);
    SM_TEST(odd_jpegs_are_refused);
    SM_TEST(the_emptiest_images_are_read);
    SM_TEST(every_sample_of_a_large_image_is_read);
    return sm_test_end();
}
