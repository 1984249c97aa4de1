#include "data/target_convert.h"

#include <sigmatic/base/half.h>

int64_t sm_target_integer(sm_h5_type type, const void *array, size_t i)
{
    switch (type) {
    case SM_H5_U8:
        return ((const uint8_t *)array)[i];
    case SM_H5_U16:
        return ((const uint16_t *)array)[i];
    case SM_H5_U32:
        return ((const uint32_t *)array)[i];
    case SM_H5_INT16:
        return ((const int16_t *)array)[i];
    case SM_H5_INT32:
        return ((const int32_t *)array)[i];
    default:
        return ((const int64_t *)array)[i];
    }
}

static float real_of(sm_h5_type type, const void *array, size_t i)
{
    return type == SM_H5_HALF     ? sm_float_of_half(((const uint16_t *)array)[i])
           : type == SM_H5_DOUBLE ? (float)((const double *)array)[i]
                                  : ((const float *)array)[i];
}

size_t sm_target_convert(sm_h5_type from, const void *stored, size_t count, int64_t ignored, int64_t ignored_as,
                         sm_h5_type to, void *memory)
{
    int64_t most = to == SM_H5_U8 ? UINT8_MAX : UINT16_MAX;
    for (size_t i = 0; i < count; i++) {
        if (to == SM_H5_FLOAT) {
            ((float *)memory)[i] = real_of(from, stored, i);
            continue;
        }
        int64_t value = sm_target_integer(from, stored, i);
        value = value == ignored ? ignored_as : value;
        if (value < 0 || value > most) {
            return i;
        }
        if (to == SM_H5_U8) {
            ((uint8_t *)memory)[i] = (uint8_t)value;
        } else {
            ((uint16_t *)memory)[i] = (uint16_t)value;
        }
    }
    return count;
}
