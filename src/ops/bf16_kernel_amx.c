/* Tiles of 32 x 32 in four of AMX's eight matrix registers; two more hold half a tile's rows each of one part of A, two
 * half its columns each of B. */
#define _GNU_SOURCE
#if (defined(__AMX_BF16__) || defined(__AMXBF16__)) && defined(__AVX512F__) /* older clang says it in one word */
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
        _tile_loadd(4, upper + (PART)*LINE, stride);                                                                   \
        if (tall) {                                                                                                    \
            _tile_loadd(5, lower + (PART)*LINE, stride);                                                               \
        }                                                                                                              \
    } while (0)
#define LOAD_B(PART)                                                                                                   \
    do {                                                                                                               \
        _tile_loadd(6, b + (PART)*2 * REGISTER_BYTES, LINE);                                                           \
        if (wide) {                                                                                                    \
            _tile_loadd(7, b + (PART)*2 * REGISTER_BYTES + REGISTER_BYTES, LINE);                                      \
        }                                                                                                              \
    } while (0)

/* Between the products of some steps, lines of the next ones are requested. On a machine shared with others the matrix
 * unit is slow at times (2 fifths of its speed); loads of registers and products then do not overlap, and a line from L2
 * costs twice one from L1: a third of the time. */
static inline __attribute__((always_inline)) void request_lines(const char *from, size_t stride, int rows, int lines)
{
    for (int i = 0; i < rows; i++) {
        for (int line = 0; line < lines; line++) {
            _mm_prefetch(from + line * LINE, _MM_HINT_T0);
        }
        from += stride;
    }
}

/* A quarter of what the next steps read: of both halves of A; of both halves of a part of B. */
#define NEXT_A(QUARTER)                                                                                                \
    do {                                                                                                               \
        if ((QUARTER) < 2 || tall) {                                                                                   \
            request_lines(((QUARTER) < 2 ? next.half[0] : next.half[1]) + (QUARTER) % 2 * (LANES / 2) * stride,        \
                          stride, LANES / 2, count);                                                                   \
        }                                                                                                              \
    } while (0)
#define NEXT_B(PART, QUARTER)                                                                                          \
    do {                                                                                                               \
        if ((QUARTER) < 2 || wide) {                                                                                   \
            request_lines(next.columns + ((PART)*4 + (QUARTER)) * (REGISTER_BYTES / 2), LINE,                          \
                          REGISTER_BYTES / 2 / LINE, 1);                                                               \
        }                                                                                                              \
    } while (0)
#define NEXT_B0(QUARTER) NEXT_B(0, QUARTER)
#define NEXT_B1(QUARTER) NEXT_B(1, QUARTER)
#define NEXT_B2(QUARTER) NEXT_B(2, QUARTER)
#define NOTHING(QUARTER)                                                                                               \
    do {                                                                                                               \
    } while (0)

#define MULTIPLY(REQUEST)                                                                                              \
    do {                                                                                                               \
        _tile_dpbf16ps(0, 4, 6);                                                                                       \
        REQUEST(0);                                                                                                    \
        if (wide) {                                                                                                    \
            _tile_dpbf16ps(1, 4, 7);                                                                                   \
        }                                                                                                              \
        REQUEST(1);                                                                                                    \
        if (tall) {                                                                                                    \
            _tile_dpbf16ps(2, 5, 6);                                                                                   \
        }                                                                                                              \
        REQUEST(2);                                                                                                    \
        if (tall && wide) {                                                                                            \
            _tile_dpbf16ps(3, 5, 7);                                                                                   \
        }                                                                                                              \
        REQUEST(3);                                                                                                    \
    } while (0)

/* Where registers 0-3 go: rows `stride` bytes apart, the two halves of the rows anywhere. */
typedef struct tile_place {
    float *half[2];
    size_t stride;
} tile_place;

/* Registers 0-3 to memory, or back. */
#define EACH_C(MOVE)                                                                                                   \
    do {                                                                                                               \
        MOVE(0, to->half[0], to->stride);                                                                              \
        if (wide) {                                                                                                    \
            MOVE(1, to->half[0] + LANES, to->stride);                                                                  \
        }                                                                                                              \
        if (tall) {                                                                                                    \
            MOVE(2, to->half[1], to->stride);                                                                          \
        }                                                                                                              \
        if (tall && wide) {                                                                                            \
            MOVE(3, to->half[1] + LANES, to->stride);                                                                  \
        }                                                                                                              \
    } while (0)

/* `after`: the piece that follows; any, if none does. */
static inline __attribute__((always_inline)) void multiply_piece(const int count, const int tall, const int wide,
                                                                 const sm_bf16_piece *piece, const sm_bf16_piece *after,
                                                                 int depth, size_t stride)
{
    const size_t columns_bytes = (size_t)count * 2 * REGISTER_BYTES;
    const char *upper = piece->half[0], *lower = piece->half[1], *b = piece->columns;
    for (int k = 0; k < depth; k += SM_BF16_STEPS) {
        sm_bf16_piece next = {{upper + count * LINE, lower + count * LINE}, b + columns_bytes};
        if (k + SM_BF16_STEPS >= depth) {
            next = *after;
        }
        LOAD_A(0);
        if (count == 1) { /* too few products to hide requests of both factors */
            LOAD_B(0);
            MULTIPLY(NEXT_B0);
        } else if (count == 2) {
            LOAD_B(1);
            MULTIPLY(NEXT_A);
            LOAD_B(0);
            MULTIPLY(NEXT_B0);
            LOAD_A(1);
            MULTIPLY(NEXT_B1);
        } else {
            LOAD_B(2);
            MULTIPLY(NEXT_A);
            LOAD_B(1);
            MULTIPLY(NEXT_B0);
            LOAD_B(0);
            MULTIPLY(NEXT_B1);
            LOAD_A(2);
            MULTIPLY(NEXT_B2);
            LOAD_A(1);
            MULTIPLY(NOTHING);
            LOAD_B(1);
            MULTIPLY(NOTHING);
        }
        upper += count * LINE;
        lower += count * LINE;
        b += columns_bytes;
    }
}

static inline __attribute__((always_inline)) void multiply_tile(const int count, const int tall, const int wide,
                                                                const sm_bf16_factors *factors, const tile_place *to,
                                                                int accumulate)
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
    for (int piece = 0; piece < factors->count; piece++) {
        const sm_bf16_piece *now = &factors->piece[piece];
        multiply_piece(count, tall, wide, now, piece + 1 < factors->count ? now + 1 : now, factors->depth,
                       factors->stride);
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

/* \return 1 if both halves' rows are `stride` floats apart */
static int is_evenly_spaced(int rows, float *const *c, ptrdiff_t stride)
{
    for (int i = 1; i < rows; i++) {
        if (i != SM_BF16_HALF_ROWS && c[i] - c[i - 1] != stride) {
            return 0;
        }
    }
    return 1;
}

static inline __attribute__((always_inline)) void multiply_of_size(const int count, int tall, int wide,
                                                                   const sm_bf16_factors *factors, const tile_place *to,
                                                                   int accumulate)
{
    if (tall && wide) {
        multiply_tile(count, 1, 1, factors, to, accumulate);
    } else if (tall) {
        multiply_tile(count, 1, 0, factors, to, accumulate);
    } else if (wide) {
        multiply_tile(count, 0, 1, factors, to, accumulate);
    } else {
        multiply_tile(count, 0, 0, factors, to, accumulate);
    }
}

/* Whole halves of evenly spaced rows go to and from the result directly, others by way of a copy. Both begin from what
 * is there: which of the two a row meets depends on the batch and the threads, and its bits must not. */
static void multiply_amx(int count, int rows, int columns, const sm_bf16_factors *factors, float *const *c,
                         size_t offset, int accumulate)
{
    _Alignas(LINE) float aside[SM_BF16_ROWS * SM_BF16_COLUMNS];
    int tall = rows > SM_BF16_HALF_ROWS, wide = columns > LANES;
    int is_direct = rows % SM_BF16_HALF_ROWS == 0 && columns % LANES == 0 && is_evenly_spaced(rows, c, c[1] - c[0]);
    tile_place to = {{aside, aside + SM_BF16_HALF_ROWS * SM_BF16_COLUMNS}, SM_BF16_COLUMNS * sizeof(float)};
    for (int i = 0; i < rows; i++) {
        _mm_prefetch(c[i] + offset, _MM_HINT_T0);
        _mm_prefetch(c[i] + offset + LANES, _MM_HINT_T0);
    }
    if (is_direct) {
        to = (tile_place){{c[0] + offset, tall ? c[SM_BF16_HALF_ROWS] + offset : NULL},
                          (size_t)(c[1] - c[0]) * sizeof(float)};
    } else if (accumulate) {
        fetch_tile(rows, columns, aside, c, offset);
    }
    if (count == 1) {
        multiply_of_size(1, tall, wide, factors, &to, accumulate);
    } else if (count == 2) {
        multiply_of_size(2, tall, wide, factors, &to, accumulate);
    } else {
        multiply_of_size(3, tall, wide, factors, &to, accumulate);
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
                                           .multiply = multiply_amx,
                                           .round_rows = sm_bf16_round_rows_avx512};
#endif
