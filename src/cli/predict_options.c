#include "cli/predict_options.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>

#include "cli/configuration.h"

#include <math.h>
#include <string.h>

static const double USUAL_OVERLAP = 0.5;

/* ---- words ------------------------------------------------------------------------------------------------------------ */

static const char table_name[] = "csv", usual_format[] = "overlay";

/* \return freed with sm_free() */
static char *all_formats(const char *between)
{
    char *known = sm_strdup(table_name);
    for (const sm_prediction_format *format = sm_prediction_formats; format->name; format++) {
        sm_append_text(&known, between, "%s", format->name);
    }
    return known;
}

static sm_status fail_format(const char *word)
{
    char *known = all_formats(", ");
    sm_nearest nearest = {.wanted = word};
    sm_nearest_consider(&nearest, table_name);
    for (const sm_prediction_format *format = sm_prediction_formats; format->name; format++) {
        sm_nearest_consider(&nearest, format->name);
    }
    sm_status status =
        !*word
            ? sm_fail(SM_ERR_USAGE, "predict: --format: a word is missing beside a comma: formats are joined by commas "
                                    "without blanks, as in overlay,csv")
        : nearest.best ? sm_fail(SM_ERR_USAGE, "predict: --format '%s': did you mean '%s'? expected one or more of %s",
                                 word, nearest.best, known)
                       : sm_fail(SM_ERR_USAGE, "predict: --format '%s': expected one or more of %s", word, known);
    sm_free(known);
    return status;
}

static sm_status add_format(predict_options *o, const char *word)
{
    const sm_prediction_format *format = sm_prediction_format_find(word);
    if (strcmp(word, table_name) == 0) {
        o->writes_table = 1;
        return SM_OK;
    }
    if (!format) {
        return fail_format(word);
    }
    for (int f = 0; f < o->format_count; f++) {
        if (o->formats[f] == format) {
            return SM_OK;
        }
    }
    o->formats[o->format_count++] = format;
    return SM_OK;
}

static sm_status parse_formats(predict_options *o)
{
    sm_status status = SM_OK;
    for (const char *at = o->format_list ? o->format_list : usual_format; status == SM_OK; at++) {
        size_t length = strcspn(at, ",");
        char *word = sm_format("%.*s", (int)length, at);
        status = add_format(o, word);
        sm_free(word);
        at += length;
        if (*at == 0) {
            break;
        }
    }
    return status;
}

static sm_status parse_mode(predict_options *o)
{
    const char *word = o->mode;
    for (int m = 0; m < SM_PREDICT_MODES; m++) {
        if (strcmp(word, sm_predict_mode_names[m]) == 0) {
            o->predictor.mode = (sm_predict_mode)m;
            return SM_OK;
        }
    }
    return sm_fail(SM_ERR_USAGE, "predict: --mode '%s': expected scale, whole or windows", word);
}

static sm_status parse_size(predict_options *o)
{
    enum { LEAST = 16, MOST = 65535 };
    const char *word = o->size;
    sm_predictor_options *predictor = &o->predictor;
    if (!word) {
        return SM_OK;
    }
    if (!arguments_read_size(word, LEAST, MOST, &predictor->height, &predictor->width)) {
        return sm_fail(SM_ERR_USAGE, "predict: --size '%s': expected HEIGHTxWIDTH, %d or more each: 256x512", word,
                       LEAST);
    }
    if (predictor->mode == SM_PREDICT_WHOLE) {
        return sm_fail(SM_ERR_USAGE,
                       "predict: --size goes with --mode scale or windows; whole takes images as they are");
    }
    return SM_OK;
}

static sm_status check_numbers(const predict_options *o)
{
    if (!isnan(o->overlap) && !(o->overlap >= 0 && o->overlap <= 0.9)) {
        return sm_fail(SM_ERR_USAGE, "predict: --overlap %g: 0 to 0.9 expected", o->overlap);
    }
    if (o->samples != ARGUMENT_NOT_GIVEN && (o->samples < 2 || o->samples > 10000)) {
        return sm_fail(SM_ERR_USAGE, "predict: --samples %lld: 2 to 10000 expected", o->samples);
    }
    if (o->seed != ARGUMENT_NOT_GIVEN && o->seed < 0) {
        return sm_fail(SM_ERR_USAGE, "predict: --seed %lld: 0 or more expected", o->seed);
    }
    if (isnan(o->baseline) != isnan(o->focal) || o->baseline <= 0 || o->focal <= 0) {
        return sm_fail(SM_ERR_USAGE, "predict: --baseline METRES and --focal PIXELS go together, both above 0");
    }
    return SM_OK;
}

/* What changes nothing beside the other words was meant otherwise. */
static sm_status check_pairs(const predict_options *o)
{
    int uses_camera = 0, has_uncertainty = o->writes_table;
    for (int f = 0; f < o->format_count; f++) {
        uses_camera |= o->formats[f]->uses_camera;
        has_uncertainty |= o->formats[f]->has_uncertainty;
    }
    if (!isnan(o->overlap) && o->predictor.mode != SM_PREDICT_WINDOWS) {
        return sm_fail(SM_ERR_USAGE, "predict: --overlap goes with --mode windows");
    }
    if (o->seed != ARGUMENT_NOT_GIVEN && o->samples == ARGUMENT_NOT_GIVEN) {
        return sm_fail(SM_ERR_USAGE, "predict: --seed goes with --samples N: nothing else is drawn");
    }
    if (!isnan(o->baseline) && !uses_camera) {
        return sm_fail(SM_ERR_USAGE, "predict: --baseline and --focal go with --format metres or millimetres");
    }
    if (o->uncertainty && !has_uncertainty) {
        return sm_fail(SM_ERR_USAGE, "predict: --uncertainty goes with --format overlay, npy, hdf5 or csv: the others "
                                     "have no place for it");
    }
    return SM_OK;
}

static sm_status understand(predict_options *o)
{
    sm_status status = SM_OK;
    SM_TRY(parse_formats(o));
    SM_TRY(parse_mode(o));
    SM_TRY(parse_size(o));
    SM_TRY(check_numbers(o));
    SM_TRY(check_pairs(o));
    sm_predictor_options *predictor = &o->predictor;
    predictor->overlap = isnan(o->overlap) ? USUAL_OVERLAP : o->overlap;
    predictor->samples = o->samples == ARGUMENT_NOT_GIVEN ? 0 : (int)o->samples;
    predictor->uncertainty = o->uncertainty;
    for (int f = 0; f < o->format_count; f++) {
        predictor->instances |= o->formats[f]->wants_instances;
    }
done:
    return status;
}

sm_status predict_options_read(command_context *context, int argc, char **argv, predict_options *o, int *help)
{
    sm_status status = SM_OK;
    *o = (predict_options){.output = "predictions",
                           .mode = "scale",
                           .samples = ARGUMENT_NOT_GIVEN,
                           .seed = ARGUMENT_NOT_GIVEN,
                           .overlap = NAN,
                           .baseline = NAN,
                           .focal = NAN};
    char *names = all_formats("|"), *formats = sm_format("%s,...", names);
    const argument table[] = {
        {"CHECKPOINT", ARGUMENT_POSITIONAL, &o->checkpoint, NULL,
         "runs/NAME/checkpoints/best.h5, or any other, or the folder runs/NAME; several are an ensemble, whose "
         "predictions are averaged"},
        {"IMAGE...", ARGUMENT_REST, &o->rest, NULL,
         "PNG and JPEG files, folders with such (all below them), or one dataset file; for a network of tables one CSV "
         "file with columns of the features' names, or a dataset"},
        {"output", ARGUMENT_TEXT, &o->output, "DIR", "folder of the results, one below it a format (predictions)"},
        {"format", ARGUMENT_TEXT, &o->format_list, formats,
         "one or more, joined by commas (overlay; of a table csv); configs/predict.md describes each"},
        {"mode", ARGUMENT_TEXT, &o->mode, "scale|whole|windows",
         "scale (default): to as many pixels as training's images had, results back; whole: as large as it is; "
         "windows: "
         "in overlapping windows of the size that training saw, blended"},
        {"size", ARGUMENT_TEXT, &o->size, "HxW",
         "what scale scales to, or the window of windows, instead of training's"},
        {"overlap", ARGUMENT_REAL, &o->overlap, "SHARE",
         "of a window that its neighbour covers too, with --mode windows (0.5)"},
        {"uncertainty", ARGUMENT_FLAG, &o->uncertainty, NULL,
         "add maps of entropy and, of several checkpoints or samples, of how much they disagree; name each task's "
         "sigma"},
        {"samples", ARGUMENT_INTEGER, &o->samples, "N",
         "Monte Carlo dropout: average N runs with features dropped as in training (the config needs model.dropout "
         "above 0)"},
        {"seed", ARGUMENT_INTEGER, &o->seed, "N", "of what --samples drops; default: run.seed of the config"},
        {"baseline", ARGUMENT_REAL, &o->baseline, "METRES",
         "between the cameras of a stereo pair: --format metres or millimetres from disparities"},
        {"focal", ARGUMENT_REAL, &o->focal, "PIXELS", "focal length in pixels of the images"},
        {"split", ARGUMENT_TEXT, &o->split, "NAME",
         "of a dataset; default: the config's validation_split, or its only one"},
        {"data", ARGUMENT_TEXT, &o->data, "FILE",
         "dataset that says what the classes are, for checkpoints of earlier versions, which do not"},
        {"no-average", ARGUMENT_FLAG, &o->no_average, NULL, "use the last parameters, not their moving average"},
        {"overwrite", ARGUMENT_FLAG, &o->overwrite, NULL, "replace results that are there"},
        {"json", ARGUMENT_FLAG, &o->json, NULL, "print one JSON object at the end (include/README.md, JSON)"},
        {"set", ARGUMENT_LIST, &o->sets, "SECTION.KEY=VALUE", "override a key of the checkpoints' configs"},
        {0},
    };
    SM_TRY(command_arguments(
        context, "predict",
        "Predicts images of any size: no labels, no dataset. Ranks share the images; the results are\n"
        "the same on any number of them.\n"
        "A bad image is named and left out, and the exit code is 1.",
        table, argc, argv, help));
    if (!*help) {
        SM_TRY(understand(o));
    }
done:
    sm_free(names);
    sm_free(formats);
    return status;
}

sm_status predict_options_for_table(predict_options *o)
{
    if (o->size || o->predictor.mode != SM_PREDICT_SCALE) {
        return sm_fail(SM_ERR_USAGE, "predict: --%s is for images, and the network reads a table",
                       o->size ? "size" : "mode");
    }
    if (o->format_list && o->format_count > 0) {
        return sm_fail(SM_ERR_USAGE,
                       "predict: --format %s is for images, and the network reads a table: csv expected, which is also "
                       "taken without --format",
                       o->formats[0]->name);
    }
    o->format_count = 0;
    o->writes_table = 1;
    return SM_OK;
}

void predict_options_free(predict_options *options)
{
    sm_free(options->rest.items);
}
