#include "config_keys.h"

#include <math.h>

static const sm_key run_keys[] = {
    {"run", "folder", SM_KEY_PATH, NULL, 0, 0, NULL, NULL, "where the run is kept"},
    {"run", "epochs", SM_KEY_INTEGER, "10", 1, 1000, NULL, NULL, "passes over the data"},
    {"run", "verbose", SM_KEY_BOOL, "false", 0, 0, NULL, NULL, "more messages"},
    {"run", "title", SM_KEY_TEXT, "", 0, 0, NULL, NULL, "a line for people"},
    {"run", "tasks", SM_KEY_TEXTS, "", 0, 0, NULL, NULL, "those that are kept"},
    {"run", "files", SM_KEY_PATHS, "", 0, 0, NULL, NULL, "what to read"},
    {NULL},
};
static const sm_key optimizer_keys[] = {
    {"optimizer", "kind", SM_KEY_CHOICE, "sgd", 0, 0, "sgd|adamw", NULL, "update rule"},
    {"optimizer", "kind", SM_KEY_FORMER, "sgd", 0, 0, "momentum", NULL, NULL},
    {"optimizer", "kind", SM_KEY_FORMER, "adamw", 0, 0, "adam_w", NULL, NULL},
    {"optimizer", "learning_rate", SM_KEY_REAL, "0.01", 0, INFINITY, NULL, NULL, "step size"},
    {"optimizer", "milestones", SM_KEY_INTEGERS, "10, 20", 1, INFINITY, NULL, "epochs", "when to decay"},
    {"optimizer", "betas", SM_KEY_REALS, "0.9,0.999", 0, 1, NULL, NULL, "decay of the moments"},
    {"optimizer", "metrics", SM_KEY_TEXTS, "", 0, 0, "iou|depth|error", NULL, "what to report"},
    {"run", "seed", SM_KEY_INTEGER, "1", 0, 0, NULL, NULL, "of all random numbers"},
    {NULL},
};
static const sm_key elsewhere_keys[] = {
    {"run", NULL, SM_KEY_ELSEWHERE, NULL, 0, 0, "training|trainer", NULL, NULL},
    {"run", "epochs", SM_KEY_ELSEWHERE, NULL, 0, 0, "max_iter|folder_epochs", NULL, "passes, not steps"},
    {"optimizer", "kind", SM_KEY_ELSEWHERE, NULL, 0, 0, "solver|.title|.type", NULL, NULL},
    {"task.NAME", "kind", SM_KEY_ELSEWHERE, NULL, 0, 0, ".type", NULL, NULL},
    {"task.NAME", "weight", SM_KEY_ELSEWHERE, NULL, 0, 0, "metrics|coefficient", NULL, NULL},
    {"", "gpus", SM_KEY_ELSEWHERE, NULL, 0, 0, "gpus|devices", NULL, "mpirun says how many"},
    {NULL},
};
static const sm_key task_keys[] = {
    {"task.NAME", "kind", SM_KEY_CHOICE, NULL, 0, 0, "semantic|depth", NULL, "what is learnt"},
    {"task.NAME", "weight", SM_KEY_REAL, "1", 0, 100, NULL, NULL, "of its loss"},
    {"head.NAME", "width", SM_KEY_INTEGER, "256", 1, 4096, NULL, "channels", "of the head"},
    {NULL},
};
const sm_key *const test_keys[] = {run_keys, optimizer_keys, task_keys, elsewhere_keys, NULL};
