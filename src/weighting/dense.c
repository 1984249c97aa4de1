#include "weighting/dense.h"

#include <sigmatic/base/memory.h>

#include <float.h>
#include <math.h>
#include <string.h>

double sm_dense_product(int n, const double *x, const double *a, const double *y)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            sum += x[i] * a[i * n + j] * y[j];
        }
    }
    return sum;
}

/* \return 0 if a is not positive definite. \param [out] l  its lower half is written: l l' = a */
static int decompose(int n, const double *a, double *l)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            double rest = a[i * n + j];
            for (int k = 0; k < j; k++) {
                rest -= l[i * n + k] * l[j * n + k];
            }
            if (i == j && !(rest > 0)) {
                return 0;
            }
            l[i * n + j] = i == j ? sqrt(rest) : rest / l[j * n + j];
        }
    }
    return 1;
}

int sm_dense_solve(int n, const double *a, double *x)
{
    double *l = sm_alloc((size_t)n * (size_t)n * sizeof *l);
    int is_definite = decompose(n, a, l);
    for (int i = 0; is_definite && i < n; i++) {
        for (int k = 0; k < i; k++) {
            x[i] -= l[i * n + k] * x[k];
        }
        x[i] /= l[i * n + i];
    }
    for (int i = n - 1; is_definite && i >= 0; i--) {
        for (int k = i + 1; k < n; k++) {
            x[i] -= l[k * n + i] * x[k];
        }
        x[i] /= l[i * n + i];
    }
    sm_free(l);
    return is_definite;
}

/* ---- eigenvalues ---- */

/* The plane rotation of rows p and q that makes a_pq 0. */
static void rotate(int n, double *a, double *vectors, int p, int q)
{
    double half = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
    double t = (half < 0 ? -1 : 1) / (fabs(half) + sqrt(half * half + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < n; k++) {
        double kp = a[k * n + p], kq = a[k * n + q];
        a[k * n + p] = c * kp - s * kq;
        a[k * n + q] = s * kp + c * kq;
    }
    for (int k = 0; k < n; k++) {
        double pk = a[p * n + k], qk = a[q * n + k];
        a[p * n + k] = c * pk - s * qk;
        a[q * n + k] = s * pk + c * qk;
        double kp = vectors[k * n + p], kq = vectors[k * n + q];
        vectors[k * n + p] = c * kp - s * kq;
        vectors[k * n + q] = s * kp + c * kq;
    }
    a[p * n + q] = a[q * n + p] = 0;
}

void sm_dense_eigen(int n, const double *matrix, double *values, double *vectors)
{
    enum { MOST_SWEEPS = 60 }; /* convergence is quadratic: five to ten are usual */
    size_t numbers = (size_t)n * (size_t)n;
    double *a = memcpy(sm_alloc(numbers * sizeof *a), matrix, numbers * sizeof *a);
    int rotations = 1;
    for (int i = 0; i < n * n; i++) {
        vectors[i] = i % (n + 1) == 0;
    }
    for (int sweep = 0; rotations > 0 && sweep < MOST_SWEEPS; sweep++) {
        rotations = 0;
        for (int p = 0; p < n; p++) {
            for (int q = p + 1; q < n; q++) {
                if (fabs(a[p * n + q]) > DBL_EPSILON / 4 * sqrt(fabs(a[p * n + p] * a[q * n + q]))) {
                    rotate(n, a, vectors, p, q);
                    rotations++;
                }
            }
        }
    }
    for (int i = 0; i < n; i++) {
        values[i] = a[i * n + i];
    }
    sm_free(a);
}

/* ---- a quadratic function of non-negative numbers ---- */

typedef struct problem {
    int n;
    double *a; /* with the addition to its diagonal */
    const double *b, *s;
    int *is_free;                  /* x_i may be other than 0 */
    double *x, *z;                 /* z: the minimiser over the free ones, whatever its signs */
    double multiplier;             /* of s'x = 1 */
    double *part, *right, *beside; /* room for the free rows */
} problem;

/* \return how many rows are free. \param [out] part  their part of a */
static int gather(const problem *p, double *part)
{
    int rows = 0, at = 0;
    for (int i = 0; i < p->n; i++) {
        rows += p->is_free[i];
    }
    for (int i = 0; i < p->n; i++) {
        for (int j = 0; p->is_free[i] && j < p->n; j++) {
            if (p->is_free[j]) {
                part[at++] = p->a[i * p->n + j];
            }
        }
    }
    return rows;
}

/* a_FF z = multiplier s_F - b_F over the free rows F. */
static void solve_free(problem *p)
{
    int rows = gather(p, p->part), at = 0;
    for (int i = 0; i < p->n; i++) {
        if (p->is_free[i]) {
            p->right[at] = -p->b[i];
            p->beside[at++] = p->s ? p->s[i] : 0;
        }
    }
    sm_dense_solve(rows, p->part, p->right);
    p->multiplier = 0;
    if (p->s) {
        double with = 0, without = 0;
        sm_dense_solve(rows, p->part, p->beside);
        at = 0;
        for (int i = 0; i < p->n; i++) {
            if (p->is_free[i]) {
                with += p->s[i] * p->beside[at];
                without += p->s[i] * p->right[at++];
            }
        }
        p->multiplier = (1 - without) / with;
    }
    at = 0;
    for (int i = 0; i < p->n; i++) {
        p->z[i] = 0;
        if (p->is_free[i]) {
            p->z[i] = p->right[at] + p->multiplier * p->beside[at];
            at++;
        }
    }
}

/* From x towards z, as far as all stay non-negative; the first that would not is free no more.
 * \return 0 if z was reached */
static int is_stopped(problem *p)
{
    double step = 1;
    int first = -1;
    for (int i = 0; i < p->n; i++) {
        if (p->is_free[i] && p->z[i] <= 0) {
            double up_to = p->x[i] / (p->x[i] - p->z[i]);
            if (first < 0 || up_to < step) {
                step = up_to;
                first = i;
            }
        }
    }
    for (int i = 0; i < p->n; i++) {
        p->x[i] = first < 0 ? p->z[i] : fmax(0, p->x[i] + step * (p->z[i] - p->x[i]));
    }
    if (first >= 0) {
        p->x[first] = 0;
        p->is_free[first] = 0;
    }
    return first >= 0;
}

/* \return the row that is worth most when it becomes free; -1: none is worth more than rounding */
static int best_row(const problem *p)
{
    const double rounding = 1e-13;
    double best = 0;
    int row = -1;
    for (int i = 0; i < p->n; i++) {
        double slope = p->b[i], size = fabs(p->b[i]), beside = p->s ? p->multiplier * p->s[i] : 0;
        for (int j = 0; j < p->n; j++) {
            slope += p->a[i * p->n + j] * p->x[j];
            size += fabs(p->a[i * p->n + j] * p->x[j]);
        }
        size += fabs(beside);
        double worth = size > 0 ? (beside - slope) / size : 0;
        if (!p->is_free[i] && worth > rounding && worth > best) {
            best = worth;
            row = i;
        }
    }
    return row;
}

/* With a sum that has to be 1, the best single number is where to begin. */
static void begin(problem *p)
{
    double least = INFINITY;
    int first = 0;
    for (int i = 0; p->s && i < p->n; i++) {
        double alone = 1 / p->s[i], value = alone * (alone * p->a[i * p->n + i] / 2 + p->b[i]);
        if (value < least) {
            least = value;
            first = i;
        }
    }
    if (p->s) {
        p->x[first] = 1 / p->s[first];
        p->is_free[first] = 1;
    }
    solve_free(p);
}

void sm_dense_minimise(int n, const double *a, const double *b, const double *s, double *x)
{
    const double addition = 1e-10;
    size_t rows = (size_t)n, bytes = rows * rows * sizeof *a;
    problem p = {.n = n,
                 .a = memcpy(sm_alloc(bytes), a, bytes),
                 .b = b,
                 .s = s,
                 .is_free = sm_alloc_zeroed(rows * sizeof *p.is_free),
                 .x = memset(x, 0, rows * sizeof *x),
                 .z = sm_alloc_zeroed(rows * sizeof *x),
                 .part = sm_alloc(bytes),
                 .right = sm_alloc(rows * sizeof *x),
                 .beside = sm_alloc(rows * sizeof *x)};
    for (int i = 0; i < n; i++) {
        p.a[i * n + i] += addition;
    }
    begin(&p);
    int row = best_row(&p);
    for (int rounds = 0; row >= 0 && rounds < 32 * n; rounds++) { /* never as many but for rounding */
        p.is_free[row] = 1;
        do {
            solve_free(&p);
        } while (is_stopped(&p));
        row = best_row(&p);
    }
    sm_free(p.a);
    sm_free(p.is_free);
    sm_free(p.z);
    sm_free(p.part);
    sm_free(p.right);
    sm_free(p.beside);
}
