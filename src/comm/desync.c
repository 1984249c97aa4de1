#include <sigmatic/base/clones.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>

#include <string.h>

enum { LANES = 8 };

/* Any odd number will do: multiplication by it loses nothing, so that one changed word always shows. */
static const uint64_t multiplier = 0x9E3779B97F4A7C15u;

static SM_CLONES(void, absorb, (uint64_t *restrict lanes, const char *restrict data, size_t blocks),
                 (lanes, data, blocks))
{
    uint64_t h[LANES], word[LANES];
    memcpy(h, lanes, sizeof h);
    for (size_t i = 0; i < blocks; i++) {
        memcpy(word, data + i * sizeof word, sizeof word);
        for (int l = 0; l < LANES; l++) {
            h[l] = h[l] * multiplier + word[l];
        }
    }
    memcpy(lanes, h, sizeof h);
}

/* Eight polynomials in the words of the data modulo 2^64, one after the other absorbed by a ninth. */
static uint64_t checksum(const void *data, size_t bytes)
{
    uint64_t lanes[LANES] = {0}, sum = bytes;
    char rest[LANES * sizeof *lanes] = {0};
    size_t blocks = bytes / sizeof rest, whole = blocks * sizeof rest;
    absorb(lanes, data, blocks);
    if (whole < bytes) {
        memcpy(rest, (const char *)data + whole, bytes - whole);
        absorb(lanes, rest, 1);
    }
    for (int l = 0; l < LANES; l++) {
        sum = (sum ^ lanes[l] ^ lanes[l] >> 32) * multiplier;
    }
    return sum ^ sum >> 29;
}

static int votes_for(const uint64_t *all, int size, int rank)
{
    int votes = 0;
    for (int r = 0; r < size; r++) {
        votes += all[r] == all[rank];
    }
    return votes;
}

/* The majority is right; of two halves that of the lower rank. */
static sm_status name_first(const uint64_t *all, int size, const char *what)
{
    int right = 0, wrong = 0;
    for (int r = 1; r < size; r++) {
        right = votes_for(all, size, r) > votes_for(all, size, right) ? r : right;
    }
    while (all[wrong] == all[right]) {
        wrong++;
    }
    return sm_fail(SM_ERR_COMM,
                   "%s differ between ranks: rank %d has the checksum %016llx, rank %d and %d more have %016llx", what,
                   wrong, (unsigned long long)all[wrong], right, votes_for(all, size, right) - 1,
                   (unsigned long long)all[right]);
}

sm_status sm_comm_checksum_agrees(sm_comm *comm, const void *data, size_t bytes, const char *what)
{
    uint64_t own = checksum(data, bytes);
    int64_t extremes[2];
    memcpy(&extremes[0], &own, sizeof own);
    extremes[1] = ~extremes[0]; /* its maximum is the complement of the minimum */
    sm_comm_max_int64(comm, extremes, 2);
    if (extremes[0] == ~extremes[1]) {
        return SM_OK;
    }
    size_t size = (size_t)sm_comm_size(comm);
    double bits, *gathered = sm_alloc(size * sizeof *gathered);
    uint64_t *all = sm_alloc(size * sizeof *all);
    memcpy(&bits, &own, sizeof own); /* copied by the message, never read as a number */
    sm_comm_gather_double(comm, &bits, 1, gathered);
    memcpy(all, gathered, size * sizeof *all);
    sm_status status = name_first(all, (int)size, what);
    sm_free(gathered);
    sm_free(all);
    return status;
}
