#define _DEFAULT_SOURCE
/* A header of one alignment unit in front of each block keeps its size, so that the total is known and realloc can copy. */
#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE_BYTES = 4096, PAGED_FROM_BYTES = 1 << 20, HUGE_PAGE_BYTES = 2 << 20, HUGE_FROM_BYTES = 16 << 20 };

typedef struct {
    size_t bytes; /* asked for */
    void *block;  /* what free() takes */
} header;

static _Atomic size_t held_bytes;

static header *header_of(void *memory)
{
    return (header *)((char *)memory - sizeof(header));
}

void *sm_try_alloc(size_t bytes)
{
    size_t alignment = bytes >= PAGED_FROM_BYTES ? PAGE_BYTES : SM_ALIGNMENT_BYTES;
    size_t block_alignment = bytes >= HUGE_FROM_BYTES ? HUGE_PAGE_BYTES : alignment;
    size_t block_bytes = sm_round_up(bytes + alignment, block_alignment);
    void *block = aligned_alloc(block_alignment, block_bytes);
    if (!block) {
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_FROM_BYTES) { /* fewer misses of the address cache when kernels stream activations; only a wish */
        madvise(block, block_bytes, MADV_HUGEPAGE);
    }
#endif
    void *memory = (char *)block + alignment;
    *header_of(memory) = (header){bytes, block};
    atomic_fetch_add(&held_bytes, bytes);
    return memory;
}

void *sm_alloc(size_t bytes)
{
    void *memory = sm_try_alloc(bytes);
    if (!memory) {
        sm_abort("out of memory: %zu bytes more wanted, %zu held", bytes, sm_memory_held_bytes());
    }
    return memory;
}

void *sm_alloc_zeroed(size_t bytes)
{
    return memset(sm_alloc(bytes), 0, bytes);
}

/* A list that grows by one item at a time is copied a few times only: each copy has room for half as much again. */
void *sm_realloc(void *memory, size_t bytes)
{
    size_t had = memory ? header_of(memory)->bytes : 0;
    if (memory && bytes <= had && bytes >= had / 2) {
        return memory;
    }
    void *other = sm_alloc(memory && bytes > had && bytes < had + had / 2 ? had + had / 2 : bytes);
    if (memory) {
        memcpy(other, memory, had < bytes ? had : bytes);
        sm_free(memory);
    }
    return other;
}

char *sm_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(sm_alloc(bytes), text, bytes);
}

static char *format_list(const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = sm_alloc((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *sm_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_list(format, arguments);
    va_end(arguments);
    return text;
}

void sm_append_text(char **text, const char *between, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *more = format_list(format, arguments);
    va_end(arguments);
    const char *before = *text ? *text : "";
    char *longer = sm_format("%s%s%s", before, *before ? between : "", more);
    sm_free(more);
    sm_free(*text);
    *text = longer;
}

void sm_free(void *memory)
{
    if (memory) {
        atomic_fetch_sub(&held_bytes, header_of(memory)->bytes);
        free(header_of(memory)->block);
    }
}

size_t sm_memory_held_bytes(void)
{
    return held_bytes;
}

size_t sm_memory_status_bytes(const char *key)
{
    FILE *file = fopen("/proc/self/status", "r");
    size_t length = strlen(key), kib = 0;
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, length) == 0 && line[length] == ':') {
            kib = strtoul(line + length + 1, NULL, 10);
        }
    }
    if (file) {
        fclose(file);
    }
    return kib << 10;
}
