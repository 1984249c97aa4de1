/** \file
 * What the cases of ops.h5 and of ONNX's vectors have in common: geometry in attributes, weights as O,I,kh,kw. */
#ifndef SIGMATIC_TESTS_GOLDEN_SHAPES_H
#define SIGMATIC_TESTS_GOLDEN_SHAPES_H

#include "golden.h"

#include <sigmatic/ops/conv2d.h>
#include <sigmatic/ops/max_pool.h>

/** \return the weights in the order of files, O,I,kh,kw, from that of the ops, kh,kw,I,O (to_file), or the other way
 * round. */
float *golden_reorder_weight(golden_case *from, const float *weight, const sm_conv2d_shape *s, int to_file);

/** \return the shape of a case, without output size. */
sm_conv2d_shape golden_conv2d_shape(golden_case *from, const sm_h5_info *input, const sm_h5_info *output);

/** Prepares, runs and cleans up one pass. */
void golden_run_conv2d(const sm_conv2d_algorithm *algorithm, const sm_conv2d_shape *shape, sm_conv2d_pass pass,
                       sm_conv2d_operands operands, int threads);

/** \return the shape of a case, without output size. */
sm_max_pool_shape golden_max_pool_shape(golden_case *from, const sm_h5_info *input);

#endif
