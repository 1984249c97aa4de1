#define _DEFAULT_SOURCE
#include <sigmatic/base/log.h>

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int log_rank, log_size = 1, log_quiet, line_open;

void sm_log_set_rank(int rank, int size)
{
    log_rank = rank;
    log_size = size;
}

void sm_log_set_quiet(int quiet)
{
    log_quiet = quiet;
}

int sm_log_is_live(void)
{
    return isatty(STDERR_FILENO);
}

/* One write a line, so that lines of several ranks do not mix. */
static void print_line(const char *prefix, int names_rank, const char *format, va_list arguments)
{
    char text[4096];
    vsnprintf(text, sizeof text, format, arguments);
    char who[48] = "";
    if (*prefix && names_rank && log_size > 1) {
        snprintf(who, sizeof who, "rank %d: ", log_rank);
    }
    fprintf(stderr, "%s%s%s%s\n", line_open ? "\n" : "", prefix, who, text);
    line_open = 0;
}

void sm_log_info(const char *format, ...)
{
    if (log_rank != 0 || log_quiet) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    print_line("", 0, format, arguments);
    va_end(arguments);
}

void sm_log_result(const char *format, ...)
{
    if (log_rank != 0 || log_quiet) {
        return;
    }
    if (line_open) { /* both may go to one terminal */
        fputc('\n', stderr);
        line_open = 0;
    }
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout); /* a reader of a pipe waits for the line */
}

void sm_log_warning(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line("sigmatic: warning: ", 1, format, arguments);
    va_end(arguments);
}

void sm_log_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line("sigmatic: error: ", 1, format, arguments);
    va_end(arguments);
}

void sm_log_outcome(const char *format, ...)
{
    if (log_rank != 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    print_line("sigmatic: error: ", 0, format, arguments);
    va_end(arguments);
}

void sm_log_progress(int final, const char *format, ...)
{
    if (log_rank != 0 || log_quiet) {
        return;
    }
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (sm_log_is_live()) {
        struct winsize window;
        if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 && window.ws_col <= sizeof text) {
            text[window.ws_col - 1] = 0; /* a wrapped line could not be overwritten */
        }
        fprintf(stderr, "\r\033[K%s%s", text, final ? "\n" : "");
        line_open = !final;
    } else {
        fprintf(stderr, "%s\n", text);
    }
    fflush(stderr);
}
