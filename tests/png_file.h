/** \file
 * Images for tests. */
#ifndef SIGMATIC_TESTS_PNG_FILE_H
#define SIGMATIC_TESTS_PNG_FILE_H

/** Writes a PNG: (height, width, channels) samples of `bits` bits, 8 or 16 (uint16_t in host order): grey or RGB. */
void png_write(const char *path, int height, int width, int channels, int bits, const void *pixels);

#endif
