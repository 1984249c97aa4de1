#include <sigmatic/base/memory.h>
#include <sigmatic/data/target.h>

#include <string.h>

const char *const sm_target_type_names[SM_TARGET_TYPES] = {"class", "instance", "real", "labels"},
                  *const sm_scope_names[SM_SCOPES] = {"pixel", "sample"},
                  *const sm_target_scaling_names[SM_SCALINGS] = {"none", "width", "axes"};
const char *const sm_target_turning_names[SM_TURNINGS] = {"none", "y_down", "y_up"};

/* A disparity above the width of any image is a mistake, and its square might overflow in a sum. Depths are along the
 * camera's axis; their logarithm and inverse have to be numbers. Components of unit vectors may have been rounded. */
const sm_target sm_standard_targets[] = {
    {.name = "semantic", .type = SM_TARGET_CLASS, .components = 1, .unit = ""},
    {.name = "instance", .type = SM_TARGET_INSTANCE, .components = 1, .unit = ""},
    {.name = "instance_offset",
     .type = SM_TARGET_REAL,
     .components = 2,
     .unit = "px",
     .scaling = SM_SCALING_AXES,
     .turning = SM_TURNING_Y_DOWN,
     .flip_negates = 1u << 0,
     .least = -65536,
     .most = 65536},
    {.name = "disparity",
     .type = SM_TARGET_REAL,
     .components = 1,
     .unit = "px",
     .scaling = SM_SCALING_WIDTH,
     .least = 0,
     .most = 65536},
    {.name = "depth", .type = SM_TARGET_REAL, .components = 1, .unit = "m", .least = 1e-3, .most = 1e6},
    {.name = "normal",
     .type = SM_TARGET_REAL,
     .components = 3,
     .unit = "",
     .turning = SM_TURNING_Y_DOWN,
     .flip_negates = 1u << 0,
     .least = -1.001,
     .most = 1.001},
    {0},
};

const sm_target *sm_standard_target(const char *name)
{
    for (const sm_target *target = sm_standard_targets; target->name; target++) {
        if (strcmp(target->name, name) == 0) {
            return target;
        }
    }
    return NULL;
}

size_t sm_target_item_bytes(const sm_target *target)
{
    static const size_t bytes[SM_TARGET_TYPES] = {sizeof(uint8_t), sizeof(uint16_t), sizeof(float), sizeof(uint8_t)};
    return (size_t)target->components * bytes[target->type];
}

/* Where the parts of a copy lie, one after the other; first pointers, then bytes. */
static size_t texts_bytes(const char *const *texts, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; texts && i < count; i++) {
        bytes += strlen(texts[i]) + 1;
    }
    return bytes;
}

static void *append(char **end, const void *from, size_t bytes)
{
    void *copy = from ? memcpy(*end, from, bytes) : NULL;
    *end += from ? bytes : 0;
    return copy;
}

/* \param places  where the copies' addresses go */
static const char *const *append_texts(char **end, const char *const *texts, size_t count, const char **places)
{
    for (size_t i = 0; texts && i < count; i++) {
        places[i] = append(end, texts[i], strlen(texts[i]) + 1);
    }
    return texts ? places : NULL;
}

sm_target *sm_target_copy(const sm_target *target)
{
    static const sm_class_list none = {0};
    const sm_class_list *classes = target->classes ? target->classes : &none;
    size_t count = (size_t)classes->count;
    size_t of_class = sizeof *classes->instance_pixels + sizeof *classes->names + sizeof *classes->categories + 4;
    sm_target *copy =
        sm_alloc(sizeof *copy + sizeof(sm_class_list) + count * of_class + texts_bytes(classes->names, count) +
                 texts_bytes(classes->categories, count) + strlen(target->name) + strlen(target->unit) + 2);
    sm_class_list *list = (sm_class_list *)(void *)(copy + 1);
    char *end = (char *)(list + 1);
    *copy = *target;
    copy->classes = target->classes ? list : NULL;
    *list = *classes;
    list->instance_pixels = append(&end, classes->instance_pixels, count * sizeof *classes->instance_pixels);
    const char **places = (const char **)(void *)end;
    end = (char *)(places + 2 * count);
    list->palette = append(&end, classes->palette, 3 * count);
    list->thing = append(&end, classes->thing, count);
    list->names = append_texts(&end, classes->names, count, places);
    list->categories = append_texts(&end, classes->categories, count, places + count);
    copy->name = append(&end, target->name, strlen(target->name) + 1);
    copy->unit = append(&end, target->unit, strlen(target->unit) + 1);
    return copy;
}
