#include "data/split_draw.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/random.h>

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const sm_usual_split_names[SM_USUAL_SPLITS] = {"train", "val", "test"};

const sm_split_word sm_split_words[SM_SPLIT_WORDS] = {
    {"train", "train"}, {"training", "train"}, {"val", "val"},      {"validation", "val"},
    {"valid", "val"},   {"test", "test"},      {"testing", "test"},
};

int sm_split_of_word(const char *word)
{
    for (int i = 0; i < SM_SPLIT_WORDS; i++) {
        const sm_split_word *row = &sm_split_words[i];
        for (int s = 0; strcasecmp(row->word, word) == 0 && s < SM_USUAL_SPLITS; s++) {
            if (strcmp(row->split, sm_usual_split_names[s]) == 0) {
                return s;
            }
        }
    }
    return -1;
}

/* What shares leave is the next split's: of 0.8 val has 0.2. */
static sm_status share_rest(const char *command, const char *text, double total, int count,
                            double fractions[SM_USUAL_SPLITS])
{
    const double rounding = 0.002; /* of 0.333,0.333,0.333 */
    if (total > 1 + rounding) {
        return sm_fail(SM_ERR_USAGE, "%s: --split '%s': the shares add up to %g, expected 1 at most, as 0.8,0.1,0.1",
                       command, text, total);
    }
    if (total >= 1 - rounding) {
        return SM_OK;
    }
    if (count == SM_USUAL_SPLITS) {
        return sm_fail(SM_ERR_USAGE, "%s: --split '%s': the shares of train, val and test add up to %g, expected 1",
                       command, text, total);
    }
    fractions[count] = 1 - total;
    return SM_OK;
}

sm_status sm_split_fractions_read(const char *command, const char *text, double fractions[SM_USUAL_SPLITS])
{
    const char *at = text;
    int count = 0;
    double total = 0;
    for (char *end = NULL; count < SM_USUAL_SPLITS; at = end + 1) {
        fractions[count] = strtod(at, &end);
        total += fractions[count];
        if (end == at || !(fractions[count] >= 0) || (*end != ',' && *end != '\0')) {
            break;
        }
        count++;
        if (*end == '\0' && fractions[0] > 0 && isfinite(total)) {
            return share_rest(command, text, total, count, fractions);
        }
    }
    return sm_fail(SM_ERR_USAGE,
                   "%s: --split '%s': expected the shares of train (above 0), val and test, as 0.8,0.1,0.1", command,
                   text);
}

sm_status sm_split_seed_read(const char *command, const char *text, uint64_t *seed)
{
    char *end;
    const char *given = text ? text : "1";
    *seed = strtoull(given, &end, 10);
    return isdigit((unsigned char)*given) && *end == '\0'
               ? SM_OK
               : sm_fail(SM_ERR_USAGE, "%s: --seed '%s': a whole number expected", command, given);
}

/* A sample's place in an order that its name and the seed decide. */
typedef struct draw {
    uint64_t number;
    size_t sample;
} draw;

static int compare_draws(const void *a, const void *b)
{
    const draw *x = a, *y = b;
    int order = (x->number > y->number) - (x->number < y->number);
    return order ? order : (x->sample > y->sample) - (x->sample < y->sample);
}

static draw draw_of(uint64_t seed, const char *name, size_t sample)
{
    sm_random random = sm_random_new(seed, sm_hash(name), 0);
    uint64_t high = sm_random_u32(&random);
    return (draw){high << 32 | sm_random_u32(&random), sample};
}

sm_status sm_split_draw(const char *path, const char *const *names, size_t count, uint64_t seed,
                        const double fractions[SM_USUAL_SPLITS], int *splits)
{
    double total = fractions[0] + fractions[1] + fractions[2], until = 0;
    draw *draws = sm_alloc((count + 1) * sizeof *draws);
    size_t first = 0;
    sm_status status = SM_OK;
    for (size_t i = 0; i < count; i++) {
        draws[i] = draw_of(seed, names[i], i);
    }
    qsort(draws, count, sizeof *draws, compare_draws);
    for (int s = 0; s < SM_USUAL_SPLITS; s++) {
        until += fractions[s];
        size_t end = (size_t)((double)count * until / total + 0.5);
        if (fractions[s] > 0 && end == first) {
            status = sm_fail(SM_ERR_INPUT, "%s: --split gives %s none of %zu %s", path, sm_usual_split_names[s], count,
                             sm_plural((int64_t)count, "sample", "samples"));
            break;
        }
        for (; first < end; first++) {
            splits[draws[first].sample] = s;
        }
    }
    sm_free(draws);
    return status;
}
