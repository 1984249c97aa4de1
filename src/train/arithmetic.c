#include <sigmatic/base/memory.h>
#include <sigmatic/ops/isa.h>
#include <sigmatic/train/arithmetic.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ALGORITHMS_MAX = 32 };

typedef struct share {
    const sm_conv2d_algorithm *algorithm;
    double macs;
} share;

static void add(share *shares, int *count, const sm_call *call)
{
    int i = 0;
    while (i < *count && strcmp(shares[i].algorithm->name, call->algorithm) != 0) {
        i++;
    }
    if (i == *count) {
        assert(i < ALGORITHMS_MAX);
        shares[(*count)++].algorithm = sm_conv2d_find(call->algorithm);
    }
    shares[i].macs += call->macs;
}

static int by_macs(const void *a, const void *b)
{
    double x = ((const share *)a)->macs, y = ((const share *)b)->macs;
    return (x < y) - (x > y);
}

/* \return the sum of the shares' multiply-adds */
static double shares_of(const sm_plan *plan, share *shares, int *count)
{
    double sum = 0;
    for (int pass = 1; pass <= 2; pass++) {
        int calls;
        const sm_call *call = sm_plan_calls(plan, pass, &calls);
        for (const sm_call *end = call + calls; call < end; call++) {
            if (call->algorithm) {
                add(shares, count, call);
                sum += call->macs;
            }
        }
    }
    qsort(shares, (size_t)*count, sizeof *shares, by_macs);
    return sum;
}

/* The instruction sets of all algorithms, each once. */
static char *instructions_of(const share *shares, int count)
{
    char *text = sm_strdup("");
    for (int i = 0; i < count; i++) {
        const char *name = sm_conv2d_instructions(shares[i].algorithm);
        int is_new = 1;
        for (int earlier = 0; earlier < i; earlier++) {
            is_new &= strcmp(sm_conv2d_instructions(shares[earlier].algorithm), name) != 0;
        }
        if (is_new) {
            sm_append_text(&text, ", ", "%s", name);
        }
    }
    return text;
}

char *sm_arithmetic_text(const sm_plan *plan, sm_conv2d_precision precision)
{
    share shares[ALGORITHMS_MAX] = {{0}};
    int count = 0;
    double sum = shares_of(plan, shares, &count);
    char *chosen = sm_isa_wanted() ? sm_format("%s=%s", sm_isa_variable, sm_isa_name()) : NULL;
    if (count == 0) {
        char *text = sm_format("no convolutions: float32%s%s", chosen ? ", " : "", chosen ? chosen : "");
        sm_free(chosen);
        return text;
    }
    char *instructions = instructions_of(shares, count);
    char *text = sm_format("convolutions (%s, %s%s%s):", sm_conv2d_precision_names[precision], instructions,
                           chosen ? ", " : "", chosen ? chosen : "");
    sm_free(chosen);
    for (int i = 0; i < count; i++) {
        double percent = 100 * shares[i].macs / sum;
        char *part = sm_format(percent < 1 ? " %s %.1f %%" : " %s %.0f %%", shares[i].algorithm->name, percent);
        sm_append_text(&text, i ? "," : "", "%s", part);
        sm_free(part);
    }
    sm_free(instructions);
    return text;
}
