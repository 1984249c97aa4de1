#include "cli/data_warnings.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/train/traps.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void warnings_add(warning_list *list, char *text)
{
    list->texts = sm_realloc(list->texts, (list->count + 1) * sizeof *list->texts);
    list->texts[list->count++] = text;
}

void warnings_clear(warning_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        sm_free(list->texts[i]);
    }
    sm_free(list->texts);
    *list = (warning_list){0};
}

void warnings_print(const warning_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        printf("%swarning: %s\n", i == 0 ? "\n" : "", list->texts[i]);
    }
}

void warnings_set(const warning_list *list, sm_json *json)
{
    sm_json *warnings = sm_json_set_array(json, "warnings");
    for (size_t i = 0; i < list->count; i++) {
        sm_json_set_text(warnings, NULL, list->texts[i]);
    }
}

/* ---- of names and attributes ------------------------------------------------------------------------------------- */

static void check_statistics(warning_list *list, const sm_h5 *file, const sm_input *input)
{
    static const char *const names[] = {"mean", "std"};
    const double *const values[] = {input->mean, input->std};
    for (int i = 0; i < 2; i++) {
        if (!sm_h5_has_attribute(file, "/", names[i])) {
            warnings_add(list, sm_format("there is no attribute '%s': %s", names[i],
                                         !input->kind->is_table ? "ImageNet's is taken"
                                         : i == 0               ? "0 is taken of every feature"
                                                                : "1 is taken of every feature"));
        } else if (values[i][0] > 1 && !input->kind->is_table) {
            warnings_add(list, sm_format("attribute '%s' begins with %g, as of numbers 0 .. 255: those of 0 .. 1 are "
                                         "expected (divide by 255)",
                                         names[i], values[i][0]));
        }
    }
}

/* \param [out] nearest  the name that was probably meant, if the split reads no array of this one */
static int is_known(const sm_dataset *split, const char *array, sm_nearest *nearest)
{
    static const char *const facts[] = {"name", "original_size", "baseline_metres", "fx_pixels"};
    int known = strcmp(array, sm_dataset_input(split)->kind->name) == 0 || sm_dataset_target(split, array) != NULL;
    *nearest = (sm_nearest){.wanted = array};
    for (const sm_target *target = sm_standard_targets; target->name; target++) {
        sm_nearest_consider(nearest, target->name);
    }
    for (size_t i = 0; i < sizeof facts / sizeof *facts && !known; i++) {
        known = strcmp(array, facts[i]) == 0;
        sm_nearest_consider(nearest, facts[i]);
    }
    return known;
}

static sm_status check_names(warning_list *list, const sm_h5 *file, const char *name, const sm_dataset *split)
{
    static const char ending[] = "_crc32c";
    char **arrays = NULL;
    size_t count = 0;
    sm_status status = sm_h5_list(file, name, &arrays, &count);
    for (size_t i = 0; status == SM_OK && i < count; i++) {
        size_t length = strlen(arrays[i]), end = strlen(ending);
        if (length > end && strcmp(arrays[i] + length - end, ending) == 0) {
            arrays[i][length - end] = '\0';
        }
        sm_nearest nearest;
        if (!is_known(split, arrays[i], &nearest)) {
            warnings_add(list,
                         sm_format("/%s/%s is not read: no known name, and no attribute 'type' describes it%s%s%s",
                                   name, arrays[i], nearest.best ? "; did you mean '" : "",
                                   nearest.best ? nearest.best : "", nearest.best ? "'?" : ""));
        }
    }
    sm_free(arrays);
    return status;
}

/* Training refuses to be evaluated on classes with other names. */
static void check_classes(warning_list *list, const char *name, const sm_dataset *split, const char *first_name,
                          const sm_dataset *first)
{
    int count;
    const sm_target *const *targets = sm_dataset_targets(split, &count);
    for (int t = 0; t < count; t++) {
        const sm_target *target = targets[t], *other = sm_dataset_target(first, target->name);
        if (!target->classes || !other || !other->classes) {
            continue;
        }
        const sm_class_list *a = other->classes, *b = target->classes;
        int c = 0;
        while (c < a->count && c < b->count && strcmp(a->names[c], b->names[c]) == 0) {
            c++;
        }
        if (c < a->count || c < b->count) {
            warnings_add(list, sm_format("class %d of %s is '%s' in /%s, but '%s' in /%s", c, target->name,
                                         c < a->count ? a->names[c] : "none", first_name,
                                         c < b->count ? b->names[c] : "none", name));
        }
    }
}

/* What an import could not have. */
static sm_status check_left_out(warning_list *list, const sm_h5 *file)
{
    char **texts = NULL;
    size_t count = 0;
    sm_status status =
        sm_h5_has_dataset(file, "/left_out") ? sm_h5_read_texts(file, "/left_out", &texts, &count) : SM_OK;
    if (status == SM_OK && count > 0) {
        warnings_add(list, sm_format("%zu %s left out by the import for bad files (/left_out lists all): %s%s", count,
                                     sm_plural((int64_t)count, "sample was", "samples were"), texts[0],
                                     count > 1 ? ", ..." : ""));
    }
    sm_free(texts);
    return status;
}

/* \return 1 if a name is one of the list */
static int is_among(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* A group of a file that is no split was meant as one. */
static sm_status check_groups(warning_list *list, const sm_h5 *file, const char *const *splits, size_t split_count)
{
    char **names = NULL;
    size_t count = 0;
    sm_status status = sm_h5_list(file, "/", &names, &count);
    for (size_t i = 0; status == SM_OK && i < count; i++) {
        char *object = sm_format("/%s", names[i]);
        if (!is_among(names[i], splits, split_count) && sm_h5_has_group(file, object)) {
            warnings_add(list, sm_format("%s is no split: it has neither an array 'image' nor one 'features'", object));
        }
        sm_free(object);
    }
    sm_free(names);
    return status;
}

sm_status warnings_of_file(warning_list *list, const sm_h5 *file, const char *const *names,
                           const sm_dataset *const *splits, size_t split_count)
{
    sm_status status = SM_OK;
    SM_TRY(check_left_out(list, file));
    SM_TRY(check_groups(list, file, names, split_count));
    if (split_count > 0) {
        check_statistics(list, file, sm_dataset_input(splits[0]));
    }
    for (size_t s = 0; s < split_count; s++) {
        SM_TRY(check_names(list, file, names[s], splits[s]));
        check_classes(list, names[s], splits[s], names[0], splits[0]);
    }
done:
    return status;
}

/* ---- of values --------------------------------------------------------------------------------------------------- */

/* One finding about a target. \return a sentence, or NULL if all is well */
typedef char *(*finding)(const split_statistics *split, const target_statistics *s);

static char *nothing_valid(const split_statistics *split, const target_statistics *s)
{
    return s->valid == 0 ? sm_format("/%s/%s has not one valid item", split->name, s->target->name) : NULL;
}

static char *hardly_valid(const split_statistics *split, const target_statistics *s)
{
    double share = fraction_of(s->valid, s->items);
    return s->valid > 0 && share < 0.01 && s->target->type != SM_TARGET_INSTANCE
               ? sm_format("/%s/%s: only %.3g %% of the items are valid", split->name, s->target->name, 100 * share)
               : NULL;
}

static char *one_class(const split_statistics *split, const target_statistics *s)
{
    const sm_class_list *classes = s->target->classes;
    for (int c = 0; classes && classes->count > 1 && s->valid > 0 && c < classes->count; c++) {
        if (s->of_class[c] == s->valid) {
            return sm_format("/%s/%s: every valid item is of class %d '%s'", split->name, s->target->name, c,
                             classes->names[c]);
        }
    }
    return NULL;
}

/* Only where something has instances at all: a file may name things without telling them apart. */
static char *things_without_instances(const split_statistics *split, const target_statistics *s)
{
    const sm_class_list *classes = s->target->classes;
    char *names = NULL;
    int64_t with_instance = 0;
    for (int c = 0; c <= SM_CLASS_IGNORED; c++) {
        with_instance += s->with_instance[c];
    }
    for (int c = 0; classes && classes->thing && with_instance > 0 && c < classes->count; c++) {
        if (classes->thing[c] && s->of_class[c] > 0 && s->with_instance[c] == 0) {
            char *longer = sm_format("%s%s'%s'", names ? names : "", names ? ", " : "", classes->names[c]);
            sm_free(names);
            names = longer;
        }
    }
    char *text = names ? sm_format("/%s/%s: no pixel of %s has an instance, though these are things", split->name,
                                   s->target->name, names)
                       : NULL;
    sm_free(names);
    return text;
}

static char *constant(const split_statistics *split, const target_statistics *s)
{
    return s->target->type == SM_TARGET_REAL && s->valid > 1 && s->least == s->most
               ? sm_format("/%s/%s is %g everywhere", split->name, s->target->name, s->least)
               : NULL;
}

/* Many files write 0 where nothing is known. */
static char *zeros_of_disparity(const split_statistics *split, const target_statistics *s)
{
    double share = fraction_of(s->zeros, s->items);
    return s->target->scaling == SM_SCALING_WIDTH && share > 0.2
               ? sm_format("/%s/%s: %.1f %% are 0, infinitely far; NaN is what means unknown", split->name,
                           s->target->name, 100 * share)
               : NULL;
}

static char *metres_too_large(const split_statistics *split, const target_statistics *s)
{
    const double farthest = 1000; /* what a depth sensor or a street shows is nearer */
    return s->valid > 0 && strcmp(s->target->unit, "m") == 0 && mean_of_target(s) > farthest
               ? sm_format("/%s/%s is %.4g m on average: are these millimetres?", split->name, s->target->name,
                           mean_of_target(s))
               : NULL;
}

static char *normals_not_unit(const split_statistics *split, const target_statistics *s)
{
    double share = fraction_of(s->lengths_not_one, s->valid);
    return strcmp(s->target->name, "normal") == 0 && share > 0.01
               ? sm_format("/%s/%s: %.1f %% of the vectors are not 1 long", split->name, s->target->name, 100 * share)
               : NULL;
}

/* Disparities in pixels and depths in metres keep their units: tasks, metrics and the camera know them. */
static int has_fixed_unit(const sm_target *target)
{
    return sm_standard_target(target->name) || target->scaling == SM_SCALING_WIDTH ||
           (target->scope == SM_SCOPE_PIXEL && strcmp(target->unit, "m") == 0);
}

/* \return the loss of outputs of 0, where heads begin; NaN of one that is not of each value by itself, or has a parameter */
static double first_loss(const target_statistics *s, const char *loss)
{
    double sum = strcmp(loss, "l1") == 0 ? s->absolutes : NAN;
    for (int c = 0; strcmp(loss, "l2") == 0 && c < s->target->components; c++) {
        sum = (c == 0 ? 0 : sum) + s->squares[c];
    }
    return sum / (double)s->valid;
}

/* \return what training says after a first step with each loss: "11.0 with loss = l1, 11.3 with l2"; freed with sm_free() */
static char *starts_of_s(const target_statistics *s)
{
    static const char *const losses[] = {"l1", "l2"};
    const sm_loss_shape shape = {.dimensions = s->target->components};
    char *text = NULL;
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        const sm_likelihood *likelihood = sm_likelihood_of_loss(losses[i]);
        sm_append_text(&text, ", ", "%.1f with %s%s", likelihood->minimiser(first_loss(s, losses[i]), shape),
                       i == 0 ? "loss = " : "", losses[i]);
    }
    return text;
}

/* By the same scale as training's warning of the name "scale" (train/traps.h), with the loss that a task of them has by default. */
static double scale_from_zero(const target_statistics *s)
{
    static const char loss[] = "l1";
    const sm_loss_shape shape = {.dimensions = s->target->components};
    return sm_trap_scale(sm_likelihood_of_loss(loss), first_loss(s, loss), shape);
}

/* \return 1 of what is trained on, and has a scale that a person chose */
static int has_own_scale(const split_statistics *split, const target_statistics *s)
{
    return strcmp(split->name, "train") == 0 && s->target->type == SM_TARGET_REAL && !has_fixed_unit(s->target) &&
           s->valid > 1 && s->least < s->most;
}

/* Once the mean is learnt, what is left is so little that no start of s is right both then and before. */
static char *hardly_varies(const split_statistics *split, const target_statistics *s)
{
    double deviation = deviation_of_target(s);
    if (!has_own_scale(split, s) || !sm_trap_is_far(deviation, 1) || !sm_trap_is_far(deviation, scale_from_zero(s)) ||
        deviation > 1) {
        return NULL;
    }
    return sm_format(
        "/%s/%s: standard deviation %.3g%s%s about a mean of %.4g: the network has to learn the mean first, "
        "and a log-variance takes long to get from there to that of the deviation, %.1f. Give differences "
        "from the mean, in another unit",
        split->name, s->target->name, deviation, *s->target->unit ? " " : "", s->target->unit, mean_of_target(s),
        2 * log(deviation));
}

static char *far_from_one(const split_statistics *split, const target_statistics *s)
{
    double from_zero = has_own_scale(split, s) ? scale_from_zero(s) : NAN;
    char *other = hardly_varies(split, s);
    if (other || !sm_trap_is_far(from_zero, 1)) {
        sm_free(other);
        return NULL;
    }
    int is_table = sm_dataset_input(split->dataset)->kind->is_table;
    char *scale = is_table ? sm_strdup("")
                           : sm_format("The key scale of its description times %.1g brings the values near 1, or ",
                                       1 / from_zero);
    char *starts = starts_of_s(s);
    char *text =
        sm_format("/%s/%s: its values lie about %.3g%s%s from 0, where a head starts, and weights start for 1. "
                  "%s%s task with a log-variance of its own begins well at log_variance = %s",
                  split->name, s->target->name, from_zero, *s->target->unit ? " " : "", s->target->unit, scale,
                  is_table ? "A" : "a", starts);
    sm_free(scale);
    sm_free(starts);
    return text;
}

/* ---- 8-bit numbers read with the scale of 16-bit ones: 255 millimetres, 255/256 of a pixel ------------------------------ */

/* The greatest value that they can have; 0: none is known. */
static double most_of_8_bits(const sm_target *target)
{
    return strcmp(target->unit, "m") == 0 ? 0.255 : target->scaling == SM_SCALING_WIDTH ? 255.0 / 256 : 0;
}

static int has_few_levels(const target_statistics *s, int64_t index)
{
    const int64_t fewest = 8; /* hardly a map */
    return s->levels[index] >= fewest && s->levels[index] < LEVELS_MAX;
}

static int compare_reals(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median over the samples of the greatest value of each. */
static double typical_greatest(const target_statistics *s, size_t samples)
{
    double *sorted = sm_alloc((samples + 1) * sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < samples; i++) {
        if (s->levels[i] > 0) {
            sorted[count++] = s->greatest[i];
        }
    }
    qsort(sorted, count, sizeof *sorted, compare_reals);
    double typical = count > 0 ? sorted[count / 2] : 0;
    sm_free(sorted);
    return typical;
}

/* All maps, or single ones that reach far less than the others do. */
static char *scale_of_16_bits(const split_statistics *split, const target_statistics *s)
{
    const double far_less = 1.0 / 16;
    int64_t samples = sm_dataset_count(split->dataset), few = 0, less = 0, first = -1, maps = 0;
    if (!s->levels || most_of_8_bits(s->target) == 0) {
        return NULL;
    }
    double typical = typical_greatest(s, (size_t)samples);
    for (int64_t i = 0; i < samples; i++) {
        maps += s->levels[i] > 0;
        few += has_few_levels(s, i);
        if (has_few_levels(s, i) && s->greatest[i] < far_less * typical) {
            first = less++ == 0 ? i : first;
        }
    }
    if (few > 0 && few == maps && s->most <= most_of_8_bits(s->target) * 1.001) {
        return sm_format(
            "/%s/%s reaches %.3g %s, in less than %d steps a map: are these 8-bit numbers, read with the scale "
            "of 16-bit ones?",
            split->name, s->target->name, s->most, s->target->unit, LEVELS_MAX);
    }
    return less > 0 ? sm_format("/%s/%s of %lld %s, '%s' the first, reaches %.3g %s in %lld steps, others %.3g %s: are "
                                "these 8-bit numbers, read with the scale of 16-bit ones?",
                                split->name, s->target->name, (long long)less, sm_plural(less, "sample", "samples"),
                                sm_dataset_name(split->dataset, first), s->greatest[first], s->target->unit,
                                (long long)s->levels[first], typical, s->target->unit)
                    : NULL;
}

static const finding findings[] = {nothing_valid,    hardly_valid,       one_class,        things_without_instances,
                                   constant,         zeros_of_disparity, metres_too_large, normals_not_unit,
                                   scale_of_16_bits, hardly_varies,      far_from_one};

/* Of the features of a table, by the data of one split. */
static void check_features(warning_list *list, const split_statistics *split)
{
    const double nothing = 1e-6; /* as features are standardised, in deviations */
    const sm_input *input = sm_dataset_input(split->dataset);
    for (int c = 0; input->kind->is_table && c < input->channels; c++) {
        char *name = input->names ? sm_format("'%s'", input->names[c]) : sm_format("%d", c);
        if (split->known[c] == 0) {
            warnings_add(list, sm_format("/%s: feature %s is known of no sample", split->name, name));
        } else if (sm_dataset_count(split->dataset) > 1 && split->std[c] <= nothing * input->std[c]) {
            warnings_add(list, sm_format("/%s: feature %s is %g everywhere", split->name, name, split->mean[c]));
        } else if (strcmp(split->name, "train") == 0 &&
                   (fabs(split->mean[c] - input->mean[c]) > 10 * input->std[c] || split->std[c] > 10 * input->std[c])) {
            warnings_add(list, sm_format("feature %s has mean %.4g and deviation %.4g in /train, but mean[%d] is %.4g "
                                         "and std[%d] %.4g: the network will see far larger numbers than 1",
                                         name, split->mean[c], split->std[c], c, input->mean[c], c, input->std[c]));
        }
        sm_free(name);
    }
}

/* Classes that another split has and the first, which is trained on, has not. */
static void check_untrained(warning_list *list, const split_statistics *split, const split_statistics *first)
{
    for (int t = 0; t < split->target_count; t++) {
        const target_statistics *s = &split->targets[t];
        for (int f = 0; s->target->classes && f < first->target_count; f++) {
            if (strcmp(first->targets[f].target->name, s->target->name) != 0) {
                continue;
            }
            for (int c = 0; c < s->target->classes->count; c++) {
                if (s->of_class[c] > 0 && first->targets[f].of_class[c] == 0) {
                    warnings_add(list,
                                 sm_format("class '%s' of %s is in /%s, but not in /%s", s->target->classes->names[c],
                                           s->target->name, split->name, first->name));
                }
            }
        }
    }
}

void warnings_of_values(warning_list *list, const split_statistics *splits, size_t split_count)
{
    const split_statistics *train = NULL;
    for (size_t i = 0; i < split_count; i++) {
        train = strcmp(splits[i].name, "train") == 0 ? &splits[i] : train;
    }
    for (size_t i = 0; i < split_count; i++) {
        const split_statistics *split = &splits[i];
        for (int t = 0; t < split->target_count; t++) {
            for (size_t f = 0; f < sizeof findings / sizeof *findings; f++) {
                char *text = findings[f](split, &split->targets[t]);
                if (text) {
                    warnings_add(list, text);
                }
            }
        }
        check_features(list, split);
        if (split->blank > 0) {
            warnings_add(list, sm_format("/%s: %lld image%s of one colour throughout", split->name,
                                         (long long)split->blank, split->blank == 1 ? " is" : "s are"));
        }
        if (train && train != split) {
            check_untrained(list, split, train);
        }
    }
}
