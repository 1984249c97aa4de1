/** \file
 * Aligned, counted memory. Running out ends every rank (sm_abort); callers never see NULL for a non-zero size. */
#ifndef SIGMATIC_BASE_MEMORY_H
#define SIGMATIC_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_ALIGNMENT_BYTES = 64 };

/** \return `bytes` of memory aligned to 64 bytes (to a page from 1 MiB on), contents undefined, untouched (so that the first thread to write places it). Freed with sm_free(). */
void *sm_alloc(size_t bytes);

/** The same, but NULL where there is no memory, for what can be done without. */
void *sm_try_alloc(size_t bytes);

/** The same as sm_alloc(), zeroed. */
void *sm_alloc_zeroed(size_t bytes);

/** Grows or shrinks; contents kept up to the smaller size. `memory` may be NULL. */
void *sm_realloc(void *memory, size_t bytes);

/** \return a copy of the string, freed with sm_free(). */
char *sm_strdup(const char *text);

/** \return a formatted string, freed with sm_free(). */
char *sm_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Makes a text longer.
 * \param [in,out] text  freed and made anew; NULL is an empty one
 * \param between        stands before what is added, where the text is not empty */
void sm_append_text(char **text, const char *between, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** NULL is legal. */
void sm_free(void *memory);

/** \return bytes now held through sm_alloc(). */
size_t sm_memory_held_bytes(void);

/** \return bytes in a line of /proc/self/status: "RssAnon", "RssShmem", "VmHWM" ...; 0 where there is none. */
size_t sm_memory_status_bytes(const char *key);

/** \return `value` rounded up to a multiple of `unit`. */
static inline size_t sm_round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

#ifdef __cplusplus
}
#endif
#endif
