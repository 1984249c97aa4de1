/** \file
 * What the CPU's float units can do at most: the yardstick of `bench --layers`. */
#ifndef SIGMATIC_CLI_FMA_PEAK_H
#define SIGMATIC_CLI_FMA_PEAK_H

/** \return 1e9 additions and multiplications a second of fused multiply-adds in registers, in the widest vectors of the
 * instruction set in use, by so many OpenMP threads together; takes some 50 ms. */
double fma_peak_gflops(int threads);

#endif
