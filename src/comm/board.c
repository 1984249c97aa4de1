/* A sequence lock: the number is odd while an entry is being written; a reader that saw an odd or a changed number
 * reads again. What it read meanwhile may be half of one entry, half of another, but nothing worse: C promises that of
 * atomic words only. */
#include "comm/board.h"

#include <stdatomic.h>
#include <string.h>

enum { ENTRY_WORDS = sizeof(sm_board_entry) / sizeof(uint64_t) };
_Static_assert(sizeof(sm_board_entry) % sizeof(uint64_t) == 0, "an entry is whole words");

struct sm_board_place {
    _Atomic uint64_t sequence;
    _Atomic int claimed;
    _Atomic uint64_t words[ENTRY_WORDS]; /* of the entry */
};

size_t sm_board_place_bytes(void)
{
    return sizeof(sm_board_place);
}

void sm_board_write(sm_board_place *place, const sm_board_entry *entry)
{
    uint64_t words[ENTRY_WORDS], sequence = atomic_load_explicit(&place->sequence, memory_order_relaxed);
    memcpy(words, entry, sizeof words);
    atomic_store_explicit(&place->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (int i = 0; i < ENTRY_WORDS; i++) {
        atomic_store_explicit(&place->words[i], words[i], memory_order_relaxed);
    }
    atomic_store_explicit(&place->sequence, sequence + 2, memory_order_release);
}

void sm_board_read(const sm_board_place *place, sm_board_entry *entry)
{
    enum { MOST_TRIES = 1000 }; /* a rank stopped while writing must not stop its readers */
    uint64_t words[ENTRY_WORDS];
    for (int tries = 0; tries < MOST_TRIES; tries++) {
        uint64_t before = atomic_load_explicit(&place->sequence, memory_order_acquire);
        for (int i = 0; i < ENTRY_WORDS; i++) {
            words[i] = atomic_load_explicit(&place->words[i], memory_order_relaxed);
        }
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && atomic_load_explicit(&place->sequence, memory_order_relaxed) == before) {
            break;
        }
    }
    memcpy(entry, words, sizeof words);
    entry->phase[SM_BOARD_TEXT - 1] = entry->waiting[SM_BOARD_TEXT - 1] = 0;
}

int sm_board_claim(sm_board_place *place)
{
    return atomic_exchange(&place->claimed, 1) == 0;
}

#define LINE_FORMAT "rank %d\t%lld\t%lld\t%.3f\t%lld\t%lld\t%.3f\t%llu\t"

void sm_board_print(FILE *file, int rank, const sm_board_entry *e, double now)
{
    fprintf(file, LINE_FORMAT "%s\t%s\n", rank, (long long)e->step, (long long)e->detail, now - e->since_seconds,
            (long long)e->bucket, (long long)e->buckets, now - e->waiting_since_seconds,
            (unsigned long long)e->collectives, e->phase, e->waiting);
}

static void copy_text(char *to, const char *from, size_t length)
{
    length = length < SM_BOARD_TEXT - 1 ? length : SM_BOARD_TEXT - 1;
    memcpy(to, from, length);
    to[length] = 0;
}

int sm_board_parse(const char *line, int *rank, sm_board_entry *entry, double now, double add)
{
    long long step, detail, bucket, buckets;
    unsigned long long collectives;
    double age, waiting_age;
    int used = 0;
    int found = sscanf(line, "rank %d %lld %lld %lf %lld %lld %lf %llu%n", rank, &step, &detail, &age, &bucket,
                       &buckets, &waiting_age, &collectives, &used);
    if (found != 8 || line[used] != '\t') {
        return 0;
    }
    const char *phase = line + used + 1;
    size_t phase_length = strcspn(phase, "\t\n");
    const char *waiting = phase[phase_length] == '\t' ? phase + phase_length + 1 : "";
    *entry = (sm_board_entry){.step = step,
                              .detail = detail,
                              .since_seconds = now - add - age,
                              .bucket = bucket,
                              .buckets = buckets,
                              .waiting_since_seconds = now - add - waiting_age,
                              .collectives = collectives};
    copy_text(entry->phase, phase, phase_length);
    copy_text(entry->waiting, waiting, strcspn(waiting, "\n"));
    return 1;
}
