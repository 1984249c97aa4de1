/** \file
 * CRC-32C (Castagnoli), the checksum of stored samples and tensors. */
#ifndef SIGMATIC_BASE_CHECKSUM_H
#define SIGMATIC_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \return the CRC-32C of what `crc` covers (0: nothing yet) followed by `bytes` bytes; "123456789" gives 0xE3069283.
 * Polynomial 0x1EDC6F41, reflected, initial value and final xor 0xFFFFFFFF (RFC 3720, appendix B.4). Thread-safe. */
uint32_t sm_crc32c(uint32_t crc, const void *data, size_t bytes);

/** The same by tables alone, whatever the CPU has: what sm_crc32c() is compared with. */
uint32_t sm_crc32c_ref(uint32_t crc, const void *data, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
