/* Targets that a file stores in wider types, to what they are in memory. */
#ifndef DATA_TARGET_CONVERT_H
#define DATA_TARGET_CONVERT_H

#include <sigmatic/io/h5.h>

#include <stddef.h>
#include <stdint.h>

/* Converts `count` numbers: integers to u8 or u16, floating point to float (rounded to nearest).
 * \param ignored  an integer that becomes `ignored_as`, whatever its size
 * \return `count`, or the place of the first integer that does not fit */
size_t sm_target_convert(sm_h5_type from, const void *stored, size_t count, int64_t ignored, int64_t ignored_as,
                         sm_h5_type to, void *memory);

/* \return number `i` of an array of integers. */
int64_t sm_target_integer(sm_h5_type type, const void *array, size_t i);

#endif
