#include <sigmatic/base/random.h>
#include <sigmatic/data/sampler.h>

#include <assert.h>

enum { FEISTEL_ROUNDS = 12 };

/* Bijection of [0, 4^half_bits): the halves change places in each round, one masked with a random function of the
 * other. Twelve rounds because the halves of small sets have only a few bits. */
static uint64_t permute(const uint32_t key[2], int64_t epoch, int half_bits, uint64_t value)
{
    uint32_t mask = ((uint32_t)1 << half_bits) - 1;
    uint32_t left = (uint32_t)(value >> half_bits) & mask, right = (uint32_t)value & mask;
    for (uint32_t round = 0; round < FEISTEL_ROUNDS; round++) {
        uint32_t counter[4] = {right, round, (uint32_t)epoch, (uint32_t)((uint64_t)epoch >> 32)}, random[4];
        sm_philox(key, counter, random);
        uint32_t swapped = left ^ (random[0] & mask);
        left = right;
        right = swapped;
    }
    return (uint64_t)left << half_bits | right;
}

int64_t sm_sampler_index(uint64_t seed, int64_t epoch, int64_t count, int64_t position)
{
    assert(count >= 1 && count <= (int64_t)1 << 62 && position >= 0 && position < count);
    uint64_t named = seed ^ sm_hash("order of samples");
    uint32_t key[2] = {(uint32_t)named, (uint32_t)(named >> 32)};
    int half_bits = 1;
    while ((int64_t)1 << 2 * half_bits < count) {
        half_bits++;
    }
    uint64_t value = (uint64_t)position;
    do {
        value = permute(key, epoch, half_bits, value);
    } while (value >= (uint64_t)count);
    return (int64_t)value;
}

void sm_sampler_share(int64_t count, int part, int parts, int64_t *first, int64_t *share)
{
    assert(count >= 0 && parts >= 1 && part >= 0 && part < parts);
    int64_t base = count / parts, more = count % parts;
    *share = base + (part < more);
    *first = part * base + (part < more ? part : more);
}

sm_sampler_step sm_sampler_step_at(int64_t position, int64_t count, int64_t batch, int rank, int size)
{
    assert(position >= 0 && count >= 1 && batch >= 1);
    sm_sampler_step step = {.epoch = position / count, .first_global = position % count};
    int64_t left = count - step.first_global;
    step.count_global = batch < left ? batch : left;
    sm_sampler_share(step.count_global, rank, size, &step.first_local, &step.count_local);
    return step;
}

int64_t sm_sampler_steps(int64_t count, int64_t batch, int64_t epochs)
{
    return epochs * ((count + batch - 1) / batch);
}

int64_t sm_sampler_steps_left(int64_t position, int64_t count, int64_t batch, int64_t epochs)
{
    int64_t epoch = position / count, left = count - position % count;
    return epoch >= epochs ? 0 : (left + batch - 1) / batch + sm_sampler_steps(count, batch, epochs - epoch - 1);
}
