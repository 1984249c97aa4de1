/** \file
 * The instruction set in use: which kernels multiply, and how wide the vectors of all other loops are.
 *
 *     amx          AVX-512, products of bfloat16 numbers (and of floats split into such) by AMX's matrix registers
 *     avx512bf16   AVX-512, products of bfloat16 numbers by its dot products
 *     avx512       AVX-512
 *     avx2         AVX2 with FMA
 *     blis         products of floats by the micro-kernel that BLIS has for this CPU, all else by the widest vectors
 *     plain        what the compiler makes of plain C for any CPU of the architecture
 *
 * By itself it is the first of these that the CPU has. SIGMATIC_ISA in the environment names another, to compare and to test:
 * then all is as on a CPU that has this one and those below it, and no more. Products of bfloat16 numbers are float products
 * of plain loops wherever there are no instructions for them. Linear layers multiply by BLIS under every set; in place of its
 * kernels for wider vectors than the set's it is asked for others (by BLIS_ARCH_TYPE, unless that is set). */
#ifndef SIGMATIC_OPS_ISA_H
#define SIGMATIC_OPS_ISA_H

#include <sigmatic/base/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The environment variable. */
extern const char sm_isa_variable[];

/** Takes the set that the variable names, or the best that this CPU has where it names none. Called by sm_init().
 * \return SM_ERR_USAGE, the best taken: there is no such set, or this CPU lacks it; the message says which it has */
sm_status sm_isa_begin(void);

/** \return what the variable says; NULL if it is not set or empty */
const char *sm_isa_wanted(void);

/** \return the name of the set in use */
const char *sm_isa_name(void);

/** \return the names of all sets that this CPU has, the best first: "avx2, blis, plain"; freed with sm_free() */
char *sm_isa_supported(void);

/** For tests: takes a set by name, with NULL as sm_isa_begin() does; not while anything computes. Whatever was prepared or
 * sized before is void. What BLIS does for linear layers stays as it was.
 * \return 0, nothing changed, if there is none of that name or this CPU lacks it */
int sm_isa_select(const char *name);

#ifdef __cplusplus
}
#endif
#endif
