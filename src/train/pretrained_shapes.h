/** \file
 * Shapes of a file's tensors beside those of the network, in words. */
#ifndef SIGMATIC_TRAIN_PRETRAINED_SHAPES_H
#define SIGMATIC_TRAIN_PRETRAINED_SHAPES_H

#include <sigmatic/train/pretrained.h>

/** \param row  that is not missing
 * \return "backbone.conv1.weight is (16, 3, 7, 7), in the file (64, 3, 7, 7) float32", freed with sm_free() */
char *sm_pretrained_shapes(const sm_pretrained *pretrained, const sm_pretrained_row *row);

/** Tells from names and shapes of which ResNet a file is, of what width, and with or without the ASPP's projection.
 * \return what of [model] is another here: "the file is of model.backbone = resnet50 (the config has resnet18), ...", freed with
 * sm_free(); NULL if that explains nothing */
char *sm_pretrained_cause(const sm_pretrained *pretrained, const sm_session *session);

#endif
