#include <sigmatic/base/random.h>

#include <math.h>

void sm_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

sm_random sm_random_new(uint64_t seed, uint64_t stream, uint32_t substream)
{
    return (sm_random){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                       .counter = {0, substream, (uint32_t)stream, (uint32_t)(stream >> 32)},
                       .used = 4};
}

uint32_t sm_random_u32(sm_random *random)
{
    if (random->used == 4) {
        sm_philox(random->key, random->counter, random->block);
        random->counter[0]++;
        random->used = 0;
    }
    return random->block[random->used++];
}

float sm_random_uniform(sm_random *random)
{
    return (float)(sm_random_u32(random) >> 8) * 0x1p-24f;
}

float sm_random_range(sm_random *random, float low, float high)
{
    return low + (high - low) * sm_random_uniform(random);
}

uint32_t sm_random_below(sm_random *random, uint32_t bound)
{
    /* Lemire's multiplication; the draws that would make some results likelier are thrown away. */
    uint32_t threshold = (uint32_t)(-bound) % bound;
    for (;;) {
        uint64_t product = (uint64_t)sm_random_u32(random) * bound;
        if ((uint32_t)product >= threshold) {
            return (uint32_t)(product >> 32);
        }
    }
}

float sm_random_normal(sm_random *random)
{
    float radius = sqrtf(-2.0f * logf(1.0f - sm_random_uniform(random)));
    return radius * cosf(6.28318530718f * sm_random_uniform(random));
}

uint64_t sm_hash(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++) {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
    }
    return hash;
}
