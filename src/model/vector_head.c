/* A value a sample. */
#include <sigmatic/model/blocks.h>
#include <sigmatic/model/parts.h>

#include <stdio.h>

int sm_vector_head_append(sm_graph *graph, sm_features shared, const sm_network_options *options, const sm_head *head,
                          int height, int width)
{
    (void)height;
    (void)width;
    char hidden[SM_NAME_BYTES], last[SM_NAME_BYTES];
    snprintf(hidden, sizeof hidden, "decoders.%s.0", head->name);
    snprintf(last, sizeof last, "decoders.%s.%d", head->name, options->head_hidden > 0 ? 2 : 0);
    int x = shared.map >= 0 ? sm_graph_global_average_pool(graph, shared.map) : shared.vector;
    if (shared.map >= 0 && shared.vector >= 0) {
        x = sm_graph_concat(graph, (int[]){x, shared.vector}, 2);
    }
    if (options->head_hidden > 0) {
        x = sm_graph_relu(graph, sm_graph_linear(graph, x, hidden, options->head_hidden));
    }
    if (options->dropout > 0) {
        x = sm_graph_dropout(graph, x, options->dropout);
    }
    return sm_graph_linear(graph, x, last, head->channels);
}
