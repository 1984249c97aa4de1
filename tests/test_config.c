/* ranks: 1 */
#define _XOPEN_SOURCE 700
#include "config_keys.h"
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/config.h>
#include <sigmatic/io/config_entries.h>
#include <sigmatic/io/file.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char path[512];

/* Writes a file into the scratch folder. */
static const char *written(const char *name, const char *text)
{
    snprintf(path, sizeof path, "%s/%s", sm_test_folder(), name);
    FILE *file = fopen(path, "w");
    CU_ASSERT_FATAL(file != NULL);
    fputs(text, file);
    fclose(file);
    return path;
}

static sm_config *fresh(void)
{
    sm_config *config = sm_config_new(test_keys);
    return config;
}

/* Reading `text` fails with `status` and a message that holds `part`. */
static void refuses(const char *text, sm_status status, const char *part)
{
    sm_config *config = fresh();
    CU_ASSERT(sm_config_read(config, written("bad.ini", text)) == status);
    SM_TEST_MESSAGE(part);
    sm_config_free(config);
}

static void refuses_set(const char *assignment, const char *part)
{
    sm_config *config = fresh();
    CU_ASSERT(sm_config_set(config, assignment) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("--set: ");
    SM_TEST_MESSAGE(part);
    sm_config_free(config);
}

static void defaults_hold_until_a_file_speaks(void)
{
    sm_config *config = fresh();
    size_t count;
    CU_ASSERT(sm_config_integer(config, "run", "epochs") == 10);
    CU_ASSERT(!sm_config_bool(config, "run", "verbose"));
    CU_ASSERT(sm_config_choice(config, "optimizer", "kind") == 0);
    CU_ASSERT(sm_config_integers(config, "optimizer", "milestones", &count)[1] == 20 && count == 2);
    CU_ASSERT(sm_config_reals(config, "optimizer", "betas", &count)[1] == 0.999 && count == 2);
    sm_config_texts(config, "optimizer", "metrics", &count);
    CU_ASSERT(count == 0);
    CU_ASSERT(sm_config_sections(config, "task", NULL) == 0);
    sm_config_free(config);
}

static void a_file_sets_every_type(void)
{
    sm_config *config = fresh();
    const char *text =
        "\xEF\xBB\xBF; comment\n# comment\r\n  [run] ; comment\r\n"
        "   folder = /data/a b ; comment\n\tepochs=20\n verbose = yes\n title = \xC3\xA4;# = : x\nseed=-7\n"
        "[optimizer]\nkind = adamw\nlearning_rate = 2.5e-3\nmilestones = 30,40 , 50\nbetas = .8\n"
        "metrics = depth, iou\n[task.one]\nkind = depth\n[head.x]\n[task.two]\nkind = semantic\nweight=2";
    size_t count;
    SM_TEST_OK(sm_config_read(config, written("good.ini", text)));
    SM_TEST_OK(sm_config_check(config));
    CU_ASSERT_STRING_EQUAL(sm_config_text_of(config, "run", "folder"), "/data/a b");
    CU_ASSERT_STRING_EQUAL(sm_config_text_of(config, "run", "title"), "\xC3\xA4;# = : x");
    CU_ASSERT(sm_config_integer(config, "run", "epochs") == 20);
    CU_ASSERT(sm_config_bool(config, "run", "verbose") == 1);
    CU_ASSERT(sm_config_integer(config, "run", "seed") == -7);
    CU_ASSERT(sm_config_choice(config, "optimizer", "kind") == 1);
    CU_ASSERT_STRING_EQUAL(sm_config_text_of(config, "optimizer", "kind"), "adamw");
    CU_ASSERT(sm_config_real(config, "optimizer", "learning_rate") == 2.5e-3);
    const int64_t *milestones = sm_config_integers(config, "optimizer", "milestones", &count);
    CU_ASSERT(count == 3 && milestones[0] == 30 && milestones[2] == 50);
    CU_ASSERT(sm_config_reals(config, "optimizer", "betas", &count)[0] == .8 && count == 1);
    const char *const *metrics = sm_config_texts(config, "optimizer", "metrics", &count);
    CU_ASSERT(count == 2 && strcmp(metrics[0], "depth") == 0 && strcmp(metrics[1], "iou") == 0);
    const char *const *sections;
    CU_ASSERT_FATAL(sm_config_sections(config, "task", &sections) == 2);
    CU_ASSERT_STRING_EQUAL(sections[0], "task.one");
    CU_ASSERT_STRING_EQUAL(sm_config_instance(sections[1]), "two");
    CU_ASSERT(sm_config_real(config, "task.one", "weight") == 1 && sm_config_real(config, "task.two", "weight") == 2);
    CU_ASSERT(sm_config_sections(config, "head", &sections) == 1 && strcmp(sections[0], "head.x") == 0);
    CU_ASSERT(sm_config_integer(config, "head.x", "width") == 256);
    sm_config_free(config);
}

static void the_resolved_text_gives_the_same_config(void)
{
    sm_config *config = fresh(), *again = fresh();
    SM_TEST_OK(sm_config_read_text(config, "text",
                                   "[task.b]\nkind=depth\n[head.h]\nwidth=8\n[task.a]\nkind=semantic\n"
                                   "[run]\nfolder=x\ntitle=a \"b\" = c#d\n[optimizer]\nmilestones=\n"));
    SM_TEST_OK(sm_config_set(config, "optimizer.betas= 0.5 , 1 "));
    char *text = sm_config_text(config);
    SM_TEST_OK(sm_config_read_text(again, "checkpoint", text));
    char *text_again = sm_config_text(again);
    CU_ASSERT_STRING_EQUAL(text, text_again);
    CU_ASSERT(strstr(text, "title = a \"b\" = c#d\n") && strstr(text, "betas = 0.5 , 1\n"));
    CU_ASSERT(strstr(text, "epochs = 10\n") && strstr(text, "[task.b]") < strstr(text, "[task.a]"));
    size_t count;
    sm_config_integers(again, "optimizer", "milestones", &count);
    CU_ASSERT(count == 0);
    const char *const *sections;
    CU_ASSERT(sm_config_sections(again, "task", &sections) == 2 && strcmp(sections[0], "task.b") == 0);
    sm_free(text);
    sm_free(text_again);
    sm_config_free(config);
    sm_config_free(again);
}

static void mistakes_name_file_line_key_and_what_is_allowed(void)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"[run]\nepoch = 3\n", "bad.ini:2: [run] has no key 'epoch', did you mean 'epochs'?"},
        {"[run]\nlearning_rate = 3\n", "[run] has no key 'learning_rate', but [optimizer] has"},
        {"[head.a]\nqqqqqq = 3\n", "[head.a] has no key 'qqqqqq', expected one of width"},
        {"\n[optimiser]\n", "bad.ini:2: unknown section [optimiser], did you mean [optimizer]?"},
        {"[x]\n", "unknown section [x], expected one of [run], [optimizer], [task.NAME], [head.NAME]"},
        {"[task.2nd]\n", "bad.ini:1: [task.2nd]: '2nd' is not a name"},
        {"[task.]\n", "'' is not a name"},
        {"[task.a.b]\n", "'a.b' is not a name"},
        {"[task]\n", "[task] lacks a name: expected [task.NAME]"},
        {"[taks.one]\n", "unknown section [taks.one], did you mean [task.one]?"},
        {"[heads.one]\n", "unknown section [heads.one], did you mean [head.one]?"},
        {"[run]\nlerning_rate = 3\n", "[run] has no key 'lerning_rate', did you mean 'learning_rate' of [optimizer]?"},
        {"[run]\nMax-Iter = 3\n",
         "bad.ini:2: [run] has no key 'Max-Iter': here it is called run.epochs (passes, not steps)"},
        {"[run]\ntype = 3\n", "[run] has no key 'type', expected one of folder"},
        {"[task.one]\ntype = 3\n", "[task.one] has no key 'type': here it is called task.NAME.kind"},
        {"[run]\nsolver = 3\n", "[run] has no key 'solver': here it is called optimizer.kind"},
        {"[optimizer]\ntitle = 3\n", "[optimizer] has no key 'title': here it is called optimizer.kind"},
        {"[run]\nmetrics = 3\n", "[run] has no key 'metrics', but [optimizer] has"},
        {"[run]\ndevices = 3\n", "[run] has no key 'devices': mpirun says how many"},
        {"[trainer]\nmax_iter = 3\n", "bad.ini:1: unknown section [trainer]: here it is called [run]"},
        {"[task.one]\nwieght = 3\n", "bad.ini:2: [task.one] has no key 'wieght', did you mean 'weight'?"},
        {"[task.one]\nkind = semantc\n",
         "[task.one] kind = 'semantc': expected one of semantic|depth, did you mean 'semantic'?"},
        {"[run]\nverbose = ture\n", "'ture': expected true or false, did you mean 'true'?"},
        {"[run]\nepochs = ten\n", "bad.ini:2: [run] epochs = 'ten': expected an integer, 1 .. 1000"},
        {"[run]\nepochs = 1.5\n", "expected an integer"},
        {"[run]\nepochs = 7x\n", "expected an integer"},
        {"[run]\nepochs =\n", "[run] epochs = '': expected an integer"},
        {"[run]\nepochs = 0\n", "[run] epochs = '0': expected an integer, 1 .. 1000"},
        {"[run]\nseed = 9223372036854775808\n", "expected an integer"},
        {"[run]\nverbose = maybe\n", "[run] verbose = 'maybe': expected true or false"},
        {"[optimizer]\nkind = adam\n", "[optimizer] kind = 'adam': expected one of sgd|adamw, did you mean 'adamw'?"},
        {"[optimizer]\nkind = cg\n", "[optimizer] kind = 'cg': expected one of sgd|adamw"},
        {"[optimizer]\nkind = sgd|adamw\n", "expected one of sgd|adamw"},
        {"[optimizer]\nlearning_rate = -1\n", "'-1': expected a number, at least 0"},
        {"[optimizer]\nlearning_rate = nan\n", "'nan': expected a number"},
        {"[optimizer]\nlearning_rate = inf\n", "'inf': expected a number"},
        {"[optimizer]\nlearning_rate = 1e999\n", "'1e999': expected a number"},
        {"[optimizer]\nlearning_rate = 0x10\n", "'0x10': expected a number"},
        {"[optimizer]\nlearning_rate = 0.1f\n", "'0.1f': expected a number"},
        {"[optimizer]\nmilestones = 1,,2\n", "'1,,2': expected integers separated by commas, each at least 1"},
        {"[optimizer]\nmilestones = 1,2.5\n", "expected integers"},
        {"[optimizer]\nbetas = 0.9, 2\n", "expected numbers separated by commas, each 0 .. 1"},
        {"[optimizer]\nmetrics = iou, foo\n", "expected a list of iou|depth|error"},
        {"[optimizer]\nmetrics = iou, eror\n", "expected a list of iou|depth|error, did you mean 'error'?"},
        {"[run]\nepochs = 3\n[optimizer]\n[run]\nepochs = 3\n",
         "bad.ini:5: [run] epochs stands twice in this file, first at"},
        {"[run]\nepochs\n", "bad.ini:2: 'epochs' is neither [section] nor key = value"},
        {"[run]\nepochs\nfoo = 1\n", "bad.ini:2: 'epochs' is neither"},
        {"[run\nepochs = 2\n", "bad.ini:1: '[run': ']' is missing"},
        {"[run] epochs = 2\n", "bad.ini:1: '[run] epochs = 2': nothing but a comment"},
        {"epochs = 2\n", "bad.ini:1: 'epochs' stands before the first [section]"},
        {"[run]\ninclude = x.ini\n", "bad.ini:2: include may only stand before the first [section]"},
        {"include = nowhere.ini\n", "bad.ini:1: include = nowhere.ini: there is no file"},
        {"include = bad.ini\n", "bad.ini:1: include = bad.ini: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuses(cases[i].text, SM_ERR_CONFIG, cases[i].part);
    }
    sm_config *config = fresh();
    CU_ASSERT(sm_config_read(config, "/nowhere/x.ini") == SM_ERR_IO);
    SM_TEST_MESSAGE("/nowhere/x.ini: cannot be opened: No such file or directory");
    snprintf(path, sizeof path, "%s/zero.ini", sm_test_folder());
    SM_TEST_OK(sm_file_write_atomic(path, "[run]\0", 6));
    CU_ASSERT(sm_config_read(config, path) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("zero.ini: not a text file");
    sm_config_free(config);
}

/* What stands in a section that is not there is passed over: it would be told for each of its keys. */
static void all_mistakes_of_a_file_are_told_at_once(void)
{
    static const char text[] = "[run]\nfolder = x\nepoch = 3\n[runn]\nepochs = 3\n[optimizer]\nkind = best\n"
                               "[run]\nepochs = many\nno value\n";
    static const char *const parts[] = {":3: [run] has no key 'epoch'", "\n",
                                        ":4: unknown section [runn]",   ":7: [optimizer] kind",
                                        ":9: [run] epochs = 'many'",    ":10: 'no value' is neither"};
    sm_config *config = fresh();
    CU_ASSERT(sm_config_read(config, written("bad.ini", text)) == SM_ERR_CONFIG);
    int lines = 1;
    for (const char *at = sm_error_message(); *at; at++) {
        lines += *at == '\n';
    }
    CU_ASSERT(lines == 5);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        SM_TEST_MESSAGE(parts[i]);
    }
    sm_config_free(config);
    refuses("no section\nnor here\n", SM_ERR_CONFIG, ":1: 'no section' is neither [section] nor key = value");
    CU_ASSERT(strchr(sm_error_message(), '\n') == NULL);
}

static void a_line_may_be_of_any_length(void)
{
    enum { LENGTH = 5000 };
    sm_config *config = fresh(), *again = fresh();
    size_t count;
    char *text = sm_alloc(2 * LENGTH + 64), *one = sm_alloc_zeroed(LENGTH + 1);
    memset(one, 'x', LENGTH);
    snprintf(text, 2 * LENGTH + 64, "[run]\nfiles = %s, %s\r\nepochs = 3\n", one, one);
    SM_TEST_OK(sm_config_read_text(config, "text", text));
    char *resolved = sm_config_text(config);
    SM_TEST_OK(sm_config_read_text(again, "again", resolved));
    const char *const *files = sm_config_texts(again, "run", "files", &count);
    CU_ASSERT(count == 2 && strcmp(files[0], one) == 0 && strcmp(files[1], one) == 0);
    CU_ASSERT(sm_config_integer(again, "run", "epochs") == 3);
    snprintf(text, 2 * LENGTH + 64, "[run]\nepochs = %s\n", one);
    refuses(text, SM_ERR_CONFIG, "xxx': expected an integer, 1 .. 1000"); /* the end of the message is not cut off */
    sm_free(resolved);
    sm_free(text);
    sm_free(one);
    sm_config_free(config);
    sm_config_free(again);
}

/* `text` after "title = " means `meant`, also when the resolved text is read again. */
static void means(const char *text, const char *meant)
{
    char line[256];
    sm_config *config = fresh(), *again = fresh();
    snprintf(line, sizeof line, "[run]\ntitle = %s\n", text);
    SM_TEST_OK(sm_config_read_text(config, "text", line));
    CU_ASSERT_STRING_EQUAL(sm_config_text_of(config, "run", "title"), meant);
    char *resolved = sm_config_text(config);
    SM_TEST_OK(sm_config_read_text(again, "again", resolved));
    CU_ASSERT_STRING_EQUAL(sm_config_text_of(again, "run", "title"), meant);
    sm_free(resolved);
    sm_config_free(config);
    sm_config_free(again);
}

static void comments_begin_behind_a_blank_and_quotes_hide_them(void)
{
    means("a ; b", "a");
    means("a # b", "a");
    means("a\t#b", "a");
    means("# b", "");
    means("a#b;c", "a#b;c");
    means("\"a # b ; c\" ; d", "a # b ; c");
    means("\" a, b \"", " a, b ");
    means("\"\"", "");
    means("a \"b\" c", "a \"b\" c");
    means("a \"b # c\"", "a \"b");
    means("~", "~");
    refuses("[run]\ntitle = \"a\n", SM_ERR_CONFIG, "bad.ini:2: [run] title = '\"a': a quote is not closed");
    refuses("[run]\ntitle = \"a # b\n", SM_ERR_CONFIG, "[run] title = '\"a': a quote is not closed");
    refuses("[run]\ntitle = \"a\" b\n", SM_ERR_CONFIG, "something stands behind it");
    refuses_set("run.title=a #b", "begins a comment, unless it stands in \"quotes\"");
}

static void home_and_commas_in_paths(void)
{
    sm_config *config = fresh();
    size_t count;
    setenv("HOME", "/home/me", 1);
    SM_TEST_OK(sm_config_read_text(config, "text",
                                   "[run]\nfolder = ~/runs/x # mine\nfiles = ~/a.h5 , \"b, # c.h5\", d~, \"~/e f\"\n"));
    CU_ASSERT_STRING_EQUAL(sm_config_text_of(config, "run", "folder"), "/home/me/runs/x");
    const char *const *files = sm_config_texts(config, "run", "files", &count);
    CU_ASSERT_FATAL(count == 4);
    CU_ASSERT(!strcmp(files[0], "/home/me/a.h5") && !strcmp(files[1], "b, # c.h5"));
    CU_ASSERT(!strcmp(files[2], "d~") && !strcmp(files[3], "/home/me/e f"));
    char *resolved = sm_config_text(config);
    CU_ASSERT(strstr(resolved, "folder = ~/runs/x\n") && strstr(resolved, "files = ~/a.h5 , \"b, # c.h5\", d~, "));
    sm_free(resolved);
    SM_TEST_OK(sm_config_set(config, "run.folder=~"));
    CU_ASSERT_STRING_EQUAL(sm_config_text_of(config, "run", "folder"), "/home/me");
    refuses("[run]\nfiles = a, \"b, c\n", SM_ERR_CONFIG, "a quote is not closed");
    refuses("[run]\nfiles = a, \"\"\n", SM_ERR_CONFIG, "expected paths separated by commas");
    refuses("[run]\nfolder = ~you/x\n", SM_ERR_CONFIG, "[run] folder = '~you/x': only ~/ is understood");
    unsetenv("HOME");
    refuses("[run]\nfolder = ~/x\n", SM_ERR_CONFIG, "HOME, which is not set");
    setenv("HOME", sm_test_folder(), 1);
    written("home.ini", "[run]\nepochs = 7\n");
    SM_TEST_OK(sm_config_read(config, written("top.ini", "include = ~/home.ini # there\n")));
    CU_ASSERT(sm_config_integer(config, "run", "epochs") == 7);
    sm_config_free(config);
}

static void set_overrides_and_checks_like_a_file(void)
{
    sm_config *config = fresh();
    SM_TEST_OK(sm_config_read_text(config, "text", "[task.semantic]\nkind = semantic\nweight = 3\n"));
    SM_TEST_OK(sm_config_set(config, "task.semantic.weight=2"));
    SM_TEST_OK(sm_config_set(config, "task.semantic.weight = 4"));
    SM_TEST_OK(sm_config_set(config, "run.title=a=b"));
    CU_ASSERT(sm_config_real(config, "task.semantic", "weight") == 4);
    CU_ASSERT_STRING_EQUAL(sm_config_text_of(config, "run", "title"), "a=b");
    SM_TEST_OK(sm_config_set(config, "task.depth.weight=1"));
    CU_ASSERT(sm_config_sections(config, "task", NULL) == 2);
    CU_ASSERT(sm_config_fail(config, "task.semantic", "weight", "is %d", 4) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("--set: [task.semantic] weight = 4: is 4");
    CU_ASSERT(sm_config_fail(config, "task.semantic", "kind", "no") == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("text:2: [task.semantic] kind = semantic: no");
    CU_ASSERT(sm_config_check(config) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("text: [run] folder is required (where the run is kept): expected a path");
    SM_TEST_OK(sm_config_set(config, "run.folder=x"));
    CU_ASSERT(sm_config_check(config) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("--set: [task.depth] kind is required (what is learnt): expected one of semantic|depth");
    sm_config_free(config);
    config = fresh();
    SM_TEST_OK(sm_config_read_text(config, "text", "[run]\nfolder = x\n[task.semantic]\nkind = semantic\n"));
    SM_TEST_OK(sm_config_set(config, "task.semantc.weight=1"));
    CU_ASSERT(sm_config_check(config) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("--set: [task.semantc] kind is required");
    SM_TEST_MESSAGE("; or did you mean [task.semantic]?");
    sm_config_free(config);
    config = fresh();
    SM_TEST_OK(sm_config_read_text(config, "text", "[run]\nfolder = x\n[task.a1]\n[task.a2]\nkind = depth\n"));
    CU_ASSERT(sm_config_check(config) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("text:3: [task.a1] kind is required (what is learnt): expected one of semantic|depth");
    sm_config_free(config);

    refuses_set("run.epochs", "'run.epochs': expected section.key=value");
    refuses_set("epochs=3", "'epochs=3': expected section.key=value, did you mean run.epochs=...?");
    refuses_set("solver=3", "'solver=3': expected section.key=value: here it is called optimizer.kind");
    refuses_set("gpus=3", "expected section.key=value: mpirun says how many");
    refuses_set("trainer.solver=3", "there is no [trainer] solver: here it is called optimizer.kind");
    refuses_set("trainer.epochs=3", "unknown section [trainer]: here it is called [run]");
    refuses_set("wieght=3", "expected section.key=value, did you mean task.NAME.weight=...?");
    refuses_set(".epochs=3", "expected section.key=value");
    refuses_set("run.=3", "expected section.key=value");
    refuses_set("run.epoch=3", "did you mean 'epochs'?");
    refuses_set("runn.epochs=3", "unknown section [runn], did you mean [run]?");
    refuses_set("run.epochs=x", "[run] epochs = 'x': expected an integer");
    refuses_set("run.title=a ;b", "begins a comment");
    SM_TEST_OK(sm_config_set(config = fresh(), "run.title=\"a ;b\""));
    CU_ASSERT_STRING_EQUAL(sm_config_text_of(config, "run", "title"), "a ;b");
    sm_config_free(config);
    refuses_set("run.title=a\nb", "no line breaks");
}

/* Who writes a config learns the new word; what a program wrote earlier still means what it did. */
static const char four_instances[] =
    "[run]\nfolder = x\n[task.semantic]\nkind = semantic\n[head.a]\nwidth = 3\n[task.far]\n"
    "[task.depth]\nkind = depth\nweight = 2\n";

/* As though the others had never been there, whatever they lack. */
static void instances_that_are_not_named_are_left_out(void)
{
    sm_config *config = fresh();
    const char *const *sections;
    SM_TEST_OK(sm_config_read_text(config, "text", four_instances));
    SM_TEST_OK(sm_config_keep_instances(config, "task", "run", "tasks"));
    CU_ASSERT(sm_config_sections(config, "task", NULL) == 3);
    SM_TEST_OK(sm_config_set(config, "run.tasks=depth"));
    SM_TEST_OK(sm_config_keep_instances(config, "task", "run", "tasks"));
    SM_TEST_OK(sm_config_check(config));
    CU_ASSERT_FATAL(sm_config_sections(config, "task", &sections) == 1);
    CU_ASSERT_STRING_EQUAL(sections[0], "task.depth");
    CU_ASSERT(sm_config_real(config, "task.depth", "weight") == 2);
    CU_ASSERT(sm_config_sections(config, "head", NULL) == 1 && sm_config_integer(config, "head.a", "width") == 3);
    sm_config *expected = fresh();
    SM_TEST_OK(sm_config_read_text(expected, "text",
                                   "[run]\nfolder = x\ntasks = depth\n[head.a]\nwidth = 3\n"
                                   "[task.depth]\nkind = depth\nweight = 2\n"));
    char *text = sm_config_text(config), *expected_text = sm_config_text(expected);
    CU_ASSERT_STRING_EQUAL(text, expected_text);
    sm_free(text);
    sm_free(expected_text);
    sm_config_free(expected);
    sm_config_free(config);

    config = fresh();
    SM_TEST_OK(sm_config_read_text(config, "text", four_instances));
    SM_TEST_OK(sm_config_set(config, "run.tasks=semantic, dept"));
    CU_ASSERT(sm_config_keep_instances(config, "task", "run", "tasks") == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("--set: [run] tasks = semantic, dept: there is no section [task.dept], did you mean 'depth'?");
    CU_ASSERT(sm_config_sections(config, "task", NULL) == 3);
    sm_config_free(config);
}

static void a_former_word_is_refused_but_read_where_it_was_stored(void)
{
    refuses("[run]\n[optimizer]\nkind = momentum\n", SM_ERR_CONFIG,
            "bad.ini:3: [optimizer] kind = 'momentum': momentum is now called sgd");
    refuses("[optimizer]\nkind = adam_w\n", SM_ERR_CONFIG, "adam_w is now called adamw");
    refuses("[run]\nfolder = x\ntitle = momentum\nepochs = momentum\n", SM_ERR_CONFIG, "expected an integer");
    refuses_set("optimizer.kind=adam_w", "[optimizer] kind = 'adam_w': adam_w is now called adamw");
    sm_config *config = fresh();
    SM_TEST_OK(sm_config_read_text(config, "checkpoint", "[run]\nfolder = x\n[optimizer]\nkind = adam_w\n"));
    CU_ASSERT(sm_config_choice(config, "optimizer", "kind") == 1);
    char *text = sm_config_text(config);
    CU_ASSERT(strstr(text, "kind = adamw\n") && !strstr(text, "adam_w"));
    SM_TEST_OK(sm_config_read_text(config, "checkpoint", "[optimizer]\nkind = momentum\n"));
    CU_ASSERT(sm_config_choice(config, "optimizer", "kind") == 0);
    sm_free(text);
    sm_config_free(config);
}

static void an_including_file_overrides_what_it_includes(void)
{
    char folder[512], text[1024];
    snprintf(folder, sizeof folder, "%s/sub", sm_test_folder());
    SM_TEST_OK(sm_make_folders(folder));
    written("sub/base.ini", "include = ../deep.ini\n[run]\nepochs = 2\nseed = 5\n[task.base]\n");
    written("deep.ini", "[run]\nepochs = 1\nseed = 4\ntitle = deep\n");
    snprintf(text, sizeof text, "include = sub/base.ini\ninclude=%s/deep2.ini\n[run]\nepochs = 3\n", sm_test_folder());
    written("deep2.ini", "[task.second]\n");
    sm_config *config = fresh();
    SM_TEST_OK(sm_config_read(config, written("top.ini", text)));
    CU_ASSERT(sm_config_integer(config, "run", "epochs") == 3);
    CU_ASSERT(sm_config_integer(config, "run", "seed") == 5);
    CU_ASSERT_STRING_EQUAL(sm_config_text_of(config, "run", "title"), "deep");
    const char *const *sections;
    CU_ASSERT(sm_config_sections(config, "task", &sections) == 2 && strcmp(sections[1], "task.second") == 0);

    /* each value is known by the line where it stands, and the resolved text holds all of them */
    CU_ASSERT(sm_config_fail(config, "run", "title", "no") == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("/sub/../deep.ini:4: [run] title = deep: no");
    CU_ASSERT(sm_config_fail(config, "run", "seed", "no") == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("/sub/base.ini:4: [run] seed = 5: no");
    CU_ASSERT(sm_config_fail(config, "run", "epochs", "no") == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("/top.ini:4: [run] epochs = 3: no");
    char *resolved = sm_config_text(config);
    CU_ASSERT(strstr(resolved, "epochs = 3\n") && strstr(resolved, "seed = 5\n") && strstr(resolved, "title = deep\n"));
    CU_ASSERT(strstr(resolved, "[task.base]\n") && !strstr(resolved, "include"));
    sm_free(resolved);
    sm_config_free(config);
}

/* One file after another, each including the next twice, would be read 2^24 times. */
static void a_file_is_included_once(void)
{
    char name[32], text[128];
    for (int i = 0; i < 24; i++) {
        snprintf(name, sizeof name, "twice%d.ini", i);
        snprintf(text, sizeof text, "include = twice%d.ini\n; again\ninclude = ./twice%d.ini\n", i + 1, i + 1);
        written(name, text);
    }
    written("twice24.ini", "[run]\nepochs = 3\n");
    refuses("include = twice0.ini\n", SM_ERR_CONFIG, "twice23.ini:3: include = ./twice24.ini: ");
    refuses("include = twice0.ini\n", SM_ERR_CONFIG, "is included already, at ");
    refuses("include = twice0.ini\n", SM_ERR_CONFIG, "twice23.ini:1: once is enough");

    /* by two others: what the first one of them overrides would be undone */
    written("left.ini", "include = twice24.ini\n[run]\nepochs = 4\n");
    written("right.ini", "include = twice24.ini\n");
    refuses("include = left.ini\ninclude = right.ini\n", SM_ERR_CONFIG, "right.ini:1: include = twice24.ini: ");
    refuses("include = left.ini\ninclude = right.ini\n", SM_ERR_CONFIG, "left.ini:1: once is enough");

    for (int i = 0; i < 70; i++) {
        snprintf(name, sizeof name, "far%d.ini", i);
        snprintf(text, sizeof text, "include = far%d.ini\n", i + 1);
        written(name, text);
    }
    written("far70.ini", "");
    refuses("include = far0.ini\n", SM_ERR_CONFIG, "files include each other more than 64 deep");
    sm_config *config = fresh();
    SM_TEST_OK(sm_config_read(config, written("top.ini", "include = far10.ini\n"))); /* 62 files */
    sm_config_free(config);
}

static void a_ring_of_includes_is_named(void)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/sub", sm_test_folder());
    SM_TEST_OK(sm_make_folders(folder));
    written("a.ini", "include = sub/b.ini\n");
    written("sub/b.ini", "; comment\ninclude = ../a.ini\n");
    sm_config *config = fresh();
    CU_ASSERT(sm_config_read(config, (snprintf(path, sizeof path, "%s/a.ini", sm_test_folder()), path)) ==
              SM_ERR_CONFIG);
    SM_TEST_MESSAGE("sub/b.ini:2: include = ../a.ini: ");
    SM_TEST_MESSAGE("it includes itself");
    CU_ASSERT(sm_config_read_text(config, "text", "include = a.ini\n") == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("text:1: include is not possible here");
    sm_config_free(config);
    refuses("include = deep4.ini\n", SM_ERR_CONFIG, "there is no file");
    written("deep3.ini", "[run]\nepochs = 0\n");
    refuses("include = deep3.ini\n", SM_ERR_CONFIG, "deep3.ini:2: [run] epochs = '0'");
}

static void a_stored_text_is_read_key_by_key(void)
{
    enum { LONG = 300 };
    char word[LONG + 1] = "";
    memset(word, 'x', LONG);
    char *text =
        sm_format("; key = comment\n[run]\nfolder = a=b \n\n# key = comment\nno key\n[task.%s]\n%s = 1,2\n%sy =\n"
                  "[run]\nend = 3",
                  word, word, word);
    char *section = sm_format("task.%s", word), *longer = sm_format("%sy", word);
    const struct {
        const char *section, *key, *value;
    } expected[] = {{"run", "folder", "a=b"}, {section, word, "1,2"}, {section, longer, ""}, {"run", "end", "3"}};
    size_t count = 0;
    sm_config_entry *entries = sm_config_entries(text, &count);
    CU_ASSERT_FATAL(count == sizeof expected / sizeof *expected);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_STRING_EQUAL(entries[i].section, expected[i].section);
        CU_ASSERT_STRING_EQUAL(entries[i].key, expected[i].key);
        CU_ASSERT_STRING_EQUAL(entries[i].value, expected[i].value);
        CU_ASSERT(sm_config_entry_find(entries, count, expected[i].section, expected[i].key) == &entries[i]);
    }
    CU_ASSERT(sm_config_entry_find(entries, count, section, NULL) == &entries[1]);
    CU_ASSERT(!sm_config_entry_find(entries, count, "task", NULL) &&
              !sm_config_entry_find(entries, count, "run", word));
    sm_free(entries);
    sm_free(longer);
    sm_free(section);
    sm_free(text);
}

static void nothing_is_leaked(void)
{
    size_t before = sm_memory_held_bytes();
    an_including_file_overrides_what_it_includes();
    a_file_is_included_once();
    a_ring_of_includes_is_named();
    a_former_word_is_refused_but_read_where_it_was_stored();
    set_overrides_and_checks_like_a_file();
    the_resolved_text_gives_the_same_config();
    home_and_commas_in_paths();
    a_stored_text_is_read_key_by_key();
    CU_ASSERT(sm_memory_held_bytes() == before);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(defaults_hold_until_a_file_speaks);
    SM_TEST(a_file_sets_every_type);
    SM_TEST(the_resolved_text_gives_the_same_config);
    SM_TEST(mistakes_name_file_line_key_and_what_is_allowed);
    SM_TEST(all_mistakes_of_a_file_are_told_at_once);
    SM_TEST(a_line_may_be_of_any_length);
    SM_TEST(comments_begin_behind_a_blank_and_quotes_hide_them);
    SM_TEST(home_and_commas_in_paths);
    SM_TEST(set_overrides_and_checks_like_a_file);
    SM_TEST(instances_that_are_not_named_are_left_out);
    SM_TEST(a_former_word_is_refused_but_read_where_it_was_stored);
    SM_TEST(an_including_file_overrides_what_it_includes);
    SM_TEST(a_file_is_included_once);
    SM_TEST(a_ring_of_includes_is_named);
    SM_TEST(a_stored_text_is_read_key_by_key);
    SM_TEST(nothing_is_leaked);
    return sm_test_end();
}
