/* ranks: 1 */
#include "harness.h"

#include <sigmatic/base/clones.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/base/random.h>
#include <sigmatic/base/status.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Known-answer vectors of the Random123 distribution (philox 4x32-10). */
static void philox_gives_the_published_numbers(void)
{
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint32_t out[4];
        sm_philox(vectors[i].key, vectors[i].counter, out);
        CU_ASSERT(memcmp(out, vectors[i].expected, sizeof out) == 0);
    }
}

static void normal_numbers_have_the_moments(void)
{
    enum { COUNT = 200000 };
    double sum = 0, squares = 0;
    sm_random random = sm_random_new(1, 2, 3);
    for (int i = 0; i < COUNT; i++) {
        double x = sm_random_normal(&random);
        sum += x;
        squares += x * x;
    }
    /* 5 standard errors: 5 / sqrt(n), 5 sqrt(2 / n) */
    SM_TEST_AT_MOST(fabs(sum / COUNT), 5 / sqrt(COUNT));
    SM_TEST_AT_MOST(fabs(squares / COUNT - 1), 5 * sqrt(2.0 / COUNT));
}

static void bounded_integers_cover_their_range(void)
{
    int seen[7] = {0};
    sm_random random = sm_random_new(1, 2, 4);
    for (int i = 0; i < 7000; i++) {
        uint32_t value = sm_random_below(&random, 7);
        CU_ASSERT_FATAL(value < 7);
        seen[value]++;
    }
    for (int i = 0; i < 7; i++) {
        SM_TEST_AT_MOST(abs(seen[i] - 1000), 150); /* 5 sigma = 146 */
    }
}

static void memory_is_aligned_counted_and_kept_by_realloc(void)
{
    size_t before = sm_memory_held_bytes();
    char *memory = sm_alloc(100);
    CU_ASSERT((uintptr_t)memory % SM_ALIGNMENT_BYTES == 0);
    memset(memory, 7, 100);
    memory = sm_realloc(memory, 3 << 20);
    CU_ASSERT((uintptr_t)memory % 4096 == 0);
    CU_ASSERT(memory[0] == 7 && memory[99] == 7);
    CU_ASSERT(sm_memory_held_bytes() == before + (3 << 20));
    sm_free(memory);
    sm_free(NULL);
    CU_ASSERT(sm_memory_held_bytes() == before);
}

static void a_message_may_quote_the_last_one(void)
{
    sm_fail(SM_ERR_IO, "inner");
    CU_ASSERT(sm_fail(SM_ERR_INPUT, "outer: %s", sm_error_message()) == SM_ERR_INPUT);
    CU_ASSERT_STRING_EQUAL(sm_error_message(), "outer: inner");
}

/* What the other tests measure with. */
static void expect_question(const char *wanted, const char *expected)
{
    static const char *const words[] = {"price", "size", "x", "", "semantic"};
    sm_nearest nearest = {.wanted = wanted};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        sm_nearest_consider(&nearest, words[i]);
    }
    char *question = sm_nearest_question(&nearest);
    CU_ASSERT_STRING_EQUAL(question, expected);
    sm_free(question);
}

static void a_word_that_is_near_is_asked_for(void)
{
    expect_question("prise", "; did you mean 'price'?");
    expect_question("semantics", "; did you mean 'semantic'?");
    expect_question("xs", "; did you mean 'x'?");
    expect_question("y", ""); /* nothing in common */
    expect_question("weight", "");
    expect_question("", "");
}

static void a_nan_is_the_worst_error(void)
{
    const float numbers[3] = {1, 2, 3}, one_less[3] = {1, NAN, 3.5f};
    double worst = 0;
    CU_ASSERT(sm_test_worse(&worst, 1) && !sm_test_worse(&worst, 0.5) && worst == 1);
    CU_ASSERT(sm_test_worse(&worst, NAN) && !sm_test_worse(&worst, 1e-7) && !sm_test_worse(&worst, INFINITY));
    CU_ASSERT(isnan(worst) && isnan(sm_test_max_error(numbers, one_less, 3)));
    CU_ASSERT(isnan(sm_test_relative_error(numbers, one_less, 3)));
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O2") /* below, gcc leaves a product and a sum apart */
#endif
static SM_CLONES(float, multiply_add, (float a, float b, float c), (a, b, c))
{
    return a * b + c;
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

/* (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24, the last term of which a rounded product loses: AVX2's CPUs do not round it. */
static void loops_use_the_vectors_that_they_may(void)
{
    sm_vectors before = sm_vectors_in_use;
    const volatile float a = 1 + 0x1p-12f, c = -1 - 0x1p-11f;
    for (int most = SM_VECTORS_PLAIN; most <= SM_VECTORS_AVX512; most++) {
        sm_vectors_limit((sm_vectors)most);
        CU_ASSERT((int)sm_vectors_in_use <= most && sm_vectors_in_use <= sm_vectors_of_cpu());
#ifdef __x86_64__
        CU_ASSERT_EQUAL(multiply_add(a, a, c), sm_vectors_in_use == SM_VECTORS_PLAIN ? 0 : 0x1p-24f);
#else
        SM_TEST_AT_MOST(fabs(multiply_add(a, a, c)), 0x1p-24);
#endif
    }
    sm_vectors_limit(SM_VECTORS_AVX512);
    CU_ASSERT_EQUAL(sm_vectors_in_use, sm_vectors_of_cpu());
    sm_vectors_limit(before);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(philox_gives_the_published_numbers);
    SM_TEST(normal_numbers_have_the_moments);
    SM_TEST(bounded_integers_cover_their_range);
    SM_TEST(memory_is_aligned_counted_and_kept_by_realloc);
    SM_TEST(a_message_may_quote_the_last_one);
    SM_TEST(a_word_that_is_near_is_asked_for);
    SM_TEST(a_nan_is_the_worst_error);
    SM_TEST(loops_use_the_vectors_that_they_may);
    return sm_test_end();
}
