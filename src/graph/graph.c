#include <sigmatic/base/memory.h>
#include <sigmatic/graph/graph.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

sm_graph *sm_graph_new(sm_parameters *parameters)
{
    sm_graph *graph = sm_alloc_zeroed(sizeof *graph);
    graph->parameters = parameters;
    graph->task = -1;
    return graph;
}

void sm_graph_free(sm_graph *graph)
{
    if (graph) {
        for (int i = 0; i < graph->op_count; i++) {
            sm_free(graph->ops[i].config);
        }
        sm_free(graph->ops);
        sm_free(graph->values);
        sm_free(graph->outputs);
        sm_free(graph);
    }
}

sm_status sm_graph_status(const sm_graph *graph)
{
    return graph->status;
}

static int add_value(sm_graph *graph, sm_value_shape shape, int producer)
{
    graph->values = sm_realloc(graph->values, (size_t)(graph->value_count + 1) * sizeof *graph->values);
    graph->values[graph->value_count] = (sm_value){shape, producer, 0};
    return graph->value_count++;
}

int sm_graph_input(sm_graph *graph, sm_value_shape shape)
{
    assert(graph->value_count == 0 && "one input, added first");
    return add_value(graph, shape, -1);
}

void sm_graph_begin_recompute_block(sm_graph *graph)
{
    assert(graph->recompute_block == 0 && "recompute blocks do not nest");
    graph->recompute_block = ++graph->recompute_block_count;
}

void sm_graph_end_recompute_block(sm_graph *graph)
{
    graph->recompute_block = 0;
}

void sm_graph_add_output(sm_graph *graph, const char *name, int value)
{
    if (graph->status != SM_OK) {
        return;
    }
    for (int i = 0; i < graph->output_count; i++) {
        assert(graph->outputs[i].value != value && "a value has one seed gradient");
    }
    graph->outputs = sm_realloc(graph->outputs, (size_t)(graph->output_count + 1) * sizeof *graph->outputs);
    sm_graph_output *output = &graph->outputs[graph->output_count++];
    snprintf(output->name, sizeof output->name, "%s", name);
    output->value = value;
}

int sm_graph_append(sm_graph *graph, const sm_op *op, const void *config, size_t config_bytes)
{
    if (graph->status != SM_OK) {
        return -1;
    }
    graph->ops = sm_realloc(graph->ops, (size_t)(graph->op_count + 1) * sizeof *graph->ops);
    sm_op *added = &graph->ops[graph->op_count++];
    *added = *op;
    added->task = graph->task;
    added->recompute_block = graph->recompute_block;
    added->config = config_bytes ? memcpy(sm_alloc(config_bytes), config, config_bytes) : NULL;
    sm_value_shape shape;
    graph->status = added->kind->infer(graph, added, &shape);
    if (graph->status != SM_OK) {
        return -1;
    }
    for (int i = 0; i < op->input_count; i++) {
        graph->values[op->inputs[i]].consumers++;
    }
    added->output = add_value(graph, shape, graph->op_count - 1);
    return added->output;
}
