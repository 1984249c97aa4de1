/* ranks: 1 */
/* What is said of keys: the list, one key or section in sentences, the reference; and that all of training's have a text. */
#define _XOPEN_SOURCE 700
#include "config_keys.h"
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/config_help.h>
#include <sigmatic/train/settings.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* All that was printed into a temporary file; freed with sm_free(). */
static char *printed(FILE *stream)
{
    size_t bytes = (size_t)ftell(stream);
    char *text = sm_alloc_zeroed(bytes + 1);
    rewind(stream);
    CU_ASSERT(fread(text, 1, bytes, stream) == bytes);
    fclose(stream);
    return text;
}

static void the_list_names_every_key(void)
{
    FILE *stream = tmpfile();
    sm_config_help(test_keys, stream);
    char *text = printed(stream);
    for (const sm_key *const *table = test_keys; *table; table++) {
        for (const sm_key *key = *table; key->section; key++) {
            if (key->type == SM_KEY_FORMER || key->type == SM_KEY_ELSEWHERE) {
                CU_ASSERT(!strstr(text, key->choices));
            } else {
                CU_ASSERT(strstr(text, key->name) && strstr(text, key->section) && strstr(text, key->help));
            }
        }
    }
    CU_ASSERT(strstr(text, "required") && strstr(text, "sgd|adamw") && strstr(text, "1 .. 1000"));
    CU_ASSERT(strstr(text, "at least 1 epochs") != NULL);
    sm_free(text);
}

static const sm_key_condition conditions[] = {
    {"optimizer", "betas", "optimizer", "kind", "adamw"},
    {"optimizer", "milestones", "run", "verbose", "false|no|off"},
    {"optimizer", "milestones", "run", "title", "!"},
    {"optimizer", "learning_rate", "run", "epochs", "!1|2|3"},
    {0},
};
static const sm_key_text texts[] = {
    {"optimizer", NULL, "All of the optimiser.", NULL},
    {"optimizer", "kind", "The a|b rule.", "run.seed, optimizer.betas, run.epochs"},
    {0},
};
static const sm_config_manual manual = {test_keys, conditions, texts};

static void explains(const char *topic, const char *expected)
{
    FILE *stream = tmpfile();
    SM_TEST_OK(sm_config_explain(&manual, topic, stream));
    SM_TEST_OK(sm_config_explain(&manual, topic, NULL));
    char *text = printed(stream);
    CU_ASSERT_STRING_EQUAL(text, expected);
    if (strcmp(text, expected) != 0) {
        printf("%s", text);
    }
    sm_free(text);
}

static void a_key_is_explained_in_sentences(void)
{
    explains("run.folder", "[run] folder is a path; it must be given.\n    where the run is kept\n");
    explains("optimizer.kind", "[optimizer] kind is one of sgd or adamw; by default sgd.\n"
                               "    The a|b rule. It decides whether these have an effect: betas. See also run.seed, "
                               "run.epochs.\n");
    explains("optimizer.betas",
             "[optimizer] betas is a list of numbers, separated by commas, each from 0 to 1; by default 0.9,0.999.\n"
             "    decay of the moments It has no effect unless optimizer.kind = adamw.\n");
    explains("optimizer.milestones",
             "[optimizer] milestones is a list of whole numbers, separated by commas, each at least 1, in epochs;\n"
             "by default 10, 20.\n"
             "    when to decay It has no effect unless run.verbose = false, nor where run.title is empty.\n");
    explains("optimizer.learning_rate", "[optimizer] learning_rate is a number, at least 0; by default 0.01.\n"
                                        "    step size It has no effect where run.epochs = 1, 2 or 3.\n");
    explains("optimizer.metrics",
             "[optimizer] metrics is a list of texts, separated by commas, each one of iou, depth or "
             "error; by\ndefault it is empty.\n    what to report\n");
    const char weight[] = "[task.NAME] weight is a number from 0 to 100; by default 1.\n    of its loss\n";
    explains("task.NAME.weight", weight);
    explains("task.weight", weight);
    explains("task.mine.weight", weight);
    explains("weight", weight);
    explains("task.mine",
             "[task.NAME]\n\n[task.NAME] kind is one of semantic or depth; it must be given.\n    what is learnt\n\n"
             "[task.NAME] weight is a number from 0 to 100; by default 1.\n    of its loss\n");
    explains("head", "[head.NAME]\n\n[head.NAME] width is a whole number from 1 to 4096, in channels; by default 256.\n"
                     "    of the head\n");
    explains("kind",
             "[optimizer] kind is one of sgd or adamw; by default sgd.\n"
             "    The a|b rule. It decides whether these have an effect: betas. See also run.seed, run.epochs.\n"
             "\n[task.NAME] kind is one of semantic or depth; it must be given.\n    what is learnt\n");

    explains("max_iter",
             "max_iter is called run.epochs here: passes, not steps.\n\n"
             "[run] epochs is a whole number from 1 to 1000; by default 10.\n"
             "    passes over the data It decides whether these have an effect: optimizer.learning_rate.\n");

    static const struct {
        const char *topic, *part;
    } unknown[] = {
        {"gpus", "--help-config: there is no key 'gpus': mpirun says how many"},
        {"run.devices", "--help-config: there is no key 'run.devices': mpirun says how many"},
        {"run.epoch", "--help-config: [run] has no key 'epoch', did you mean 'epochs'?"},
        {"task.mine.wieght", "[task.NAME] has no key 'wieght', did you mean 'weight'?"},
        {"runn.epochs", "unknown section [runn], did you mean [run]?"},
        {"optimiser", "unknown section [optimiser], did you mean [optimizer]?"},
        {"epoch", "there is no section or key 'epoch', did you mean run.epochs?"},
        {"", "unknown section []"},
    };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CU_ASSERT(sm_config_explain(&manual, unknown[i].topic, NULL) == SM_ERR_CONFIG);
        SM_TEST_MESSAGE(unknown[i].part);
    }
}

static void the_reference_is_a_table_a_section(void)
{
    FILE *stream = tmpfile();
    sm_config_reference(&manual, stream);
    char *text = printed(stream);
    const char *optimizer =
        strstr(text, "\n### [optimizer]\n\nAll of the optimiser.\n\n| key | value | default | |\n"
                     "|---|---|---|---|\n| `kind` | one of sgd or adamw | `sgd` | The a\\|b rule. It decides");
    CU_ASSERT(optimizer != NULL);
    CU_ASSERT(strstr(text, "| `folder` | a path | required | where the run is kept |\n") != NULL);
    CU_ASSERT(strstr(text, "| `title` | a text | empty | a line for people It decides") != NULL);
    sm_free(text);
}

static const sm_key *find_key(const sm_key *const *table, const char *section, const char *name)
{
    for (; *table; table++) {
        for (const sm_key *key = *table; key->section; key++) {
            if (key->type != SM_KEY_ELSEWHERE && strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0) {
                return key;
            }
        }
    }
    return NULL;
}

static int has_text(const char *section, const char *name)
{
    int found = 0;
    for (const sm_key_text *t = sm_key_texts; t->section; t++) {
        found += t->key && strcmp(t->section, section) == 0 && strcmp(t->key, name) == 0;
    }
    return found == 1;
}

/* Says which row of src/train/key_texts.c is wrong or missing. */
static void wants(int is_right, const char *what, const char *section, const char *key)
{
    CU_ASSERT(is_right);
    if (!is_right) {
        printf("src/train/key_texts.c: [%s] %s: %s\n", section, key, what);
    }
}

static void every_key_of_training_has_a_text(void)
{
    const sm_config_manual training = sm_settings_manual();
    for (const sm_key *const *table = training.tables; *table; table++) {
        for (const sm_key *key = *table; key->section; key++) {
            wants(key->type == SM_KEY_FORMER || key->type == SM_KEY_ELSEWHERE || has_text(key->section, key->name),
                  "one row expected", key->section, key->name);
        }
    }
    for (const sm_key_text *t = sm_key_texts; t->section; t++) {
        size_t length = strlen(t->text);
        const char *name = t->key ? t->key : "";
        wants(!t->key || find_key(training.tables, t->section, t->key), "there is no such key", t->section, name);
        wants(length > 0 && t->text[length - 1] == '.', "sentences expected", t->section, name);
        char *see = sm_strdup(t->see ? t->see : "");
        for (char *rest, *item = strtok_r(see, ", ", &rest); item; item = strtok_r(NULL, ", ", &rest)) {
            wants(sm_config_explain(&training, item, NULL) == SM_OK, "it names a key that does not exist", t->section,
                  name);
        }
        sm_free(see);
    }
    for (const sm_key_condition *c = training.conditions; c->section; c++) {
        wants(find_key(training.tables, c->section, c->key) &&
                  find_key(training.tables, c->other_section, c->other_key),
              "a condition names a key that does not exist", c->section, c->key);
    }
}

/* Each word once, none that is a key there itself; what they mean is a key. */
static void words_of_others_mean_keys(void)
{
    const sm_key *const *all = sm_all_keys();
    sm_config *config = sm_config_new(all);
    for (const sm_key *row = sm_keys_elsewhere; row->section; row++) {
        CU_ASSERT(row->type == SM_KEY_ELSEWHERE && (*row->section || row->help));
        CU_ASSERT(!row->name || !*row->section || find_key(all, row->section, row->name));
        char *words = sm_strdup(row->choices);
        for (char *rest, *word = strtok_r(words, "|", &rest); word; word = strtok_r(NULL, "|", &rest)) {
            int is_local = *word == '.'; /* only there; the others wherever they stand */
            char *assignment =
                sm_format("%s%s%s=x", is_local ? row->section : "", is_local ? "." : "", word + is_local);
            char *meant = sm_format("here it is called %s.%s", row->section, row->name ? row->name : "");
            CU_ASSERT(!find_key(all, row->section, word + (*word == '.')));
            if (row->name && sm_config_set(config, assignment) == SM_ERR_CONFIG &&
                !strstr(sm_error_message(), *row->section ? meant : row->help)) {
                CU_FAIL("a word stands in two rows");
                printf("src/train/keys_elsewhere.c: [%s] %s: %s: %s\n", row->section, row->name, word,
                       sm_error_message());
            }
            sm_free(assignment);
            sm_free(meant);
        }
        sm_free(words);
    }
    sm_config_free(config);
}

static void nothing_is_leaked(void)
{
    size_t before = sm_memory_held_bytes();
    the_list_names_every_key();
    a_key_is_explained_in_sentences();
    words_of_others_mean_keys();
    the_reference_is_a_table_a_section();
    CU_ASSERT(sm_memory_held_bytes() == before);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(the_list_names_every_key);
    SM_TEST(a_key_is_explained_in_sentences);
    SM_TEST(the_reference_is_a_table_a_section);
    SM_TEST(every_key_of_training_has_a_text);
    SM_TEST(words_of_others_mean_keys);
    SM_TEST(nothing_is_leaked);
    return sm_test_end();
}
