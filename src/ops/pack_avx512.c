#if defined(__AVX512F__)
#include "ops/pack.h"
#include "ops/vectors_avx512.h"

void sm_transpose_square_avx512(const float *from, size_t from_stride, float *to, size_t to_stride)
{
    __m512 r[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        r[i] = _mm512_loadu_ps(from + i * from_stride);
    }
    sm_turn_square(r);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        _mm512_storeu_ps(to + i * to_stride, r[i]);
    }
}
#endif
