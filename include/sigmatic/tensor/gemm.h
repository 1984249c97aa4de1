/** \file
 * Matrix products on row-major float arrays, by BLIS. The only way to BLIS in the project.
 *
 * Every call runs in the calling thread alone, whatever the environment says about BLIS's own threads, and may be
 * made from several threads at once: parallelism lies outside. The bits are a function of shape, operands and CPU. */
#ifndef SIGMATIC_TENSOR_GEMM_H
#define SIGMATIC_TENSOR_GEMM_H

#include <sigmatic/base/vectors.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** C = alpha op(A) op(B) + beta C, with op(X) = X or its transpose.
 *
 * \param [in]     transpose_a  0: A is stored (m, k); 1: A is stored (k, m)
 * \param [in]     transpose_b  0: B is stored (k, n); 1: B is stored (n, k)
 * \param [in]     m, n, k      0 and more; with k = 0 the product is zero
 * \param [in]     lda,ldb,ldc  elements from one stored row to the next, at least the row's length
 * \param [in]     beta         at 0 the old C is not read (NaN in it does not matter)
 * \param [in,out] c            (m, n), not overlapping a or b */
void sm_gemm(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
             int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/** Asks BLIS for kernels that need no wider vectors than `most`, where the CPU has wider ones, this BLIS has such kernels and
 * BLIS_ARCH_TYPE in the environment does not choose. Before all other calls; later ones change nothing. */
void sm_gemm_limit(sm_vectors most);

/** BLIS's float micro-kernel for this CPU.
 *
 * It multiplies an A panel (k columns of MR rows: a[p * pack_mr + i]) by a B panel (k rows of NR columns:
 * b[p * pack_nr + j]). Panels must be 64-byte aligned, and unused rows and columns of a panel must hold finite
 * numbers. */
typedef struct sm_gemm_kernel {
    int mr, nr;           /**< rows and columns of the register tile */
    int pack_mr, pack_nr; /**< floats from one p to the next in a panel: mr and nr, or a little more */
    int prefers_rows;     /**< 1: fastest if C's columns are adjacent (column_stride 1); 0: if its rows are */
    void *function;       /**< for sm_gemm_kernel_run() only */
    const void *context;  /**< for sm_gemm_kernel_run() only */
} sm_gemm_kernel;

/** \return the kernel; the same one on every call. */
const sm_gemm_kernel *sm_gemm_kernel_query(void);

/** C(0..m, 0..n) (+)= A panel * B panel.
 *
 * \param [in]     m, n        1..mr, 1..nr: smaller tiles are written exactly, nothing beside them is touched
 * \param [in]     k           0 and more
 * \param [in]     accumulate  1: adds to what is there; 0: the old C is not read
 * \param [in,out] c           element (i, j) at c[i * row_stride + j * column_stride]; any alignment */
void sm_gemm_kernel_run(const sm_gemm_kernel *kernel, int m, int n, int k, const float *a, const float *b,
                        int accumulate, float *c, int64_t row_stride, int64_t column_stride);

/** \return e.g. "0.9.0". */
const char *sm_blis_version(void);

#ifdef __cplusplus
}
#endif
#endif
