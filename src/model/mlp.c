/* A perceptron, as torch.nn.Sequential(Linear, ReLU, Linear, ReLU, ...) names its layers: backbone.0, backbone.2, ... Weights begin
 * as torch.nn.init.kaiming_normal_() (fan in), biases with 0. */
#include <sigmatic/model/parts.h>

#include <stdio.h>

const sm_key sm_mlp_keys[] = {
    {"model", "hidden", SM_KEY_INTEGERS, "256,256", 1, 65536, NULL, "units",
     "widths of the hidden layers that all tasks share, the first one's first"},
    {"model", "head_hidden", SM_KEY_INTEGER, "0", 0, 65536, NULL, "units",
     "of a hidden layer of each task's own behind them; 0: none, its values are linear in what is shared"},
    {0},
};

sm_features sm_mlp_append(sm_graph *graph, int input, const sm_network_options *options)
{
    size_t layers;
    const int64_t *widths = sm_config_integers(options->config, "model", "hidden", &layers);
    int x = input;
    for (size_t i = 0; i < layers; i++) {
        char name[SM_NAME_BYTES];
        snprintf(name, sizeof name, "backbone.%zu", 2 * i);
        x = sm_graph_relu(graph, sm_graph_linear(graph, x, name, (int)widths[i]));
    }
    return (sm_features){.map = -1, .vector = x};
}
