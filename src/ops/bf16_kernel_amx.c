/* Tiles of 32 x 32 in four of AMX's eight matrix registers; two more hold half a tile's rows each of one part of A, two
 * half its columns each of B. */
#define _GNU_SOURCE
#if defined(__AMX_BF16__) && defined(__AVX512F__)
#include "ops/bf16_kernel.h"
#include "ops/vectors_avx512.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

enum { LANES = 16, REGISTER_BYTES = 1024, LINE = 64 };

/* ---- the CPU and the system -------------------------------------------------------------------------------------- */

static int allowed;

/* Linux hands out the registers on request, once a process. */
static void request(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
    unsigned a, b, c, d;
    allowed = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bf16") &&
              __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & AMX_BF16) && (d & AMX_TILE) &&
              syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static int supported(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, request);
    return allowed;
}

/* ---- the product ------------------------------------------------------------------------------------------------- */

typedef struct tile_configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_configuration;

static void begin(void)
{
    static const tile_configuration all_whole = {
        .palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&all_whole);
}

static void end(void)
{
    _tile_release();
}

/* Registers 0-3: C, 4-5: A, 6-7: B. `tall`, `wide`: the second 16 rows, the second 16 columns exist. */
#define LOAD_A(PART)                                                                                                   \
    do {                                                                                                               \
        _tile_loadd(4, upper + (PART)*LINE, a->stride);                                                                \
        if (tall) {                                                                                                    \
            _tile_loadd(5, lower + (PART)*LINE, a->stride);                                                            \
        }                                                                                                              \
    } while (0)
#define LOAD_B(PART)                                                                                                   \
    do {                                                                                                               \
        _tile_loadd(6, b + (PART)*2 * REGISTER_BYTES, LINE);                                                           \
        if (wide) {                                                                                                    \
            _tile_loadd(7, b + (PART)*2 * REGISTER_BYTES + REGISTER_BYTES, LINE);                                      \
        }                                                                                                              \
    } while (0)
#define MULTIPLY()                                                                                                     \
    do {                                                                                                               \
        _tile_dpbf16ps(0, 4, 6);                                                                                       \
        if (wide) {                                                                                                    \
            _tile_dpbf16ps(1, 4, 7);                                                                                   \
        }                                                                                                              \
        if (tall) {                                                                                                    \
            _tile_dpbf16ps(2, 5, 6);                                                                                   \
        }                                                                                                              \
        if (tall && wide) {                                                                                            \
            _tile_dpbf16ps(3, 5, 7);                                                                                   \
        }                                                                                                              \
    } while (0)

/* Registers 0-3 to memory, rows `stride` bytes apart, or back. */
#define EACH_C(MOVE)                                                                                                   \
    do {                                                                                                               \
        MOVE(0, tile, stride);                                                                                         \
        if (wide) {                                                                                                    \
            MOVE(1, tile + LANES, stride);                                                                             \
        }                                                                                                              \
        if (tall) {                                                                                                    \
            MOVE(2, (char *)tile + 16 * stride, stride);                                                               \
        }                                                                                                              \
        if (tall && wide) {                                                                                            \
            MOVE(3, (char *)(tile + LANES) + 16 * stride, stride);                                                     \
        }                                                                                                              \
    } while (0)

static inline __attribute__((always_inline)) const char *
multiply_piece(const int count, const int tall, const int wide, const sm_bf16_factor *a, int piece, const char *b)
{
    const char *upper = a->half[piece][0], *lower = a->half[piece][1];
    for (int k = 0; k < a->depth; k += SM_BF16_STEPS) {
        LOAD_A(0);
        if (count == 3) {
            LOAD_B(2);
            MULTIPLY();
            LOAD_B(1);
            MULTIPLY();
        }
        LOAD_B(0);
        MULTIPLY();
        if (count == 3) {
            LOAD_A(2);
            MULTIPLY();
            LOAD_A(1);
            MULTIPLY();
            LOAD_B(1);
            MULTIPLY();
        }
        upper += count * LINE;
        lower += count * LINE;
        b += (size_t)count * 2 * REGISTER_BYTES;
    }
    return b;
}

static inline __attribute__((always_inline)) void multiply_tile(const int count, const int tall, const int wide,
                                                                const sm_bf16_factor *a, const char *b, float *tile,
                                                                size_t stride, int accumulate)
{
    if (accumulate) {
        __asm__ volatile("" ::: "memory"); /* the compiler does not know that loads of registers read memory */
        EACH_C(_tile_loadd);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int piece = 0; piece < a->count; piece++) {
        b = multiply_piece(count, tall, wide, a, piece, b);
    }
    EACH_C(_tile_stored);
}

/* Copies what of the tile is in the result, and back. */
static void fetch_tile(int rows, int columns, float *tile, float *const *c, size_t offset)
{
    __mmask16 mask[2] = {sm_lanes(columns), sm_lanes(columns - LANES)};
    for (int i = 0; i < SM_BF16_ROWS; i++) {
        for (int half = 0; half < 2; half++) {
            __m512 old =
                i < rows ? _mm512_maskz_loadu_ps(mask[half], c[i] + offset + half * LANES) : _mm512_setzero_ps();
            _mm512_store_ps(tile + i * SM_BF16_COLUMNS + half * LANES, old);
        }
    }
}

static void put_tile(int rows, int columns, const float *tile, float *const *c, size_t offset)
{
    __mmask16 mask[2] = {sm_lanes(columns), sm_lanes(columns - LANES)};
    for (int i = 0; i < rows; i++) {
        for (int half = 0; half < 2; half++) {
            _mm512_mask_storeu_ps(c[i] + offset + half * LANES, mask[half],
                                  _mm512_load_ps(tile + i * SM_BF16_COLUMNS + half * LANES));
        }
    }
}

static int is_evenly_spaced(int rows, float *const *c, ptrdiff_t stride)
{
    for (int i = 1; i < rows; i++) {
        if (c[i] - c[i - 1] != stride) {
            return 0;
        }
    }
    return 1;
}

static inline __attribute__((always_inline)) void multiply_of_size(const int count, int tall, int wide,
                                                                   const sm_bf16_factor *a, const char *b, float *tile,
                                                                   size_t stride, int accumulate)
{
    if (tall && wide) {
        multiply_tile(count, 1, 1, a, b, tile, stride, accumulate);
    } else if (tall) {
        multiply_tile(count, 1, 0, a, b, tile, stride, accumulate);
    } else if (wide) {
        multiply_tile(count, 0, 1, a, b, tile, stride, accumulate);
    } else {
        multiply_tile(count, 0, 0, a, b, tile, stride, accumulate);
    }
}

/* Whole tiles of evenly spaced rows go to and from the result directly, others by way of a copy. Both begin from what
 * is there: which of the two a row meets depends on the batch and the threads, and its bits must not. */
static void multiply_amx(int count, int rows, int columns, const sm_bf16_factor *a, const char *b, float *const *c,
                         size_t offset, int accumulate)
{
    _Alignas(LINE) float aside[SM_BF16_ROWS * SM_BF16_COLUMNS];
    int tall = rows > 16, wide = columns > LANES;
    int is_direct = rows % 16 == 0 && columns % LANES == 0 && is_evenly_spaced(rows, c, c[1] - c[0]);
    float *tile = is_direct ? c[0] + offset : aside;
    size_t stride = is_direct ? (size_t)(c[1] - c[0]) * sizeof(float) : SM_BF16_COLUMNS * sizeof(float);
    for (int i = 0; i < rows; i++) {
        _mm_prefetch(c[i] + offset, _MM_HINT_T0);
        _mm_prefetch(c[i] + offset + LANES, _MM_HINT_T0);
    }
    if (accumulate && !is_direct) {
        fetch_tile(rows, columns, aside, c, offset);
    }
    if (count == 1) {
        multiply_of_size(1, tall, wide, a, b, tile, stride, accumulate);
    } else {
        multiply_of_size(3, tall, wide, a, b, tile, stride, accumulate);
    }
    if (!is_direct) {
        put_tile(rows, columns, aside, c, offset);
    }
}

const sm_bf16_kernel sm_bf16_kernel_amx = {.name = "amx",
                                           .parts_max = SM_BF16_PARTS_MAX,
                                           .supported = supported,
                                           .begin = begin,
                                           .end = end,
                                           .pack_rows = sm_bf16_pack_rows_avx512,
                                           .pack_rows_transposed = sm_bf16_pack_rows_transposed_avx512,
                                           .pack_columns = sm_bf16_pack_columns_avx512,
                                           .multiply = multiply_amx};
#endif
