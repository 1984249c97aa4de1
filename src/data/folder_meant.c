/* Which class of a target was probably meant by a word that is none. */
#include "data/folder.h"

#include <sigmatic/base/nearest.h>

char *folder_ask_for_class(const folder_target *t, const char *name)
{
    sm_nearest nearest = {.wanted = name};
    for (int c = 0; c < t->classes.count; c++) {
        sm_nearest_consider(&nearest, t->classes.names[c]);
    }
    return sm_nearest_question(&nearest);
}
