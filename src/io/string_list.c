#include "io/string_list.h"

#include <sigmatic/base/memory.h>

#include <stdlib.h>
#include <string.h>

char **sm_strings_pack(const char *const *strings, size_t count)
{
    size_t bytes = count * sizeof(char *);
    for (size_t i = 0; i < count; i++) {
        bytes += strlen(strings[i]) + 1;
    }
    char **packed = sm_alloc(bytes ? bytes : 1);
    char *end = (char *)(packed + count);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(strings[i]) + 1;
        packed[i] = memcpy(end, strings[i], length);
        end += length;
    }
    return packed;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void sm_strings_sort(char **strings, size_t count)
{
    if (count > 1) {
        qsort(strings, count, sizeof *strings, by_bytes);
    }
}
