/** \file
 * Small dense symmetric problems, one row a task: matrices are (n, n), row after row, symmetric and positive
 * semi-definite up to rounding. Plain loops in one order: the same bits everywhere. */
#ifndef SIGMATIC_WEIGHTING_DENSE_H
#define SIGMATIC_WEIGHTING_DENSE_H

/** \return sum of x_i a_ij y_j */
double sm_dense_product(int n, const double *x, const double *a, const double *y);

/** Solves a x = b by Cholesky's decomposition. \param [in,out] x  b, then x
 * \return 0 if a is not positive definite: x means nothing */
int sm_dense_solve(int n, const double *a, double *x);

/** Eigenvalues, and the eigenvector of value k in vectors[i * n + k], by Jacobi's rotations; in no order. */
void sm_dense_eigen(int n, const double *a, double *values, double *vectors);

/** Minimises x'a x / 2 + b'x over x >= 0 and, if there is an `s`, s'x = 1, by an active set (Lawson and Hanson 1974;
 * Nocedal and Wright 2006, chapter 16.5). To the diagonal of `a`, which should be about 1, a ten-billionth is added, so
 * that there is one minimiser.
 * \param s  n positive numbers, or NULL */
void sm_dense_minimise(int n, const double *a, const double *b, const double *s, double *x);

#endif
