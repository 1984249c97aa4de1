#include <sigmatic/optim/schedule.h>

#include <sigmatic/base/memory.h>

#include <math.h>

const sm_key sm_schedule_keys[] = {
    {"schedule", "kind", SM_KEY_CHOICE, "poly", 0, 0, "poly|cosine|step|constant", NULL,
     "how the learning rate decays over the run"},
    {"schedule", "power", SM_KEY_REAL, "0.9", 0, INFINITY, NULL, NULL, "poly: exponent of the steps that are left"},
    {"schedule", "milestones", SM_KEY_INTEGERS, "", 1, INFINITY, NULL, "steps",
     "step: ascending steps at which the learning rate drops"},
    {"schedule", "gamma", SM_KEY_REAL, "0.1", 0, 1, NULL, NULL, "step: factor at each milestone"},
    {"schedule", "minimum", SM_KEY_REAL, "0", 0, INFINITY, NULL, NULL, "learning rate that the decay tends to"},
    {"schedule", "warmup_steps", SM_KEY_INTEGER, "0", 0, INFINITY, NULL, "steps",
     "steps over which the learning rate rises linearly to its value"},
    {"schedule", "warmup_factor", SM_KEY_REAL, "0.001", 0, 1, NULL, NULL, "share of the learning rate at step 0"},
    {0},
};

static double poly_factor(const sm_schedule *schedule, double step)
{
    return pow(1 - step / (double)schedule->steps, schedule->power);
}

static double cosine_factor(const sm_schedule *schedule, double step)
{
    return (1 + cos(acos(-1.0) * step / (double)schedule->steps)) / 2;
}

static double step_factor(const sm_schedule *schedule, double step)
{
    int passed = 0;
    while (passed < schedule->milestone_count && (double)schedule->milestones[passed] <= step) {
        passed++;
    }
    return pow(schedule->gamma, passed);
}

static double constant_factor(const sm_schedule *schedule, double step)
{
    (void)schedule;
    (void)step;
    return 1;
}

const sm_schedule_kind sm_schedule_kinds[] = {
    {"poly", "(1 - i/steps)^power", poly_factor},
    {"cosine", "half a cosine wave", cosine_factor},
    {"step", "times gamma at each milestone", step_factor},
    {"constant", "no decay", constant_factor},
    {0},
};

static sm_status read_milestones(const sm_config *config, sm_schedule *schedule)
{
    size_t count = 0;
    const int64_t *milestones = sm_config_integers(config, "schedule", "milestones", &count);
    schedule->milestones = sm_alloc(count * sizeof *milestones);
    schedule->milestone_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && milestones[i] <= milestones[i - 1]) {
            return sm_config_fail(config, "schedule", "milestones", "expected ascending steps");
        }
        schedule->milestones[i] = milestones[i];
    }
    return SM_OK;
}

sm_status sm_schedule_new(const sm_config *config, double learning_rate, int64_t steps, sm_schedule **out)
{
    static const char section[] = "schedule";
    sm_status status = SM_OK;
    sm_schedule *schedule = sm_alloc_zeroed(sizeof *schedule);

    *out = NULL;
    *schedule = (sm_schedule){
        .kind = &sm_schedule_kinds[sm_config_choice(config, section, "kind")],
        .learning_rate = learning_rate,
        .steps = steps,
        .power = sm_config_real(config, section, "power"),
        .gamma = sm_config_real(config, section, "gamma"),
        .minimum = sm_config_real(config, section, "minimum"),
        .warmup_steps = sm_config_integer(config, section, "warmup_steps"),
        .warmup_factor = sm_config_real(config, section, "warmup_factor"),
    };
    SM_TRY(read_milestones(config, schedule));
    if (schedule->minimum > learning_rate) {
        SM_TRY(sm_config_fail(config, section, "minimum", "expected at most the learning rate %g", learning_rate));
    }
    *out = schedule;
    schedule = NULL;
done:
    sm_schedule_free(schedule);
    return status;
}

void sm_schedule_free(sm_schedule *schedule)
{
    if (schedule) {
        sm_free(schedule->milestones);
        sm_free(schedule);
    }
}

double sm_schedule_at(const sm_schedule *schedule, int64_t step)
{
    double reached = (double)(step < schedule->steps ? step : schedule->steps);
    double decayed =
        schedule->minimum + (schedule->learning_rate - schedule->minimum) * schedule->kind->factor(schedule, reached);
    double warm = step < schedule->warmup_steps ? (double)step / (double)schedule->warmup_steps : 1;
    return (schedule->warmup_factor + (1 - schedule->warmup_factor) * warm) * decayed;
}
