#define _POSIX_C_SOURCE 200809L
#include "train/time_limit.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/train/stop_signal.h>

#include <math.h>
#include <stdlib.h>
#include <time.h>

/* ---- a span of time ---- */

/* Moves `text` behind the digits that it begins with. \return their value, -1 if there is none or too many */
static double take_number(const char **text)
{
    enum { MOST_DIGITS = 9 };
    double value = 0;
    int digits = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++, digits++) {
        value = 10 * value + (**text - '0');
    }
    return digits >= 1 && digits <= MOST_DIGITS ? value : -1;
}

int sm_time_limit_parse(const char *text, double *seconds)
{
    static const double units[] = {3600, 60, 1};
    enum { MOST = 3 };
    double days = 0, numbers[MOST];
    int count = 0, has_days = 0;
    for (char next = ':'; next == ':' && count < MOST; next = *text++) {
        double number = take_number(&text);
        if (number < 0) {
            return 0;
        }
        if (*text == '-' && count == 0 && !has_days) {
            has_days = 1;
            days = number;
            text++;
            number = take_number(&text);
        }
        numbers[count++] = number;
        if (number < 0 || (*text && *text != ':')) {
            return 0;
        }
    }
    if (text[-1] != '\0') {
        return 0; /* a fourth number */
    }
    *seconds = days * 24 * units[0];
    for (int i = 0; i < count; i++) { /* alone they are minutes, and what follows them */
        *seconds += numbers[i] * units[has_days || count == MOST ? i : i + 1];
    }
    return *seconds > 0;
}

/* \return "1:02:03", freed with sm_free() */
static char *span(double seconds)
{
    long whole = lround(seconds);
    return sm_format("%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
}

/* ---- Slurm ---- */

/* \return the seconds until Slurm ends the job, INFINITY if it will not, or no job is seen: a date that is over is of another, whose
 * environment a shell has kept */
static double left_of_job(void)
{
    const char *end = getenv("SLURM_JOB_END_TIME");
    double left = end && getenv("SLURM_JOB_ID") ? strtod(end, NULL) - (double)time(NULL) : 0;
    return left > 0 ? left : INFINITY;
}

/* ---- the deadline ---- */

static double longer(double a, double b)
{
    return a > b ? a : b;
}

/* A step that has begun does not know of it yet, and the next one tells all ranks; a checkpoint may be under way before the last one,
 * either may take longer than those so far, and ending takes a moment. */
static double reserve(const sm_time_limit *limit)
{
    const double leaving_seconds = 3, steps = 2.5, saves = 2.5;
    return leaving_seconds + steps * limit->step_seconds + saves * limit->save_seconds;
}

static void set_deadline(const sm_time_limit *limit)
{
    sm_stop_signal_set_deadline(limit->end_seconds - reserve(limit));
}

void sm_time_limit_start(sm_time_limit *limit, double began_seconds, double limit_seconds, size_t checkpoint_bytes)
{
    const double slow_disk_bytes_a_second = 50e6;
    double now = sm_seconds(), job = left_of_job(),
           own = limit_seconds > 0 ? began_seconds + limit_seconds - now : INFINITY, left = fmin(own, job);
    *limit =
        (sm_time_limit){.end_seconds = now + left, .save_seconds = (double)checkpoint_bytes / slow_disk_bytes_a_second};
    if (isfinite(left)) {
        char *text = span(left);
        sm_log_info("%s: %s left, from which the time of a step and a checkpoint is taken",
                    own < job ? "run.time_limit" : "time limit of the Slurm job", text);
        sm_free(text);
    }
    set_deadline(limit);
}

void sm_time_limit_note_step(sm_time_limit *limit, double seconds)
{
    limit->step_seconds = longer(limit->step_seconds, seconds);
    set_deadline(limit);
}

void sm_time_limit_note_save(sm_time_limit *limit, double seconds)
{
    limit->save_seconds = limit->is_saved ? longer(limit->save_seconds, seconds) : seconds;
    limit->is_saved = 1;
    set_deadline(limit);
}
