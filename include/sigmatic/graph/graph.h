/** \file
 * The network as a list of logical ops over per-sample values. Says what is computed, not how: sm_plan lowers it to calls.
 *
 * A value is one sample's (height, width, channels); vectors are 1 x 1 x channels. Building functions return the id of the output value;
 * the first failure (a shape that does not fit) is kept in the graph, later calls do nothing, and sm_graph_status() reports it. */
#ifndef SIGMATIC_GRAPH_GRAPH_H
#define SIGMATIC_GRAPH_GRAPH_H

#include <sigmatic/base/status.h>
#include <sigmatic/graph/parameters.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_graph sm_graph;
typedef struct sm_op sm_op;
typedef struct sm_lowering sm_lowering;

typedef struct sm_value_shape {
    int height, width, channels;
} sm_value_shape;

static inline size_t sm_value_pixels(sm_value_shape shape)
{
    return (size_t)shape.height * (size_t)shape.width;
}

static inline size_t sm_value_elements(sm_value_shape shape)
{
    return sm_value_pixels(shape) * (size_t)shape.channels;
}

/** What an op's maps may be where a plan keeps them in bfloat16. Vectors (one pixel), of which there are few, and the
 * graph's input and outputs are always floats. */
typedef enum sm_map_types {
    SM_MAPS_FLOAT, /**< floats */
    SM_MAPS_ALIKE, /**< all of the same type; vectors beside them are floats all the same */
    SM_MAPS_INPUT, /**< what it reads of any type, what it writes floats */
    SM_MAPS_ANY    /**< each of any type */
} sm_map_types;

struct sm_plan_options;

/** One kind of op: what the graph and the plan must know of it. Rows live beside their code in src/graph/op_*.c. */
typedef struct sm_op_kind {
    const char *name;
    int saves_input;  /**< its backward reads the input values */
    int saves_output; /**< its backward reads the output value */
    /** Output shape from inputs and config. \return SM_ERR_CONFIG if they do not fit */
    sm_status (*infer)(const sm_graph *graph, const sm_op *op, sm_value_shape *output);
    /** \return multiply-adds of the forward pass of one sample, counted as everybody counts them (no skipped taps). NULL = 0 */
    double (*macs)(const sm_graph *graph, const sm_op *op);
    /** \return which types its maps may have in a plan with these options. NULL = SM_MAPS_FLOAT */
    sm_map_types (*types)(const sm_graph *graph, const sm_op *op, const struct sm_plan_options *options);
    void (*forward)(sm_lowering *lowering, const sm_op *op); /**< emits forward calls */
    void (*backward)(sm_lowering *lowering,
                     const sm_op *op); /**< emits backward calls; only called if something before it is trained */
    void (*recompute)(
        sm_lowering *lowering,
        const sm_op *
            op); /**< emits, into the backward list, what gives again the value that forward did not keep (sm_lowering_forget). NULL = never used */
} sm_op_kind;

enum { SM_OP_INPUTS = 8 };

struct sm_op {
    const sm_op_kind *kind;
    char name[SM_NAME_BYTES];
    int inputs[SM_OP_INPUTS], input_count; /**< value ids */
    int output;                            /**< value id */
    int parameters[2], parameter_count;    /**< weight and bias, or scale and shift: indices into parameters */
    int buffers[2], buffer_count;          /**< running mean and variance */
    int task;                              /**< whose head it belongs to: the graph\'s when it was added; -1 = shared */
    int recompute_block;                   /**< sm_graph_begin_recompute_block(); 0 = none */
    void *config;                          /**< the kind's own struct, owned by the graph */
};

typedef struct sm_value {
    sm_value_shape shape;
    int producer;  /**< op, or -1: an input of the graph */
    int consumers; /**< number of op inputs that read it */
} sm_value;

typedef struct sm_graph_output {
    char name[SM_NAME_BYTES];
    int value;
} sm_graph_output;

struct sm_graph {
    sm_parameters *parameters; /**< shared, not owned */
    sm_value *values;
    int value_count;
    sm_op *ops;
    int op_count;
    sm_graph_output *outputs;
    int output_count;
    int task; /**< owner given to ops and parameters that are added now; -1 = shared */
    int recompute_block, recompute_block_count; /**< given to ops that are added now; how many there were */
    sm_status status;
};

/** \param parameters  receives the slices of the ops; must outlive the graph */
sm_graph *sm_graph_new(sm_parameters *parameters);
void sm_graph_free(sm_graph *graph);

/** \return SM_OK, or the first failure while building (its message is sm_error_message()). */
sm_status sm_graph_status(const sm_graph *graph);

/** Adds the input: value 0. */
int sm_graph_input(sm_graph *graph, sm_value_shape shape);

/** Ops that are added from here to the end form a recompute block: a plan may keep only the values that leave it, and
 * compute those inside again for backward (sm_plan_options.recompute). Blocks follow each other, none lies in another. */
void sm_graph_begin_recompute_block(sm_graph *graph);
void sm_graph_end_recompute_block(sm_graph *graph);

/** Names a value as an output. Outputs receive seed gradients in the order in which they are named. */
void sm_graph_add_output(sm_graph *graph, const char *name, int value);

/** Adds an op; copies `config_bytes` of config. Used by the functions below and by op kinds of others. \return value id, -1 after a failure */
int sm_graph_append(sm_graph *graph, const sm_op *op, const void *config, size_t config_bytes);

/** Convolution; parameters NAME.weight (and NAME.bias). Kaiming normal, fan out; `initial_std` > 0 replaces that. */
typedef struct sm_conv2d_options {
    int channels, kernel, stride, dilation;
    int pad; /**< on every side */
    int bias;
    double initial_std;
} sm_conv2d_options;
int sm_graph_conv2d(sm_graph *graph, int input, const char *name, const sm_conv2d_options *options);

/** A map and a vector whose channels stand beside the map's at every pixel. */
typedef struct sm_features {
    int map;    /**< value */
    int vector; /**< 1x1 value, or -1: the map is all */
} sm_features;

/** Convolution of the map with the vector's channels after its own; one parameter NAME.weight, as if it read their
 * concatenation, which is never made (ops/conv2d_uniform.h). */
int sm_graph_conv2d_features(sm_graph *graph, sm_features input, const char *name, const sm_conv2d_options *options);

/** Batch normalisation; NAME.weight, .bias, .running_mean, .running_var.
 * \param never_local  statistics of the global batch with SM_BATCH_NORM_LOCAL too: for vectors, of which a rank has few */
int sm_graph_batch_norm(sm_graph *graph, int input, const char *name, int never_local);

int sm_graph_relu(sm_graph *graph, int input);
int sm_graph_add(sm_graph *graph, int a, int b);
int sm_graph_max_pool(sm_graph *graph, int input, int kernel, int stride, int pad);
int sm_graph_global_average_pool(sm_graph *graph, int input);
int sm_graph_resize(sm_graph *graph, int input, int height, int width, int align_corners);
int sm_graph_concat(sm_graph *graph, const int *inputs, int count);
int sm_graph_dropout(sm_graph *graph, int input, double probability);

/** Fully connected on vectors: NAME.weight (out,in), NAME.bias. */
int sm_graph_linear(sm_graph *graph, int input, const char *name, int channels);

#ifdef __cplusplus
}
#endif
#endif
