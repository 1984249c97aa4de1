/** \file
 * The network: a shared dilated ResNet + ASPP, and one decoder a task (Kendall, Gal, Cipolla, CVPR 2018; Chen et al. 2017 for the ASPP).
 *
 * Functions that append ops to a graph; parameter names are torchvision's with the prefixes "backbone.", "aspp.", "decoders.<task>.". */
#ifndef SIGMATIC_MODEL_NETWORK_H
#define SIGMATIC_MODEL_NETWORK_H

#include <sigmatic/base/status.h>
#include <sigmatic/graph/graph.h>
#include <sigmatic/io/config.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_ASPP_RATES = 3 };

/** Section [model]. */
typedef struct sm_network_options {
    const char *backbone;     /**< "resnet18" ... "resnet152" */
    double width;             /**< multiplies all channel counts, at least 4 remain */
    int output_stride;        /**< 8, 16 or 32 */
    int rates[SM_ASPP_RATES]; /**< of the ASPP's 3x3 branches */
    int project;              /**< 1x1 convolution of the concatenation down to 256 (x width) */
    int align_corners;        /**< of the upsampling to the input's size */
    double dropout;           /**< before each decoder's last layer; 0 = none */
} sm_network_options;

extern const sm_key sm_model_keys[];

/** Reads section [model]. \return SM_ERR_CONFIG naming the key */
sm_status sm_network_configure(const sm_config *config, sm_network_options *options);

/** Freezes and scales learning rates by the name patterns of keys `freeze` and `learning_rate_scales`. Call before a plan is made.
 * \return SM_ERR_CONFIG naming a pattern that matches nothing */
sm_status sm_network_apply_patterns(const sm_config *config, sm_parameters *parameters);

/** A decoder wanted. */
typedef struct sm_decoder {
    const char *name;
    int channels; /**< of its output map */
} sm_decoder;

/** Builds the network for (height, width, 3) images; output i is decoder i's map at the input's size.
 * \param [in,out] parameters  slices are added, or found if another graph added them
 * \param [out] out            freed with sm_graph_free() */
sm_status sm_network_build(const sm_network_options *options, int height, int width, int decoder_count,
                           const sm_decoder *decoders, sm_parameters *parameters, sm_graph **out);

/** \return max(4, base * width rounded): channels of a layer under the width multiplier. */
int sm_network_channels(int base, double width);

/** Appends the backbone: 3x3 windows of layer3 and layer4 dilated so that height / output_stride remains. \return its output value */
int sm_resnet_append(sm_graph *graph, int input, const sm_network_options *options);

/** Appends the ASPP: 1x1 and three dilated 3x3 branches, concatenated, and a pooled one, a vector: together the shared
 * representation (projected, one map).
 * \return its values */
sm_features sm_aspp_append(sm_graph *graph, int input, const sm_network_options *options);

/** Appends one decoder: 3x3 convolution + BN + ReLU, 1x1 convolution, bilinear to (height, width). \return its value */
int sm_decoder_append(sm_graph *graph, sm_features input, const sm_network_options *options, const sm_decoder *decoder,
                      int height, int width);

/** Appends convolution NAME.<conv> + batch norm NAME.<norm> + ReLU, the building block of all parts. */
int sm_conv_norm_relu_append(sm_graph *graph, sm_features input, const char *conv, const char *norm,
                             const sm_conv2d_options *options);

#ifdef __cplusplus
}
#endif
#endif
