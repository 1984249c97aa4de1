/** \file
 * The order of a number's bytes in memory. */
#ifndef SIGMATIC_BASE_BYTE_ORDER_H
#define SIGMATIC_BASE_BYTE_ORDER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \return 1 if this processor stores the lowest byte first. */
static inline int sm_host_is_little(void)
{
    const uint16_t probe = 1;
    return *(const uint8_t *)&probe == 1;
}

#ifdef __cplusplus
}
#endif
#endif
