/* The table of instruction sets, and which of its rows is in use. */
#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/base/vectors.h>
#include <sigmatic/ops/isa.h>
#include <sigmatic/tensor/gemm.h>

#include "ops/bf16_kernel.h"
#include "ops/microkernel.h"

#include <stdlib.h>
#include <string.h>
#include <threads.h>

const char sm_isa_variable[] = "SIGMATIC_ISA";

typedef struct instruction_set {
    const char *name;
    sm_vectors vectors;           /* the widest, of those that the CPU has */
    const sm_microkernel *floats; /* NULL: of another architecture */
    const sm_bf16_kernel *bf16;
} instruction_set;

/* Best first. */
static const instruction_set sets[] = {
#if defined(__x86_64__) && defined(__GNUC__)
    {"amx", SM_VECTORS_AVX512, &sm_microkernel_avx512, &sm_bf16_kernel_amx},
    {"avx512bf16", SM_VECTORS_AVX512, &sm_microkernel_avx512, &sm_bf16_kernel_avx512bf16},
    {"avx512", SM_VECTORS_AVX512, &sm_microkernel_avx512, &sm_bf16_kernel_plain},
    {"avx2", SM_VECTORS_AVX2, &sm_microkernel_avx2, &sm_bf16_kernel_plain},
#else
    {.name = "amx"},
    {.name = "avx512bf16"},
    {.name = "avx512"},
    {.name = "avx2"},
#endif
    {"blis", SM_VECTORS_AVX512, &sm_microkernel_blis, &sm_bf16_kernel_plain},
    {"plain", SM_VECTORS_PLAIN, &sm_microkernel_plain, &sm_bf16_kernel_plain},
};
enum { SETS = sizeof sets / sizeof *sets };

static const instruction_set *in_use;
static int slow_bf16_is_allowed;

static int is_supported(const instruction_set *set)
{
    return set->floats && set->floats->supported() && set->bf16->supported();
}

/* \return the supported set of that name; NULL if there is none */
static const instruction_set *find(const char *name)
{
    const instruction_set *set = sets;
    while (set < sets + SETS && strcmp(set->name, name) != 0) {
        set++;
    }
    return set < sets + SETS && is_supported(set) ? set : NULL;
}

static const instruction_set *best(void)
{
    const instruction_set *set = sets;
    while (!is_supported(set)) {
        set++;
    }
    return set;
}

static void use(const instruction_set *set)
{
    in_use = set;
    sm_vectors_limit(set->vectors);
}

/* BLIS is asked last, since its first answer settles which kernels it has. */
static void use_wanted(void)
{
    const char *wanted = sm_isa_wanted();
    for (int i = 0; wanted && i < SETS; i++) {
        if (strcmp(sets[i].name, wanted) == 0) {
            sm_gemm_limit(sets[i].vectors);
        }
    }
    const instruction_set *set = wanted ? find(wanted) : NULL;
    use(set ? set : best());
}

static const instruction_set *current(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, use_wanted);
    return in_use;
}

static char *names_of(int all)
{
    char *names = sm_strdup("");
    for (const instruction_set *set = sets; set < sets + SETS; set++) {
        if (all || is_supported(set)) {
            sm_append_text(&names, ", ", "%s", set->name);
        }
    }
    return names;
}

sm_status sm_isa_begin(void)
{
    current();
    const char *wanted = sm_isa_wanted();
    if (!wanted || find(wanted)) {
        return SM_OK;
    }
    int is_known = 0;
    sm_nearest nearest = {.wanted = wanted};
    for (int i = 0; i < SETS; i++) {
        is_known |= strcmp(sets[i].name, wanted) == 0;
        sm_nearest_consider(&nearest, sets[i].name);
    }
    char *all = names_of(1), *here = names_of(0);
    sm_status status =
        is_known ? sm_fail(SM_ERR_USAGE, "%s='%s' in the environment: this CPU lacks it; it has %s", sm_isa_variable,
                           wanted, here)
                 : sm_fail(SM_ERR_USAGE, "%s='%s' in the environment: expected one of %s%s%s%s; this CPU has %s",
                           sm_isa_variable, wanted, all, nearest.best ? ", did you mean " : "",
                           nearest.best ? nearest.best : "", nearest.best ? "?" : "", here);
    sm_free(all);
    sm_free(here);
    return status;
}

const char *sm_isa_wanted(void)
{
    const char *word = getenv(sm_isa_variable);
    return word && *word ? word : NULL;
}

const char *sm_isa_name(void)
{
    return current()->name;
}

char *sm_isa_supported(void)
{
    current();
    return names_of(0);
}

int sm_isa_select(const char *name)
{
    current();
    if (!name) {
        use_wanted();
        return 1;
    }
    const instruction_set *set = find(name);
    if (set) {
        use(set);
    }
    return set != NULL;
}

const sm_microkernel *sm_microkernel_get(void)
{
    return current()->floats;
}

const sm_bf16_kernel *sm_bf16_kernel_get(int parts)
{
    const sm_bf16_kernel *own = current()->bf16, *kernel = parts <= own->parts_max ? own : &sm_bf16_kernel_plain;
    int is_slow = parts > 1 && kernel == &sm_bf16_kernel_plain;
    return is_slow && !slow_bf16_is_allowed ? NULL : kernel;
}

void sm_bf16_kernel_allow_slow(int allow)
{
    slow_bf16_is_allowed = allow;
}
