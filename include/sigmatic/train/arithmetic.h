/** \file
 * Which arithmetic the convolutions of a run are computed by on this CPU, in one line for people. */
#ifndef SIGMATIC_TRAIN_ARITHMETIC_H
#define SIGMATIC_TRAIN_ARITHMETIC_H

#include <sigmatic/graph/plan.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \return "convolutions (highest, avx2): winograd2 61 %, implicit_gemm 39 %": what `precision` allows, the instruction
 * sets in use, and each algorithm's share of the multiply-adds of the plan's forward and backward passes, the largest
 * first; "no convolutions: float32" of a plan without. Where SIGMATIC_ISA chooses, it is said, too: "convolutions (highest,
 * avx2, SIGMATIC_ISA=avx2): ...". Freed with sm_free(). */
char *sm_arithmetic_text(const sm_plan *plan, sm_conv2d_precision precision);

#ifdef __cplusplus
}
#endif
#endif
