#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>

#include <string.h>

/* Levenshtein's distance, by rows; long texts count as far. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    size_t rows[2][LONGEST + 1], length_a = strlen(a), length_b = strlen(b);
    if (length_a > LONGEST || length_b > LONGEST) {
        return LONGEST;
    }
    for (size_t j = 0; j <= length_b; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= length_a; i++) {
        const size_t *above = rows[(i - 1) % 2];
        size_t *row = rows[i % 2];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            size_t removed = above[j] + 1, added = row[j - 1] + 1;
            row[j] = replaced < removed ? replaced : removed;
            row[j] = row[j] < added ? row[j] : added;
        }
    }
    return rows[length_a % 2][length_b];
}

void sm_nearest_consider(sm_nearest *nearest, const char *candidate)
{
    size_t distance = edit_distance(nearest->wanted, candidate);
    size_t wanted = strlen(nearest->wanted), length = strlen(candidate), near_enough = 1 + wanted / 3;
    int has_common = distance < (wanted > length ? wanted : length); /* of one letter any other is one edit away */
    if (has_common && distance <= near_enough && (!nearest->best || distance < nearest->distance)) {
        nearest->best = candidate;
        nearest->distance = distance;
    }
}

char *sm_nearest_question(const sm_nearest *nearest)
{
    return nearest->best ? sm_format("; did you mean '%s'?", nearest->best) : sm_strdup("");
}
