#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/process.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Reads state and start of a process: fields 3 and 22 of /proc/ID/stat, behind its name in brackets (man 5 proc).
 * \return 0 if there is none */
static int look(int64_t id, char *state, uint64_t *start)
{
    enum { FIELDS_BETWEEN = 18 };
    char path[64], text[1024] = "";
    unsigned long long ticks;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)id);
    FILE *file = fopen(path, "r");
    if (!file) {
        return 0;
    }
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest + 1, " %c", state) != 1) {
        return 0;
    }
    rest += 4; /* ") S " */
    for (int i = 0; i < FIELDS_BETWEEN && rest; i++) {
        rest = strchr(rest, ' ');
        rest = rest ? rest + 1 : NULL;
    }
    if (!rest || sscanf(rest, "%llu", &ticks) != 1) {
        return 0;
    }
    *start = ticks;
    return 1;
}

sm_process sm_process_own(void)
{
    sm_process own = {.id = (int64_t)getpid()};
    char state;
    look(own.id, &state, &own.start);
    return own;
}

int sm_process_is_alive(const sm_process *process)
{
    char state;
    uint64_t start;
    return process->start > 0 && look(process->id, &state, &start) && start == process->start && state != 'Z' &&
           state != 'X';
}
