/** \file
 * The parts that network.c puts together, a file each. */
#ifndef SIGMATIC_MODEL_PARTS_H
#define SIGMATIC_MODEL_PARTS_H

#include <sigmatic/model/network.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A dilated ResNet: 3x3 windows of layer3 and layer4 dilated so that height / output_stride remains (resnet.c). */
sm_features sm_resnet_append(sm_graph *graph, int input, const sm_network_options *options);

/** A perceptron: as many linear layers as `model.hidden` has widths, a ReLU behind each; a vector (mlp.c). */
sm_features sm_mlp_append(sm_graph *graph, int input, const sm_network_options *options);

/** \return the name of the ResNet of so many blocks in each of its four layers, "resnet50"; NULL: there is none
 * \param bottleneck  1: of blocks with three convolutions, 0: with two */
const char *sm_resnet_name(int bottleneck, const int blocks[4]);

/** Atrous spatial pyramid pooling: 1x1 and three dilated 3x3 branches, concatenated, and a pooled one, a vector;
 * projected, one map (aspp.c). Takes the map of the features. */
sm_features sm_aspp_append(sm_graph *graph, sm_features features, const sm_network_options *options);

/** Heads (map_head.c, vector_head.c). \param height, width  of the input \return their output value */
int sm_map_head_append(sm_graph *graph, sm_features shared, const sm_network_options *options, const sm_head *head,
                       int height, int width);
int sm_vector_head_append(sm_graph *graph, sm_features shared, const sm_network_options *options, const sm_head *head,
                          int height, int width);

#ifdef __cplusplus
}
#endif
#endif
