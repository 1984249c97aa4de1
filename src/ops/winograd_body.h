/* The transforms, for vectors of LANES floats: included by one file an instruction set, which defines LANES. Plain C
 * on the compiler's vector type; the loops over points unroll because m is a constant of each inlined body. */
#include "ops/winograd.h"

#include <string.h>

typedef float vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

enum { TAPS = 3, MAX_TILE = 4, MAX_SIZE = 6 };

/* ---- one dimension: each reads elements `s` apart and writes elements `q` apart ---------------------------------- */

/* B^T d */
INLINE void input_line(const int m, const vector *d, int s, vector *t, int q)
{
    if (m == 4) {
        vector a = d[4 * s] - 4.f * d[2 * s], b = d[3 * s] - 4.f * d[s];
        vector e = d[4 * s] - d[2 * s], f = 2.f * (d[3 * s] - d[s]);
        t[0] = 4.f * d[0] - 5.f * d[2 * s] + d[4 * s];
        t[q] = a + b;
        t[2 * q] = a - b;
        t[3 * q] = e + f;
        t[4 * q] = e - f;
        t[5 * q] = 4.f * d[s] - 5.f * d[3 * s] + d[5 * s];
    } else {
        t[0] = d[0] - d[2 * s];
        t[q] = d[s] + d[2 * s];
        t[2 * q] = d[2 * s] - d[s];
        t[3 * q] = d[s] - d[3 * s];
    }
}

/* A^T p */
INLINE void output_line(const int m, const vector *p, int s, vector *y, int q)
{
    vector a = p[s] + p[2 * s], b = p[s] - p[2 * s];
    if (m == 4) {
        vector e = p[3 * s] + p[4 * s], f = p[3 * s] - p[4 * s];
        y[0] = p[0] + a + e;
        y[q] = b + 2.f * f;
        y[2 * q] = a + 4.f * e;
        y[3 * q] = b + 8.f * f + p[5 * s];
    } else {
        y[0] = p[0] + a;
        y[q] = b - p[3 * s];
    }
}

/* A y */
INLINE void grad_line(const int m, const vector *y, int s, vector *t, int q)
{
    if (m == 4) {
        vector a = y[0] + y[2 * s], b = y[s] + y[3 * s];
        vector e = y[0] + 4.f * y[2 * s], f = 2.f * y[s] + 8.f * y[3 * s];
        t[0] = y[0];
        t[q] = a + b;
        t[2 * q] = a - b;
        t[3 * q] = e + f;
        t[4 * q] = e - f;
        t[5 * q] = y[3 * s];
    } else {
        t[0] = y[0];
        t[q] = y[0] + y[s];
        t[2 * q] = y[0] - y[s];
        t[3 * q] = -y[s];
    }
}

/* G g */
INLINE void weight_line(const int m, const vector *g, int s, vector *u, int q)
{
    if (m == 4) {
        vector a = (g[0] + g[2 * s]) * (-1.f / 6), b = g[s] * (-1.f / 6);
        vector e = (g[0] + 4.f * g[2 * s]) * (1.f / 24), f = g[s] * (1.f / 12);
        u[0] = g[0] * .25f;
        u[q] = a + b;
        u[2 * q] = a - b;
        u[3 * q] = e + f;
        u[4 * q] = e - f;
        u[5 * q] = g[2 * s];
    } else {
        vector a = .5f * (g[0] + g[2 * s]), b = .5f * g[s];
        u[0] = g[0];
        u[q] = a + b;
        u[2 * q] = a - b;
        u[3 * q] = g[2 * s];
    }
}

/* G^T u */
INLINE void grad_weight_line(const int m, const vector *u, int s, vector *g, int q)
{
    if (m == 4) {
        vector a = (u[s] + u[2 * s]) * (1.f / 6), b = u[3 * s] + u[4 * s];
        g[0] = .25f * u[0] - a + b * (1.f / 24);
        g[q] = (u[2 * s] - u[s]) * (1.f / 6) + (u[3 * s] - u[4 * s]) * (1.f / 12);
        g[2 * q] = b * (1.f / 6) - a + u[5 * s];
    } else {
        vector a = .5f * (u[s] + u[2 * s]);
        g[0] = u[0] + a;
        g[q] = .5f * (u[s] - u[2 * s]);
        g[2 * q] = a + u[3 * s];
    }
}

/* ---- channels beside a multiple of LANES ------------------------------------------------------------------------- */

INLINE vector load(const float *from, int count)
{
    if (count >= LANES) {
        return *(const vector *)from;
    }
    vector value = {0};
    memcpy(&value, from, (size_t)count * sizeof *from);
    return value;
}

INLINE void store(float *to, int count, vector value)
{
    if (count >= LANES) {
        *(vector *)to = value;
    } else {
        memcpy(to, &value, (size_t)count * sizeof *to);
    }
}

/* ---- two dimensions, LANES channels: `count` of them are there ---------------------------------------------------
 * First the columns, one after the other, to an array that stays in L1; then its rows. The results go to lines that no
 * longer are in L1: asked for before, they come together while the columns are computed. */

INLINE void ask_for_points(const int m, const float *out, size_t point_stride)
{
    const int points = (m + 2) * (m + 2);
#pragma GCC unroll 36
    for (int point = 0; point < points; point++) {
        __builtin_prefetch(out + point * point_stride, 1);
    }
}

INLINE void input_group(const int m, const float *const *pixels, int channel, int count, float *out,
                        size_t point_stride)
{
    const int n = m + 2;
    vector half[MAX_SIZE * MAX_SIZE];
    ask_for_points(m, out + channel, point_stride);
#pragma GCC unroll 6
    for (int j = 0; j < n; j++) {
        vector column[MAX_SIZE];
#pragma GCC unroll 6
        for (int i = 0; i < n; i++) {
            column[i] = load(pixels[i * n + j] + channel, count);
        }
        input_line(m, column, 1, half + j, n);
    }
#pragma GCC unroll 6
    for (int i = 0; i < n; i++) {
        vector row[MAX_SIZE];
        input_line(m, half + i * n, 1, row, 1);
#pragma GCC unroll 6
        for (int j = 0; j < n; j++) {
            *(vector *)(out + (i * n + j) * point_stride + channel) = row[j];
        }
    }
}

INLINE void output_group(const int m, const float *in, size_t point_stride, int channel, int count, const float *bias,
                         int accumulate, float *const *pixels)
{
    const int n = m + 2;
    vector half[MAX_TILE * MAX_SIZE];
    vector shift = bias ? load(bias + channel, count) : (vector){0};
#pragma GCC unroll 6
    for (int j = 0; j < n; j++) {
        vector column[MAX_SIZE];
#pragma GCC unroll 6
        for (int i = 0; i < n; i++) {
            column[i] = *(const vector *)(in + (i * n + j) * point_stride + channel);
        }
        output_line(m, column, 1, half + j, n);
    }
#pragma GCC unroll 4
    for (int i = 0; i < m; i++) {
        vector row[MAX_TILE];
        output_line(m, half + i * n, 1, row, 1);
#pragma GCC unroll 4
        for (int j = 0; j < m; j++) {
            float *pixel = pixels[i * m + j];
            if (pixel) {
                vector old = accumulate ? load(pixel + channel, count) : (vector){0};
                store(pixel + channel, count, old + (row[j] + shift));
            }
        }
    }
}

INLINE void grad_group(const int m, const float *const *pixels, int channel, int count, float *out, size_t point_stride)
{
    const int n = m + 2;
    vector half[MAX_SIZE * MAX_TILE];
    ask_for_points(m, out, point_stride);
#pragma GCC unroll 4
    for (int j = 0; j < m; j++) {
        vector column[MAX_TILE];
#pragma GCC unroll 4
        for (int i = 0; i < m; i++) {
            column[i] = load(pixels[i * m + j] + channel, count);
        }
        grad_line(m, column, 1, half + j, m);
    }
#pragma GCC unroll 6
    for (int i = 0; i < n; i++) {
        vector row[MAX_SIZE];
        grad_line(m, half + i * m, 1, row, 1);
#pragma GCC unroll 6
        for (int j = 0; j < n; j++) {
            *(vector *)(out + (i * n + j) * point_stride) = row[j];
        }
    }
}

INLINE void weight_group(const int m, const float *weight, size_t tap_stride, int count, float *out,
                         size_t point_stride)
{
    const int n = m + 2;
    vector half[MAX_SIZE * TAPS];
    ask_for_points(m, out, point_stride);
#pragma GCC unroll 3
    for (int j = 0; j < TAPS; j++) {
        vector column[TAPS];
#pragma GCC unroll 3
        for (int i = 0; i < TAPS; i++) {
            column[i] = load(weight + (i * TAPS + j) * tap_stride, count);
        }
        weight_line(m, column, 1, half + j, TAPS);
    }
#pragma GCC unroll 6
    for (int i = 0; i < n; i++) {
        vector row[MAX_SIZE];
        weight_line(m, half + i * TAPS, 1, row, 1);
#pragma GCC unroll 6
        for (int j = 0; j < n; j++) {
            *(vector *)(out + (i * n + j) * point_stride) = row[j];
        }
    }
}

INLINE void grad_weight_group(const int m, const float *in, size_t point_stride, int count, int accumulate,
                              float *result, size_t tap_stride)
{
    const int n = m + 2;
    vector half[TAPS * MAX_SIZE];
#pragma GCC unroll 6
    for (int j = 0; j < n; j++) {
        vector column[MAX_SIZE];
#pragma GCC unroll 6
        for (int i = 0; i < n; i++) {
            column[i] = *(const vector *)(in + (i * n + j) * point_stride);
        }
        grad_weight_line(m, column, 1, half + j, n);
    }
#pragma GCC unroll 3
    for (int i = 0; i < TAPS; i++) {
        vector row[TAPS];
        grad_weight_line(m, half + i * n, 1, row, 1);
#pragma GCC unroll 3
        for (int j = 0; j < TAPS; j++) {
            float *to = result + (i * TAPS + j) * tap_stride;
            vector old = accumulate ? load(to, count) : (vector){0};
            store(to, count, old + row[j]);
        }
    }
}

/* ---- all channels ------------------------------------------------------------------------------------------------ */

INLINE void input_tile(const int m, const float *const *pixels, int channels, float *out, size_t point_stride)
{
    int channel = 0;
    for (; channel + LANES <= channels; channel += LANES) {
        input_group(m, pixels, channel, LANES, out, point_stride);
    }
    if (channel < channels) {
        input_group(m, pixels, channel, channels - channel, out, point_stride);
    }
}

INLINE void output_tile(const int m, const float *in, size_t point_stride, int channels, const float *bias,
                        int accumulate, float *const *pixels)
{
    int channel = 0;
    for (; channel + LANES <= channels; channel += LANES) {
        output_group(m, in, point_stride, channel, LANES, bias, accumulate, pixels);
    }
    if (channel < channels) {
        output_group(m, in, point_stride, channel, channels - channel, bias, accumulate, pixels);
    }
}

INLINE void grad_tile(const int m, const float *const *pixels, int channels, float *out, size_t point_stride)
{
    int channel = 0;
    for (; channel + LANES <= channels; channel += LANES) {
        grad_group(m, pixels, channel, LANES, out + channel, point_stride);
    }
    if (channel < channels) {
        grad_group(m, pixels, channel, channels - channel, out + channel, point_stride);
    }
}

INLINE void weight_row(const int m, const float *weight, size_t tap_stride, int channels, float *out,
                       size_t point_stride)
{
    int channel = 0;
    for (; channel + LANES <= channels; channel += LANES) {
        weight_group(m, weight + channel, tap_stride, LANES, out + channel, point_stride);
    }
    if (channel < channels) {
        weight_group(m, weight + channel, tap_stride, channels - channel, out + channel, point_stride);
    }
}

INLINE void grad_weight_row(const int m, const float *in, size_t point_stride, int channels, int accumulate,
                            float *result, size_t tap_stride)
{
    int channel = 0;
    for (; channel + LANES <= channels; channel += LANES) {
        grad_weight_group(m, in + channel, point_stride, LANES, accumulate, result + channel, tap_stride);
    }
    if (channel < channels) {
        grad_weight_group(m, in + channel, point_stride, channels - channel, accumulate, result + channel, tap_stride);
    }
}

/* ---- for m = 2 and 4 --------------------------------------------------------------------------------------------- */

#define TRANSFORMS(M)                                                                                                  \
    static void input##M(const float *const *pixels, int channels, float *out, size_t point_stride)                    \
    {                                                                                                                  \
        input_tile(M, pixels, channels, out, point_stride);                                                            \
    }                                                                                                                  \
    static void output##M(const float *in, size_t point_stride, int channels, const float *bias, int accumulate,       \
                          float *const *pixels)                                                                        \
    {                                                                                                                  \
        output_tile(M, in, point_stride, channels, bias, accumulate, pixels);                                          \
    }                                                                                                                  \
    static void grad_output##M(const float *const *pixels, int channels, float *out, size_t point_stride)              \
    {                                                                                                                  \
        grad_tile(M, pixels, channels, out, point_stride);                                                             \
    }                                                                                                                  \
    static void weight##M(const float *weight, size_t tap_stride, int channels, float *out, size_t point_stride)       \
    {                                                                                                                  \
        weight_row(M, weight, tap_stride, channels, out, point_stride);                                                \
    }                                                                                                                  \
    static void grad_weight##M(const float *in, size_t point_stride, int channels, int accumulate, float *result,      \
                               size_t tap_stride)                                                                      \
    {                                                                                                                  \
        grad_weight_row(M, in, point_stride, channels, accumulate, result, tap_stride);                                \
    }
TRANSFORMS(2)
TRANSFORMS(4)

#define TRANSFORM_TABLE                                                                                                \
    {                                                                                                                  \
        {2, LANES, input2, output2, grad_output2, weight2, grad_weight2},                                              \
            {4, LANES, input4, output4, grad_output4, weight4, grad_weight4}, {0, 0, NULL, NULL, NULL, NULL, NULL},    \
    }
