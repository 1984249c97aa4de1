/** \file
 * The command line of `predict`, and what its words ask for. */
#ifndef SIGMATIC_CLI_PREDICT_OPTIONS_H
#define SIGMATIC_CLI_PREDICT_OPTIONS_H

#include <sigmatic/train/prediction_files.h>

#include "cli/arguments.h"
#include "cli/command.h"

enum { PREDICT_FORMATS_MAX = 32 };

typedef struct predict_options {
    const char *checkpoint, *output, *format_list, *mode, *size, *data, *split;
    argument_words rest; /* further checkpoints, then images */
    argument_list sets;
    long long samples, seed;         /* ARGUMENT_NOT_GIVEN */
    double overlap, baseline, focal; /* NaN: not given */
    int uncertainty, overwrite, no_average, json;
    const sm_prediction_format *formats[PREDICT_FORMATS_MAX]; /* of the list, each once */
    int format_count, writes_table;
    sm_predictor_options predictor; /* all but the seed */
} predict_options;

/** Reads the command line; freed with predict_options_free(), also after a failure.
 * \param [out] help  1: --help was asked for, nothing is to be done
 * \return SM_ERR_USAGE: a word that is not understood, or one without effect beside the others */
sm_status predict_options_read(command_context *context, int argc, char **argv, predict_options *options, int *help);

/** For networks that read a table: the only format is csv, and what is about images is refused. \return SM_ERR_USAGE */
sm_status predict_options_for_table(predict_options *options);

void predict_options_free(predict_options *options);

#endif
