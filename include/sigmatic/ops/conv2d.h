/** \file
 * 2-D convolution (cross-correlation, as every framework means it) and its two gradients.
 *
 *   output[n,y,x,o] = bias[o] + sum over i,j,c of input[n, y*stride - pad_top + i*dilation, x*stride - pad_left + j*dilation, c] * weight[i,j,c,o]
 *
 * Activations are NHWC, weights [kernel_height][kernel_width][channels_in][channels_out] (files hold O,I,kh,kw), all contiguous, 64-byte aligned.
 * A table of algorithms computes the same function at different speed; the plan picks one a pass from shape and instruction set (isa.h).
 * Functions do not allocate, keep no state and use up to `threads` OpenMP threads. Threads split outputs, never sums: the bits do not depend on their number. */
#ifndef SIGMATIC_OPS_CONV2D_H
#define SIGMATIC_OPS_CONV2D_H

#include <sigmatic/tensor/dtype.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Geometry. Output size: floor((height + pad_top + pad_bottom - dilation_height * (kernel_height - 1) - 1) / stride_height) + 1. */
typedef struct sm_conv2d_shape {
    int height, width, channels_in;               /**< of the input */
    int out_height, out_width, channels_out;      /**< of the output: sm_conv2d_infer() */
    int kernel_height, kernel_width;              /**< 1 and more */
    int stride_height, stride_width;              /**< 1 and more */
    int dilation_height, dilation_width;          /**< 1 and more */
    int pad_top, pad_left, pad_bottom, pad_right; /**< 0 and more */
} sm_conv2d_shape;

/** Fills in out_height and out_width. \return 0 if the kernel does not fit (an output dimension below 1), else 1. */
int sm_conv2d_infer(sm_conv2d_shape *shape);

/** \return the shape with square kernel, stride and dilation and the same padding on all sides. */
sm_conv2d_shape sm_conv2d_square(int height, int width, int channels_in, int channels_out, int kernel, int stride,
                                 int pad, int dilation);

/** The three computations of a convolution layer. */
typedef enum sm_conv2d_pass { SM_CONV2D_FORWARD, SM_CONV2D_BACKWARD_DATA, SM_CONV2D_BACKWARD_WEIGHT } sm_conv2d_pass;
enum { SM_CONV2D_PASSES = 3 };

/** Operands of one run. `batch` images, 0 is legal (weight gradients are then beta * what was there). */
typedef struct sm_conv2d_operands {
    int batch;
    const void *input;    /**< (batch, height, width, channels_in): FORWARD, BACKWARD_WEIGHT */
    const float *weight;  /**< plain weights, or NULL if the algorithm reads `prepared` only: FORWARD, BACKWARD_DATA */
    const void *prepared; /**< what prepare() made of the weights, if prepared_bytes() > 0 */
    const float *bias;    /**< channels_out, or NULL: FORWARD */
    const void *grad_output; /**< (batch, out_height, out_width, channels_out): both backwards */
    void *result;            /**< output, grad_input or grad_weight ([kh][kw][ci][co], floats) */
    sm_dtype input_type;     /**< of input and grad_input: SM_F32, or SM_BF16 for algorithms of SM_CONV2D_BF16 */
    sm_dtype output_type;    /**< of output and grad_output; a result of SM_BF16 is rounded once, when it is complete */
    float beta;      /**< result = beta * result + computed; 0 (what was there is never read, NaN included) or 1 */
    void *workspace; /**< workspace_bytes(), 64-byte aligned; contents undefined before and after */
    int threads;
} sm_conv2d_operands;

/** How sums round. Asked of sm_conv2d_choose(), a precision allows the ones before it, but for bf16, which is itself.
 * The words of run.precision, in their order; the first two are PyTorch's (torch.set_float32_matmul_precision). */
typedef enum sm_conv2d_precision {
    SM_CONV2D_HIGHEST, /**< no worse than a direct sum in float */
    SM_CONV2D_HIGH,    /**< worse than a direct sum in float, rms up to 5e-6 of the result's, the worst element 3e-5:
                          Winograd F(4x4), factors of two bfloat16 parts */
    SM_CONV2D_BF16     /**< both factors of each product rounded to bfloat16, sums as SM_CONV2D_HIGHEST */
} sm_conv2d_precision;

/** The words, by precision. */
extern const char *const sm_conv2d_precision_names[];

/** One way to compute one or more passes. */
typedef struct sm_conv2d_algorithm {
    const char *name; /**< as in --dry-run and in the config */
    sm_conv2d_precision precision;
    int bf16_parts; /**< of bfloat16 numbers, as the sum of which each factor is multiplied; 0: factors are floats */
    /** \return 1 if it can compute this pass of this shape. */
    int (*supports)(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
    /** \return a cost estimate in fused multiply-adds at full speed for one image, to choose by; includes transforms and waste. */
    double (*cost)(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch);
    /** \return multiply-adds really executed for one image. */
    double (*macs)(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
    /** \return bytes of weights in the algorithm's own form; 0 if it reads plain weights. NULL = always 0. */
    size_t (*prepared_bytes)(const sm_conv2d_shape *shape, sm_conv2d_pass pass);
    /** Packs plain weights; once a step, after the update. NULL if nothing is prepared. */
    void (*prepare)(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const float *weight, void *prepared,
                    int threads);
    /** \return bytes of workspace for up to `batch` images and `threads` threads. */
    size_t (*workspace_bytes)(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads);
    void (*run)(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands);
} sm_conv2d_algorithm;

/** All algorithms; ends with a NULL name. "reference" is the readable twin (conv2d_ref.c) and supports everything. */
extern const sm_conv2d_algorithm sm_conv2d_algorithms[];

/** \return the algorithm of that name, or NULL. */
const sm_conv2d_algorithm *sm_conv2d_find(const char *name);

/** \return the instructions that an algorithm multiplies by, of the set in use (isa.h): "avx2", "avx512", "amx", "avx512bf16", "blis"
 * (BLIS's own choice) or "plain" (those that the compiler found). */
const char *sm_conv2d_instructions(const sm_conv2d_algorithm *algorithm);

/** \return the cheapest algorithm that supports this pass; never "reference" unless nothing else can. A pure function of its arguments, the CPU and the instruction set in use.
 * \param precision  the worst that is allowed */
const sm_conv2d_algorithm *sm_conv2d_choose(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch,
                                            sm_conv2d_precision precision);

/** grad_bias[o] = beta * grad_bias[o] + sum over n,y,x of grad_output[n,y,x,o], summed in double.
 * \param [in] rows  n * y * x; may be 0 */
void sm_bias_backward(size_t rows, int channels, const float *grad_output, float beta, float *grad_bias, int threads);

#ifdef __cplusplus
}
#endif
#endif
