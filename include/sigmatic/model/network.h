/** \file
 * The network: a shared backbone, the neck that it may have, and one head a task (Kendall, Gal, Cipolla, CVPR 2018). Backbones and heads are rows of tables.
 *
 * Parameter names are torchvision's with the prefixes "backbone.", "aspp.", "decoders.<task>.". */
#ifndef SIGMATIC_MODEL_NETWORK_H
#define SIGMATIC_MODEL_NETWORK_H

#include <sigmatic/base/status.h>
#include <sigmatic/graph/graph.h>
#include <sigmatic/io/config.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_ASPP_RATES = 3 };

typedef struct sm_backbone sm_backbone;

/** Section [model]. */
typedef struct sm_network_options {
    const sm_backbone *backbone;
    double width;             /**< multiplies all channel counts, at least 4 remain */
    int output_stride;        /**< 8, 16 or 32: of a ResNet */
    int rates[SM_ASPP_RATES]; /**< of the ASPP's 3x3 branches */
    int project;              /**< 1x1 convolution of the ASPP's concatenation down to 256 (x width) */
    int align_corners;        /**< of the upsampling to the input's size */
    double dropout;           /**< before each head's last layer; 0 = none */
    int head_hidden;          /**< units of the hidden layer of a vector head; 0 = none: one linear layer */
    const sm_config *config;  /**< where a backbone finds keys of its own */
} sm_network_options;

/** One row of the table of backbones. */
struct sm_backbone {
    const char *name;   /**< "resnet18" */
    const sm_key *keys; /**< of section [model] that it and its neck read besides sm_model_keys; NULL = none */
    int reads_tables;   /**< 1: its input are features, 1 x 1 x as many as a table has; 0: images */
    /** Appends it. \return its features */
    sm_features (*append)(sm_graph *graph, int input, const sm_network_options *options);
    /** Appends what stands between it and the heads. \return the shared representation. NULL: the features are */
    sm_features (*neck)(sm_graph *graph, sm_features features, const sm_network_options *options);
};

extern const sm_backbone *sm_backbones[]; /**< ends with NULL */

/** Adds a row to the table: from then on a choice of `model.backbone`, its keys a part of every config. Before the first
 * config is made, on every rank alike. Not collective.
 * \param backbone  must outlive the process's use of the library
 * \return SM_ERR_USAGE if there is one of that name, it appends nothing, or the table is full */
sm_status sm_backbone_register(const sm_backbone *backbone);

extern const sm_key sm_model_keys[], sm_resnet_keys[], sm_mlp_keys[];

/** Reads section [model]. \return SM_ERR_CONFIG naming the key */
sm_status sm_network_configure(const sm_config *config, sm_network_options *options);

/** Freezes and scales learning rates by the name patterns of keys `freeze` and `learning_rate_scales`. Call before a plan is made.
 * \return SM_ERR_CONFIG naming a pattern that matches nothing */
sm_status sm_network_apply_patterns(const sm_config *config, sm_parameters *parameters);

/** What a head predicts. */
typedef enum sm_head_kind {
    SM_HEAD_MAP,    /**< a value a pixel: 3x3 convolution + BN + ReLU, 1x1 convolution, bilinear to the input's size */
    SM_HEAD_VECTOR, /**< a value a sample: pooled features, two linear layers with a ReLU between, or one */
    SM_HEAD_KINDS
} sm_head_kind;

/** A head wanted. */
typedef struct sm_head {
    const char *name; /**< of the task */
    sm_head_kind kind;
    int channels; /**< of its output */
} sm_head;

/** Builds the network for inputs of this shape; output i is head i's: (height, width, channels) of a map, (1, 1, channels) of a vector.
 * \param [in,out] parameters  slices are added, or found if another graph added them
 * \param [out] out            freed with sm_graph_free() */
sm_status sm_network_build(const sm_network_options *options, sm_value_shape input, int head_count,
                           const sm_head *heads, sm_parameters *parameters, sm_graph **out);

#ifdef __cplusplus
}
#endif
#endif
