#include <sigmatic/base/checksum.h>

#include <string.h>

/* Slicing by 8 (Kounavis and Berry, ISCC 2005): tables[k][b] is the checksum of byte b followed by k zero bytes, so that
 * eight bytes are looked up independently of each other and their results xored. */
enum { SLICES = 8 };

static const uint32_t polynomial_reflected = 0x82F63B78;
static uint32_t tables[SLICES][256];

/* Before main(), so that threads need no agreement on who does it. */
__attribute__((constructor)) static void fill_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? polynomial_reflected : 0);
        }
        tables[0][byte] = crc;
    }
    for (int slice = 1; slice < SLICES; slice++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = tables[slice - 1][byte];
            tables[slice][byte] = before >> 8 ^ tables[0][before & 255];
        }
    }
}

static uint32_t little_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint32_t sm_crc32c_ref(uint32_t crc, const void *data, size_t bytes)
{
    const uint8_t *next = data;
    crc = ~crc;
    for (; bytes >= SLICES; bytes -= SLICES, next += SLICES) {
        uint32_t low = crc ^ little_endian(next), high = little_endian(next + 4);
        crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
              tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^ tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
    }
    for (; bytes > 0; bytes--, next++) {
        crc = crc >> 8 ^ tables[0][(crc ^ *next) & 255];
    }
    return ~crc;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <nmmintrin.h>

/* One stream: the instruction's latency of 3 cycles bounds it to 8 bytes in 3 cycles, well above any disk. */
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t bytes)
{
    const uint8_t *next = data;
    uint64_t state = (uint32_t)~crc;
    for (; bytes >= 8; bytes -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        state = _mm_crc32_u64(state, word);
    }
    for (; bytes > 0; bytes--, next++) {
        state = _mm_crc32_u8((uint32_t)state, *next);
    }
    return ~(uint32_t)state;
}

uint32_t sm_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, data, bytes) : sm_crc32c_ref(crc, data, bytes);
}
#else
uint32_t sm_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    return sm_crc32c_ref(crc, data, bytes);
}
#endif
