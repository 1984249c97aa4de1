/** \file
 * The columns of the table in conv2d.c: what each algorithm's file exports. Contracts: sm_conv2d_algorithm.
 *
 * Costs are sums over the parts of the work (products, copies, transforms), each weighed by constants that stand beside
 * the cost function. All are in multiply-adds of the float micro-kernel at full speed, so that algorithms compare. The
 * constants were fitted by hand on two shared cores: those of floats on 2026-11-23 with the AVX-512 kernel, those of
 * bfloat16 on 2026-11-23 to 28 on a CPU with AMX. Neither the models of these CPUs nor the commands were noted; a wrong
 * constant costs time, never correctness.
 *
 * To measure such rows, on any CPU: `sigmatic bench --step --layers --set distributed.conv2d_algorithm=taps` prints the
 * time of each convolution and pass (column ms) beside what these costs say at the CPU's peak (column model). */
#ifndef SIGMATIC_OPS_CONV2D_ALGORITHMS_H
#define SIGMATIC_OPS_CONV2D_ALGORITHMS_H

#include <sigmatic/ops/conv2d.h>

/* conv2d_ref.c */
int sm_conv2d_reference_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_reference_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_reference_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
size_t sm_conv2d_reference_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads);
void sm_conv2d_reference_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);

/* conv2d_direct.c: "implicit_gemm" multiplies the padding's zeros too, "taps" leaves them out */
int sm_conv2d_direct_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_gemm_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_taps_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_gemm_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_taps_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
size_t sm_conv2d_direct_prepared(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
void sm_conv2d_direct_prepare(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const float *weight, void *prepared,
                              int threads);
size_t sm_conv2d_direct_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads);
void sm_conv2d_gemm_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);
void sm_conv2d_taps_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);

/* conv2d_winograd.c */
int sm_conv2d_winograd2_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_winograd2_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_winograd2_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
size_t sm_conv2d_winograd2_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads);
void sm_conv2d_winograd2_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);
int sm_conv2d_winograd4_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_winograd4_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_winograd4_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
size_t sm_conv2d_winograd4_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads);
void sm_conv2d_winograd4_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);

/* conv2d_bf16.c */
int sm_conv2d_bf16x3_gemm_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_bf16x3_gemm_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_bf16x3_gemm_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
void sm_conv2d_bf16x3_gemm_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);
int sm_conv2d_bf16x3_taps_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_bf16x3_taps_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_bf16x3_taps_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
void sm_conv2d_bf16x3_taps_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);
int sm_conv2d_bf16x2_gemm_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_bf16x2_gemm_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_bf16x2_gemm_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
void sm_conv2d_bf16x2_gemm_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);
int sm_conv2d_bf16x2_taps_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_bf16x2_taps_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_bf16x2_taps_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
void sm_conv2d_bf16x2_taps_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);
int sm_conv2d_bf16_gemm_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_bf16_gemm_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_bf16_gemm_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
void sm_conv2d_bf16_gemm_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);
int sm_conv2d_bf16_taps_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
double sm_conv2d_bf16_taps_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
double sm_conv2d_bf16_taps_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
void sm_conv2d_bf16_taps_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);
size_t sm_conv2d_bf16_parts_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads);
size_t sm_conv2d_bf16_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads);

#endif
