#include "train/tensor_checksum.h"

#include <sigmatic/base/checksum.h>

#include <string.h>

static const char ATTRIBUTE[] = "crc32c";

sm_status sm_tensor_write_checksum(sm_h5 *file, const char *object, const void *values, size_t bytes)
{
    return sm_h5_write_attribute_int64(file, object, ATTRIBUTE, sm_crc32c(0, values, bytes));
}

sm_status sm_tensor_check(const sm_h5 *file, const char *object, const void *values, size_t bytes)
{
    sm_status status = SM_OK;
    int64_t expected;
    if (sm_h5_has_attribute(file, object, ATTRIBUTE)) {
        SM_TRY(sm_h5_read_attribute_int64(file, object, ATTRIBUTE, &expected));
        uint32_t found = sm_crc32c(0, values, bytes);
        if (found != (uint32_t)expected) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s is damaged: checksum %08x expected, %08x found", sm_h5_path(file),
                           object, (unsigned)expected, (unsigned)found));
        }
    }
done:
    return status;
}

/* A number with all bits of its exponent set is infinite or none. Without a branch, so that many are looked at at once. */
int sm_tensor_is_finite(const float *values, size_t count)
{
    const uint32_t exponent = 0x7f800000;
    uint32_t broken = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        broken |= (bits & exponent) == exponent;
    }
    return !broken;
}
