/** \file
 * Arithmetic of whole numbers that cutting work into pieces needs. */
#ifndef SIGMATIC_OPS_WHOLE_H
#define SIGMATIC_OPS_WHOLE_H

static inline int sm_smaller(int a, int b)
{
    return a < b ? a : b;
}

static inline int sm_larger(int a, int b)
{
    return a > b ? a : b;
}

/** \return the value, or the bound that it is beyond. */
static inline int sm_clamp(int value, int least, int most)
{
    return value < least ? least : value > most ? most : value;
}

/** \return a / b rounded up; a >= 0, b > 0. */
static inline int sm_divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

/** \return where piece `index` of `pieces` nearly equal ones of 0 .. total - 1 begins; index = pieces gives total. */
static inline int sm_piece_begin(int total, int pieces, int index)
{
    return (int)((long long)total * index / pieces);
}

#endif
