#include <sigmatic/base/memory.h>
#include <sigmatic/model/blocks.h>
#include <sigmatic/model/parts.h>
#include <sigmatic/model/weight_names.h>

#include "train/pretrained_shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* \return "(64, 3, 7, 7)", freed with sm_free() */
static char *shape_text(int rank, const size_t *shape)
{
    char *numbers = NULL;
    for (int d = 0; d < rank; d++) {
        sm_append_text(&numbers, ", ", "%zu", shape[d]);
    }
    char *text = sm_format("(%s)", numbers ? numbers : "");
    sm_free(numbers);
    return text;
}

char *sm_pretrained_shapes(const sm_pretrained *pretrained, const sm_pretrained_row *row)
{
    const sm_weights_tensor *tensor = &pretrained->weights->tensors[row->tensor];
    size_t shape[4];
    for (int d = 0; d < row->slice->dimensions; d++) {
        shape[d] = (size_t)row->slice->shape[d];
    }
    char *here = shape_text(row->slice->dimensions, shape), *there = shape_text(tensor->rank, tensor->shape);
    char *text = sm_format("%s is %s, in the file %s %s", row->slice->name, here, there,
                           tensor->is_real ? tensor->type : "of no real numbers");
    sm_free(here);
    sm_free(there);
    return text;
}

/* ---- which network a file is of ---- */

enum { LAYERS = 4 };

/* What names and shapes of a ResNet's tensors tell. */
typedef struct anatomy {
    int blocks[LAYERS];
    int bottleneck;
    int stem, inner; /* channels of the first convolution, and of the first in layer4; 0: the file has none */
    int has_aspp, has_projection;
} anatomy;

/* \param name  of ours */
static void note(const char *name, const sm_weights_tensor *tensor, anatomy *a)
{
    static const char aspp[] = "aspp.", projection[] = "aspp.project.";
    int layer, block, end = 0, channels = tensor->rank == 4 ? (int)tensor->shape[0] : 0;
    a->has_aspp |= strncmp(name, aspp, strlen(aspp)) == 0;
    a->has_projection |= strncmp(name, projection, strlen(projection)) == 0;
    if (strcmp(name, "backbone.conv1.weight") == 0) {
        a->stem = channels;
    }
    if (sscanf(name, "backbone.layer%1d.%3d.%n", &layer, &block, &end) == 2 && end > 0 && layer >= 1 &&
        layer <= LAYERS && block >= 0) {
        int *blocks = &a->blocks[layer - 1];
        *blocks = block >= *blocks ? block + 1 : *blocks;
        a->bottleneck |= strcmp(name + end, "conv3.weight") == 0;
        if (layer == LAYERS && block == 0 && strcmp(name + end, "conv1.weight") == 0) {
            a->inner = channels;
        }
    }
}

static anatomy dissect(const sm_weights_file *weights)
{
    anatomy a = {0};
    for (size_t i = 0; i < weights->count; i++) {
        const char *rest;
        const sm_weight_name *row = sm_weight_name_find(weights->tensors[i].name, &rest);
        if (row && row->ours) {
            char *name = sm_format("%s%s", row->ours, rest);
            note(name, &weights->tensors[i], &a);
            sm_free(name);
        }
    }
    return a;
}

char *sm_pretrained_cause(const sm_pretrained *pretrained, const sm_session *session)
{
    const sm_network_options *network = &session->network;
    const anatomy a = dissect(pretrained->weights);
    const char *backbone = sm_resnet_name(a.bottleneck, a.blocks);
    const double width = (double)a.inner / (64 << (LAYERS - 1));
    char *text = NULL;
    if (backbone && a.stem > 0 && a.inner > 0 && abs(sm_scaled_channels(64, width) - a.stem) > 1) {
        return sm_strdup("the file is of a wide ResNet or a ResNeXt, which model.backbone has not");
    }
    if (backbone && strcmp(backbone, network->backbone->name) != 0) {
        sm_append_text(&text, ", ", "model.backbone = %s (the config has %s)", backbone, network->backbone->name);
    }
    if (backbone && a.inner > 0 && sm_scaled_channels(64 << (LAYERS - 1), network->width) != a.inner) {
        sm_append_text(&text, ", ", "model.width = %.4g (the config has %.4g)", width, network->width);
    }
    if (a.has_aspp && a.has_projection != network->project) {
        sm_append_text(&text, ", ", "model.project = %s (the config has %s)", a.has_projection ? "true" : "false",
                       network->project ? "true" : "false");
    }
    char *cause = text ? sm_format("the file is of %s", text) : NULL;
    sm_free(text);
    return cause;
}
