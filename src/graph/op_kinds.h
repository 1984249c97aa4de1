/** \file
 * Op kinds that others fuse with. */
#ifndef SIGMATIC_GRAPH_OP_KINDS_H
#define SIGMATIC_GRAPH_OP_KINDS_H

#include <sigmatic/graph/graph.h>

extern const sm_op_kind sm_relu_kind;
extern const sm_op_kind sm_add_kind;

#endif
