#include "task/truth_instances.h"

#include <sigmatic/base/memory.h>

enum { IDS = 65536 };

/* Pixels of each class of the ids that occur. */
typedef struct id_table {
    int *place; /* IDS: row of `pixels`, -1: the id does not occur */
    size_t *pixels, rows, columns;
} id_table;

/* \param columns  classes, and one more for the unknown */
static id_table count_pixels(const sm_joint_sample *sample, size_t columns)
{
    id_table table = {.place = sm_alloc(IDS * sizeof *table.place), .columns = columns};
    size_t pixels = (size_t)sample->height * (size_t)sample->width;
    for (int id = 0; id < IDS; id++) {
        table.place[id] = -1;
    }
    for (size_t i = 0; i < pixels; i++) {
        uint16_t id = sample->instance_truth[i];
        if (id != 0 && table.place[id] < 0) {
            table.place[id] = 0;
            table.rows++;
        }
    }
    table.pixels = sm_alloc_zeroed((table.rows * columns + 1) * sizeof *table.pixels);
    for (int id = 0, row = 0; id < IDS; id++) {
        if (table.place[id] == 0) {
            table.place[id] = row++;
        }
    }
    for (size_t i = 0; i < pixels; i++) {
        uint16_t id = sample->instance_truth[i];
        uint8_t class = sample->class_truth[i];
        if (id != 0) {
            table.pixels[(size_t)table.place[id] * columns + (class < columns - 1 ? class : columns - 1)]++;
        }
    }
    return table;
}

static sm_truth_instance describe(const size_t *pixels, int classes)
{
    sm_truth_instance instance = {.class = 0, .pixels = pixels[classes]};
    for (int c = 0; c < classes; c++) {
        instance.class = pixels[c] > pixels[instance.class] ? c : instance.class;
        instance.pixels += pixels[c];
    }
    if (pixels[instance.class] == 0) {
        instance.class = SM_CLASS_IGNORED;
    }
    return instance;
}

sm_truth_instances sm_truth_instances_find(const sm_joint_sample *sample)
{
    int classes = sample->classes->count;
    id_table table = count_pixels(sample, (size_t)classes + 1);
    sm_truth_instances found = {.items = sm_alloc((table.rows + 1) * sizeof *found.items), .of_id = table.place};
    for (int id = 0; id < IDS; id++) {
        if (table.place[id] >= 0) {
            sm_truth_instance instance = describe(table.pixels + (size_t)table.place[id] * table.columns, classes);
            int is_thing =
                instance.class != SM_CLASS_IGNORED && sample->classes->thing && sample->classes->thing[instance.class];
            found.of_id[id] = is_thing ? found.count : -1;
            if (is_thing) {
                found.items[found.count++] = instance;
            }
        }
    }
    sm_free(table.pixels);
    return found;
}

void sm_truth_instances_free(sm_truth_instances *instances)
{
    sm_free(instances->items);
    sm_free(instances->of_id);
}
