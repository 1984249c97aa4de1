/* Folders that seem to be the classes of the images in them. */
#include "data/folder.h"

#include <sigmatic/base/memory.h>

#include <string.h>

/* Bytes of the first folder of a sample's name, "cat" of "cat/1"; 0: it lies in none. */
static size_t folder_bytes(const folder_sample *sample)
{
    const char *slash = strchr(sample->name, '/');
    return slash ? (size_t)(slash - sample->name) : 0;
}

/* Samples lie folder by folder. \return those from `first` on that are of its folder and split */
static size_t count_of_folder(const folder_samples *samples, size_t first)
{
    const folder_sample *a = &samples->samples[first];
    size_t end = first;
    for (; end < samples->count; end++) {
        const folder_sample *b = &samples->samples[end];
        int is_split = !a->split || strcmp(a->split, b->split) == 0;
        if (!is_split || folder_bytes(b) != folder_bytes(a) || strncmp(a->name, b->name, folder_bytes(a)) != 0) {
            break;
        }
    }
    return end - first;
}

/* Whether two folders hold files of the same names, as those of images and of their maps do. */
static int are_alike(const folder_samples *samples, size_t first, size_t second)
{
    size_t count = count_of_folder(samples, first);
    int alike = count_of_folder(samples, second) == count;
    for (size_t i = 0; i < count && alike; i++) {
        alike =
            strcmp(strchr(samples->samples[first + i].name, '/'), strchr(samples->samples[second + i].name, '/')) == 0;
    }
    return alike && count > 1;
}

/* Whether all images lie in folders, at least two in a split, that are not copies of one another. */
static int are_classes(const folder_samples *samples)
{
    size_t second = 0;
    for (size_t i = 0; i < samples->count; i++) {
        if (folder_bytes(&samples->samples[i]) == 0) {
            return 0;
        }
    }
    second = samples->count > 0 ? count_of_folder(samples, 0) : 0;
    return second < samples->count && !are_alike(samples, 0, second);
}

char *folder_class_description(const folder_samples *samples)
{
    if (!are_classes(samples)) {
        return NULL;
    }
    const folder_sample *a = &samples->samples[0], *b = &samples->samples[count_of_folder(samples, 0)];
    return sm_format("[target.class]    ; as '%.*s' of %s\nkind = class    ; the folder of an image: %.*s, %.*s, ...",
                     (int)folder_bytes(a), a->name, a->sources[0], (int)folder_bytes(a), a->name, (int)folder_bytes(b),
                     b->name);
}
