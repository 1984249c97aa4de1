/* ranks: 1 */
/* Rows that programs add to the tables of backbones, weightings and task kinds: what is refused, and that nothing of it stays.
 * tests/examples/ add rows that train. */
#include "harness.h"

#include <sigmatic/io/choices.h>
#include <sigmatic/model/network.h>
#include <sigmatic/task/task.h>
#include <sigmatic/train/settings.h>
#include <sigmatic/weighting/weighting.h>

#include <stdio.h>
#include <string.h>

static sm_features append_nothing(sm_graph *graph, int input, const sm_network_options *options)
{
    (void)graph;
    (void)options;
    return (sm_features){input, -1};
}

static void weigh_nothing(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    (void)weighting;
    (void)step;
    (void)out;
}

static void backbones_that_cannot_be_are_refused(void)
{
    const sm_backbone twice = {.name = "resnet18", .append = append_nothing}, none = {.name = "none"},
                      worded = {.name = "two words", .append = append_nothing};
    CU_ASSERT_EQUAL(sm_backbone_register(&twice), SM_ERR_USAGE);
    SM_TEST_MESSAGE("there is a backbone 'resnet18' already");
    CU_ASSERT_EQUAL(sm_backbone_register(&none), SM_ERR_USAGE);
    SM_TEST_MESSAGE("backbone 'none': its function `append` is missing");
    CU_ASSERT_EQUAL(sm_backbone_register(&worded), SM_ERR_USAGE);
    SM_TEST_MESSAGE("a backbone named 'two words'");
}

static void weightings_that_cannot_be_are_refused(void)
{
    const sm_weighting_kind twice = {.name = "equal", .weigh = weigh_nothing}, none = {.name = "none"},
                            nameless = {.weigh = weigh_nothing};
    CU_ASSERT_EQUAL(sm_weighting_register(&twice), SM_ERR_USAGE);
    SM_TEST_MESSAGE("there is a weighting 'equal' already");
    CU_ASSERT_EQUAL(sm_weighting_register(&none), SM_ERR_USAGE);
    SM_TEST_MESSAGE("weighting 'none': its function `weigh` is missing");
    CU_ASSERT_EQUAL(sm_weighting_register(&nameless), SM_ERR_USAGE);
    SM_TEST_MESSAGE("a weighting named ''");
}

static void task_kinds_that_cannot_be_are_refused(void)
{
    sm_task_kind kind = *sm_task_kind_find("depth");
    kind.metrics = NULL;
    CU_ASSERT_EQUAL(sm_task_kind_register(&kind), SM_ERR_USAGE);
    SM_TEST_MESSAGE("task kind 'depth': expected losses, build_target, metrics");
    kind = *sm_task_kind_find("depth");
    kind.name = "a|b";
    CU_ASSERT_EQUAL(sm_task_kind_register(&kind), SM_ERR_USAGE);
    SM_TEST_MESSAGE("a task kind named 'a|b'");
}

/* What was refused is no choice of a config. */
static void refused_rows_leave_no_trace(void)
{
    sm_config *config = sm_config_new(sm_all_keys());
    CU_ASSERT_EQUAL(sm_config_set(config, "model.backbone=none"), SM_ERR_CONFIG);
    CU_ASSERT_EQUAL(sm_config_set(config, "weighting.method=none"), SM_ERR_CONFIG);
    sm_config_free(config);
}

/* The table takes rows until it is full, and says so; each is a choice, in its order. */
static void a_table_that_is_full_says_so(void)
{
    enum { MORE = 100 };
    static sm_weighting_kind kinds[MORE];
    static char names[MORE][16];
    int taken = 0, before = 0;
    while (sm_weighting_kinds[before]) {
        before++;
    }
    for (sm_status status = SM_OK; taken < MORE && status == SM_OK; taken += status == SM_OK) {
        snprintf(names[taken], sizeof names[taken], "own_%d", taken);
        kinds[taken] = (sm_weighting_kind){.name = names[taken], .weigh = weigh_nothing};
        status = sm_weighting_register(&kinds[taken]);
    }
    CU_ASSERT(taken > 8 && taken < MORE);
    SM_TEST_MESSAGE("the table has");
    sm_config *config = sm_config_new(sm_all_keys());
    char *set = sm_format("weighting.method=own_%d", taken - 1);
    SM_TEST_OK(sm_config_set(config, set));
    CU_ASSERT_EQUAL(sm_config_choice(config, "weighting", "method"), before + taken - 1);
    CU_ASSERT_PTR_EQUAL(sm_weighting_kinds[before + taken - 1], &kinds[taken - 1]);
    sm_free(set);
    sm_config_free(config);
}

static void names_are_found_whole(void)
{
    char choices[12] = "ab|c";
    CU_ASSERT(sm_choices_has(choices, "ab") && sm_choices_has(choices, "c"));
    CU_ASSERT(!sm_choices_has(choices, "a") && !sm_choices_has(choices, "b") && !sm_choices_has(choices, "abc"));
    SM_TEST_OK(sm_choices_add(choices, sizeof choices, "letter", "defghi"));
    CU_ASSERT_STRING_EQUAL(choices, "ab|c|defghi");
    CU_ASSERT_EQUAL(sm_choices_add(choices, sizeof choices, "letter", "j"), SM_ERR_USAGE);
    SM_TEST_MESSAGE("letter 'j': no room");
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(backbones_that_cannot_be_are_refused);
    SM_TEST(weightings_that_cannot_be_are_refused);
    SM_TEST(task_kinds_that_cannot_be_are_refused);
    SM_TEST(refused_rows_leave_no_trace);
    SM_TEST(a_table_that_is_full_says_so);
    SM_TEST(names_are_found_whole);
    return sm_test_end();
}
