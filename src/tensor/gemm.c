#define _POSIX_C_SOURCE 200809L /* blis.h needs pthread_barrier_t */

#include <sigmatic/base/vectors.h>
#include <sigmatic/tensor/gemm.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>

/* BLIS's own header defines inline functions that our warnings object to. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <blis.h>
#pragma GCC diagnostic pop

void sm_gemm(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
             int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    if (m == 0 || n == 0) {
        return;
    }
    rntm_t runtime = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_num_threads(1, &runtime);
    /* BLIS's prototypes lack const; it writes C only. */
    bli_sgemm_ex(transpose_a ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, transpose_b ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, m,
                 n, k, &alpha, (float *)a, lda, 1, (float *)b, ldb, 1, &beta, c, ldc, 1, NULL, &runtime);
}

/* \return what BLIS calls a CPU with such vectors; -1 if it was built without kernels for one */
static int architecture_with(sm_vectors vectors)
{
#ifdef BLIS_CONFIG_ZEN3
    if (vectors == SM_VECTORS_AVX2 && __builtin_cpu_is("amd")) {
        return BLIS_ARCH_ZEN3;
    }
#endif
#ifdef BLIS_CONFIG_HASWELL
    if (vectors == SM_VECTORS_AVX2) {
        return BLIS_ARCH_HASWELL;
    }
#endif
#ifdef BLIS_CONFIG_GENERIC
    if (vectors == SM_VECTORS_PLAIN) {
        return BLIS_ARCH_GENERIC;
    }
#endif
    return -1;
}

/* BLIS reads this variable when it begins, and other kernels than it then chooses are hidden in it. Older versions
 * understand numbers only. */
void sm_gemm_limit(sm_vectors most)
{
    int architecture = architecture_with(most);
    if (most < sm_vectors_of_cpu() && architecture >= 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", architecture);
        setenv("BLIS_ARCH_TYPE", number, 0);
    }
}

/* Up to BLIS 0.9 the micro-kernels of level 3 have a table of their own and types for each precision; from 1.0 on,
 * which defines BLIS_AUXINFO_PARAM, there is one table for all kernels and one type. */
#ifdef BLIS_AUXINFO_PARAM
typedef gemm_ukr_ft kernel_function;

static void *kernel_in(const cntx_t *context)
{
    return bli_cntx_get_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, context);
}

static int kernel_prefers_rows(const cntx_t *context)
{
    return bli_cntx_ukr_prefers_rows_dt(BLIS_FLOAT, BLIS_GEMM_UKR, context);
}
#else
typedef sgemm_ukr_ft kernel_function;

static void *kernel_in(const cntx_t *context)
{
    return bli_cntx_get_l3_nat_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, (cntx_t *)context);
}

static int kernel_prefers_rows(const cntx_t *context)
{
    return bli_cntx_l3_nat_ukr_prefers_rows_dt(BLIS_FLOAT, BLIS_GEMM_UKR, (cntx_t *)context);
}
#endif

static sm_gemm_kernel query(void)
{
    bli_init();
    cntx_t *context = (cntx_t *)bli_gks_query_cntx(); /* never written; 0.9 lacks const */
    return (sm_gemm_kernel){
        .mr = (int)bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_MR, context),
        .nr = (int)bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_NR, context),
        .pack_mr = (int)bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_MR, context),
        .pack_nr = (int)bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_NR, context),
        .prefers_rows = kernel_prefers_rows(context),
        .function = kernel_in(context),
        .context = context,
    };
}

static sm_gemm_kernel the_kernel;

static void query_once(void)
{
    the_kernel = query();
}

const sm_gemm_kernel *sm_gemm_kernel_query(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, query_once);
    return &the_kernel;
}

void sm_gemm_kernel_run(const sm_gemm_kernel *kernel, int m, int n, int k, const float *a, const float *b,
                        int accumulate, float *c, int64_t row_stride, int64_t column_stride)
{
    assert(m >= 1 && m <= kernel->mr && n >= 1 && n <= kernel->nr);
    auxinfo_t auxiliary = {0};
    bli_auxinfo_set_next_a((void *)a, &auxiliary); /* to prefetch: which panels follow is not known here */
    bli_auxinfo_set_next_b((void *)b, &auxiliary);
    float one = 1.0f, beta = accumulate ? 1.0f : 0.0f;
    ((kernel_function)kernel->function)(m, n, k, &one, (float *)a, (float *)b, &beta, c, row_stride, column_stride,
                                        &auxiliary, (cntx_t *)kernel->context);
}

const char *sm_blis_version(void)
{
    return bli_info_get_version_str();
}
