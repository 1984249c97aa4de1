#include <sigmatic/base/log.h>
#include <sigmatic/base/status.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_BYTES = 2048 };

static _Thread_local char last_message[MESSAGE_BYTES];
static void (*abort_handler)(void);

static const struct {
    int exit_code_started;
    int exit_code_before;
} statuses[] = {
    [SM_OK] = {0, 0},          [SM_ERR_USAGE] = {2, 2}, [SM_ERR_CONFIG] = {2, 2},
    [SM_ERR_INPUT] = {1, 2},   [SM_ERR_IO] = {1, 2},    [SM_ERR_WRITE] = {1, 1},
    [SM_ERR_NUMERIC] = {1, 1}, [SM_ERR_COMM] = {1, 1},  [SM_PREEMPTED] = {75, 75},
};

sm_status(sm_fail)(sm_status status, const char *format, ...)
{
    char text[MESSAGE_BYTES]; /* the arguments may point into last_message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(last_message, sizeof last_message, "%s", text);
    return status;
}

const char *sm_error_message(void)
{
    return last_message;
}

int sm_status_exit_code(sm_status status, int started)
{
    return started ? statuses[status].exit_code_started : statuses[status].exit_code_before;
}

void sm_abort_set_handler(void (*handler)(void))
{
    abort_handler = handler;
}

void sm_abort(const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sm_log_error("%s", text);
    if (abort_handler) {
        abort_handler();
    }
    abort();
}
