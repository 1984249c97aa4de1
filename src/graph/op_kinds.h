/** \file
 * What op kinds share: which of them others fuse with, and what they say of types. */
#ifndef SIGMATIC_GRAPH_OP_KINDS_H
#define SIGMATIC_GRAPH_OP_KINDS_H

#include <sigmatic/graph/graph.h>

/** SM_MAPS_ALIKE, as a kind's `types`. */
static inline sm_map_types sm_maps_alike(const sm_graph *graph, const sm_op *op, const struct sm_plan_options *options)
{
    (void)graph, (void)op, (void)options;
    return SM_MAPS_ALIKE;
}

extern const sm_op_kind sm_relu_kind;
extern const sm_op_kind sm_add_kind;

#endif
