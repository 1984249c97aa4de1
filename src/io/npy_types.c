/* What .npy files are made of: types, their names, and their numbers as others. */
#include "io/npy_private.h"

#include <sigmatic/base/half.h>

#include <math.h>

#define INTEGER_ROW(type)                                                                                              \
    static float float_of_##type(const void *data, size_t i)                                                           \
    {                                                                                                                  \
        return (float)((const type *)data)[i];                                                                         \
    }                                                                                                                  \
    static int integer_of_##type(const void *data, size_t i, int64_t *value)                                           \
    {                                                                                                                  \
        *value = (int64_t)((const type *)data)[i];                                                                     \
        return 1;                                                                                                      \
    }
INTEGER_ROW(int8_t)
INTEGER_ROW(uint8_t)
INTEGER_ROW(int16_t)
INTEGER_ROW(uint16_t)
INTEGER_ROW(int32_t)
INTEGER_ROW(uint32_t)
INTEGER_ROW(int64_t)

/* \return whether the number is whole and fits. */
static int integer_of_real(double number, int64_t *value)
{
    const double limit = 0x1p63;
    if (!(number >= -limit && number < limit && number == floor(number))) {
        return 0;
    }
    *value = (int64_t)number;
    return 1;
}

static float float_of_uint64_t(const void *data, size_t i)
{
    return (float)((const uint64_t *)data)[i];
}

static int integer_of_uint64_t(const void *data, size_t i, int64_t *value)
{
    uint64_t number = ((const uint64_t *)data)[i];
    *value = (int64_t)(number & INT64_MAX);
    return number <= INT64_MAX;
}

static float float_of_half(const void *data, size_t i)
{
    return sm_float_of_half(((const uint16_t *)data)[i]);
}

static float float_of_float(const void *data, size_t i)
{
    return ((const float *)data)[i];
}

static float float_of_double(const void *data, size_t i)
{
    return (float)((const double *)data)[i];
}

static int integer_of_half(const void *data, size_t i, int64_t *value)
{
    return integer_of_real((double)float_of_half(data, i), value);
}

static int integer_of_float(const void *data, size_t i, int64_t *value)
{
    return integer_of_real((double)((const float *)data)[i], value);
}

static int integer_of_double(const void *data, size_t i, int64_t *value)
{
    return integer_of_real(((const double *)data)[i], value);
}

const sm_npy_type_row sm_npy_types[] = {
    [SM_NPY_BOOL] = {"bool", "b1", 1, float_of_uint8_t, integer_of_uint8_t},
    [SM_NPY_I8] = {"int8", "i1", 1, float_of_int8_t, integer_of_int8_t},
    [SM_NPY_U8] = {"uint8", "u1", 1, float_of_uint8_t, integer_of_uint8_t},
    [SM_NPY_I16] = {"int16", "i2", 2, float_of_int16_t, integer_of_int16_t},
    [SM_NPY_U16] = {"uint16", "u2", 2, float_of_uint16_t, integer_of_uint16_t},
    [SM_NPY_I32] = {"int32", "i4", 4, float_of_int32_t, integer_of_int32_t},
    [SM_NPY_U32] = {"uint32", "u4", 4, float_of_uint32_t, integer_of_uint32_t},
    [SM_NPY_I64] = {"int64", "i8", 8, float_of_int64_t, integer_of_int64_t},
    [SM_NPY_U64] = {"uint64", "u8", 8, float_of_uint64_t, integer_of_uint64_t},
    [SM_NPY_F16] = {"float16", "f2", 2, float_of_half, integer_of_half},
    [SM_NPY_F32] = {"float32", "f4", 4, float_of_float, integer_of_float},
    [SM_NPY_F64] = {"float64", "f8", 8, float_of_double, integer_of_double},
};

const int sm_npy_type_count = sizeof sm_npy_types / sizeof *sm_npy_types;

const char *sm_npy_type_name(sm_npy_type type)
{
    return sm_npy_types[type].name;
}
