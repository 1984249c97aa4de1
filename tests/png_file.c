#include "png_file.h"

#include "harness.h"

#include <sigmatic/io/image.h>

void png_write(const char *path, int height, int width, int channels, int bits, const void *pixels)
{
    sm_image image = {height, width, channels, bits, (void *)pixels};
    SM_TEST_OK(sm_image_write_png(&image, path));
}
