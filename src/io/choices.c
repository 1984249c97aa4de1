#include <sigmatic/io/choices.h>

#include <string.h>

int sm_choices_has(const char *choices, const char *name)
{
    size_t length = strlen(name);
    for (const char *choice = choices; *choice; choice += strcspn(choice, "|"), choice += *choice == '|') {
        if (strcspn(choice, "|") == length && strncmp(choice, name, length) == 0) {
            return 1;
        }
    }
    return 0;
}

sm_status sm_choices_add(char *choices, size_t bytes, const char *what, const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t used = strlen(choices), length = name ? strlen(name) : 0;
    if (length == 0 || strspn(name, allowed) != length) {
        return sm_fail(SM_ERR_USAGE, "a %s named '%s': letters, digits and '_' expected", what, name ? name : "");
    }
    if (used + 1 + length >= bytes) {
        return sm_fail(SM_ERR_USAGE, "%s '%s': no room for more names, %zu bytes of %zu are taken", what, name, used,
                       bytes);
    }
    choices[used] = '|';
    memcpy(choices + used + 1, name, length + 1);
    return SM_OK;
}
