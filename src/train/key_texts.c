/* What each key of a training config is for, in full sentences: `train --help-config SECTION.KEY` and configs/README.md add
 * what the tables of keys and conditions say, and a test wants a row here for each key. */
#include <sigmatic/train/settings.h>

static const char run[] = "run", distributed[] = "distributed", checkpoint[] = "checkpoint", model[] = "model",
                  data[] = "data", task[] = "task.NAME", weighting[] = "weighting", optimizer[] = "optimizer",
                  schedule[] = "schedule";

const sm_key_text sm_key_texts[] = {
    {run, NULL, "What is written where, and how long training goes on.", NULL},
    {run, "folder",
     "The folder of the run: its log run.h5, its checkpoints and its status are written here. A folder that holds a "
     "run "
     "already is refused unless --resume goes on with it or --overwrite replaces it. The path is relative to the "
     "folder "
     "in which the command is given.",
     NULL},
    {run, "seed",
     "It fixes initial weights, the order of samples, augmentation and dropout. Runs that differ in nothing else show "
     "how much of a result is chance.",
     "distributed.reproducible"},
    {run, "tasks",
     "The tasks that are trained and evaluated, by their names; sections [task.NAME] that are not listed count as not "
     "written. Empty means all. So one config serves for all tasks together, for each pair and for each task alone, "
     "the baselines of a comparison: --set run.tasks=depth.",
     "weighting.method"},
    {run, "batch",
     "The images of one step, over all ranks together: rank r takes a contiguous part, and any number of ranks "
     "computes "
     "the same step. The last batch of an epoch may be smaller.",
     "distributed.micro_batches, optimizer.learning_rate"},
    {run, "steps",
     "The length of the run in steps; 0 means that epochs says it. One of the two must be above 0. A larger number "
     "with --resume makes a finished run longer: the schedule then is that of the new length.",
     "run.epochs, schedule.kind"},
    {run, "epochs",
     "The length of the run in passes over the training samples. With --resume it may grow, as steps may.",
     "run.steps, schedule.kind"},
    {run, "time_limit",
     "The time that a start of the run may take, as Slurm's --time: minutes, "
     "minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds. It stops "
     "early enough to write a checkpoint in that time, by the longest step and checkpoint so far, with exit code 75 "
     "and "
     "the status pre-empted; --resume auto goes on. The time that Slurm leaves to the job (SLURM_JOB_END_TIME) counts "
     "as well, also where this is empty.",
     "run.steps"},
    {run, "precision",
     "How the products of convolutions may round, in the words of PyTorch's set_float32_matmul_precision. highest is "
     "float32 throughout. high allows errors up to 5e-6: Winograd's F(4x4), and floats made of two bfloat16 numbers. "
     "bf16 rounds factors to bfloat16 and keeps the maps of backbone and ASPP in it, which halves their memory. "
     "Weights, losses, sums and the optimiser are float in any case.",
     "distributed.conv2d_algorithm"},
    {run, "evaluate_interval",
     "Steps between evaluations; 0 evaluates at the end only. An evaluation measures every sample of the validation "
     "split once.",
     "data.validation, checkpoint.keep_best"},
    {run, "evaluate_instances",
     "Evaluations during training find instances as well and measure their average precision, ap and ap50, which takes "
     "a while "
     "longer than the other metrics. Commands that evaluate always measure it.",
     "run.evaluate_interval"},
    {run, "evaluate_batch",
     "The images of one step of an evaluation, over all ranks; 0 is as many as in training. It changes speed and "
     "memory, "
     "not what is measured.",
     "run.batch"},
    {run, "progress_seconds", "The time between lines of progress where standard error is no terminal.", NULL},

    {distributed, NULL, "How ranks share a step, and what each does with its part.", NULL},
    {distributed, "threads",
     "OpenMP threads of each rank; 0 takes OMP_NUM_THREADS, else 1. Ranks times threads should not exceed the cores of "
     "a "
     "node; a warning says so.",
     NULL},
    {distributed, "batch_norm",
     "Whose statistics normalise. sync: those of the global batch, so that N ranks compute the step of one. local: "
     "those "
     "of each rank's samples; running values are averaged. frozen: the running ones, which stay as they are, for "
     "fine-tuning with small batches. The ASPP's pooled branch takes those of the global batch with local too, and the "
     "running ones where that batch is one image.",
     "model.pretrained, distributed.reproducible"},
    {distributed, "micro_batches",
     "The parts in which a rank works through its share of a batch, one after the other; gradients add up. It divides "
     "the memory of activations. Losses count all parts together; the statistics of batch norms are those of each "
     "part.",
     "distributed.recompute, distributed.batch_norm"},
    {distributed, "reproducible",
     "Parameters, losses and evaluations are the same bits on any number of ranks and threads of one kind of CPU, "
     "because every sum over the batch adds one summand a sample in one fixed tree. Steps take a tenth to a fifth "
     "longer. Without it a repeat on the same number of ranks gives the same bits. It goes neither with local "
     "statistics, nor with compress, nor with micro_batches.",
     "run.seed"},
    {distributed, "conv2d_algorithm",
     "One algorithm for every convolution that it can compute, whatever run.precision allows: implicit_gemm, taps, "
     "winograd2, winograd4, bf16_gemm, ...; train --dry-run lists what each layer takes. It is for measurements; "
     "empty, "
     "each layer and pass takes the cheapest that run.precision allows.",
     "run.precision"},
    {distributed, "recompute",
     "blocks keeps of the backbone only what enters its blocks and computes the inside again in backward: two fifths "
     "to "
     "a half of the memory of an image, about a sixth more time, the same bits. none keeps everything.",
     "distributed.micro_batches"},
    {distributed, "reduction",
     "How gradients are summed over ranks. hierarchical: in buckets while backward goes on, through shared memory "
     "inside "
     "a node and by messages between nodes. overlapped: the same by messages only. blocking: after backward.",
     "distributed.bucket_mib, distributed.compress"},
    {distributed, "bucket_mib",
     "The gradients that travel together; 0 is what the kind of reduction likes best. Small buckets start earlier, "
     "large "
     "ones cost fewer messages.",
     "distributed.reduction"},
    {distributed, "compress",
     "Messages of gradients carry bfloat16, half the bytes, while sums are kept in float. It helps where the network "
     "between nodes is slow; gradients lose 16 of their 24 bits on the way.",
     "distributed.reduction"},
    {distributed, "reduction_thread",
     "Between nodes, a thread that wakes every millisecond moves gradients while long operations compute: MPI by "
     "itself "
     "moves nothing meanwhile.",
     "distributed.reduction"},
    {distributed, "stall_seconds",
     "The longest wait for other ranks while none of them gets on. Then the run names the missing ranks and what they "
     "were last seen doing, and ends with exit code 3; 0 waits for ever. Commands without a config take it from "
     "SIGMATIC_STALL_SECONDS in the environment.",
     NULL},
    {distributed, "check_interval",
     "Steps between comparisons of all parameters over the ranks, which must hold the same bits; 0 never compares. A "
     "difference ends the run: memory or a network is broken.",
     NULL},

    {checkpoint, NULL, "What is kept of a run, to go on with it and to use it.", NULL},
    {checkpoint, "interval",
     "Steps between checkpoints; 0 writes them by time. What a crash costs is the time since the last one. They are "
     "written while training goes on, which only stands still while they are copied into memory: a tenth of a step of "
     "batch 2 of ResNet-101, as a run says at its end. Where steps are skipped for numbers that are not finite, not "
     "before the next that is not.",
     "checkpoint.minutes, checkpoint.keep_last"},
    {checkpoint, "minutes",
     "Minutes between checkpoints where checkpoint.interval is 0. There is always one at the end, when the run is "
     "asked to stop, and with a best evaluation; with 0 there are only these.",
     "checkpoint.interval"},
    {checkpoint, "keep_last",
     "How many of the latest checkpoints stay; older ones are deleted, once the new one is on the disk. Those that "
     "checkpoint.keep_every keeps, and best.h5, are not counted.",
     "checkpoint.keep_every, checkpoint.keep_best"},
    {checkpoint, "keep_every",
     "The first checkpoint at or after each multiple of so many steps is never deleted; 0 keeps none but the latest.",
     "checkpoint.keep_last"},
    {checkpoint, "keep_best", "checkpoints/best.h5 holds the network of the best evaluation so far.",
     "checkpoint.best, run.evaluate_interval, optimizer.ema_decay"},
    {checkpoint, "best",
     "The metrics that decide which evaluation is the best, such as semantic.miou, or semantic.miou, "
     "depth.error_pixels: "
     "of several, the geometric mean of those that should rise and the reciprocals of those that should fall, so that "
     "their units do not matter. Empty is the first metric of the first task. configs/metrics.md has their names.",
     "checkpoint.keep_best"},

    {model, NULL, "The shared network: a backbone, for images with an ASPP behind it, and a decoder a task.", NULL},
    {model, "backbone",
     "The network that all tasks share: of images a residual network, by torchvision's names, of which deeper ones "
     "learn more and take longer (resnet18 suits a laptop, the paper has resnet101); of a table, numbers a sample, a "
     "perceptron, mlp. A backbone that does not fit the data is an error.",
     "model.width, model.hidden, model.pretrained"},
    {model, "hidden",
     "The widths of the perceptron's hidden layers, with a ReLU behind each: 256,256 are two. Its tensors are called "
     "backbone.0, backbone.2, ... as in PyTorch's Sequential; weights begin as kaiming_normal_ (fan in), biases with "
     "0.",
     "model.head_hidden, model.dropout"},
    {model, "head_hidden",
     "The width of a hidden layer that each task has for itself behind the perceptron; with 0 its values are linear in "
     "the last layer that is shared.",
     "model.hidden"},
    {model, "width",
     "It multiplies the channels of backbone, ASPP and decoders; at least 4 remain. Half the channels are about a "
     "quarter of the work. Weights of other widths do not fit.",
     "model.backbone"},
    {model, "align_corners",
     "Upsamples so that the centres of the corner pixels of small and large map coincide, as PyTorch's align_corners = "
     "True. Otherwise pixels are areas, and centres lie half a pixel inside.",
     NULL},
    {model, "dropout",
     "The probability with which a feature is dropped, in training, before the last layer of each decoder. predict "
     "--samples needs it for Monte Carlo dropout.",
     "optimizer.weight_decay"},
    {model, "pretrained",
     "A file with weights that start the training in place of random ones: a checkpoint, a state_dict in HDF5, or "
     "safetensors; or the folder of a run, for its checkpoints/best.h5 or else its newest one. Tensors of the same "
     "name and shape are taken, the others start fresh. With few images it is the "
     "strongest lever of all.",
     "model.freeze, model.learning_rate_scales, distributed.batch_norm"},
    {model, "freeze",
     "What is not trained: stem, layer1 to layer4, backbone, aspp, decoders, or patterns of names of parameters such "
     "as "
     "decoders.depth.*; * stands for any characters. Statistics of batch normalisation there stay as they are too. A "
     "pattern that "
     "matches nothing is an error, and so is freezing all there is to train. The log says what is frozen.",
     "model.pretrained, model.learning_rate_scales, distributed.batch_norm"},
    {model, "learning_rate_scales",
     "Pairs pattern:factor, such as backbone:0.1 or decoders.*:2: parameters whose names match learn at that factor of "
     "the learning "
     "rate. Patterns as of freeze. A pattern that matches nothing is an error.",
     "optimizer.learning_rate, model.freeze"},
    {model, "output_stride",
     "The size of the input over that of the features: 8, 16 or 32. At 8 and 16 the last stages are dilated instead of "
     "strided, as DeepLab has it. 8 gives the finest outlines, 16 takes less than a third of its work.",
     "model.aspp_rates"},
    {model, "aspp_rates",
     "The dilations of the three 3x3 branches of the ASPP, in pixels of the features. The paper's 12, 24, 36 look far "
     "beyond small images: a map of 16x32 features is better served by 3, 6, 9.",
     "model.output_stride"},
    {model, "project",
     "A 1x1 convolution brings the 1280 channels of the ASPP down to 256 before the decoders, as in DeepLabv3. The "
     "paper "
     "does without; with it decoders cost a fifth.",
     NULL},

    {data, NULL,
     "Dataset files, and how training images are changed at random. What is drawn is a function of run.seed, epoch and "
     "sample: the same on any number of ranks, and after a resume. Targets follow: classes from the nearest stored "
     "pixel, disparities and vectors scaled and turned along.",
     NULL},
    {data, "train",
     "Dataset files to train on, as sigmatic data makes them. Several files are joined; they may hold different "
     "targets, "
     "and a sample trains the tasks whose targets it has. Paths are relative to the folder in which the command is "
     "given.",
     "data.train_split, data.validation"},
    {data, "validation", "Dataset files to evaluate on; empty takes those of train.", "data.validation_split"},
    {data, "train_split", "The split of the training files to train on.", "data.validation_split"},
    {data, "validation_split", "The split to evaluate on. Empty means that nothing is evaluated.",
     "run.evaluate_interval"},
    {data, "height",
     "Images are scaled to this height, in training and evaluation; 0 keeps that of the file. Height and width are "
     "given together.",
     "data.width, data.crop_height"},
    {data, "width", "Images are scaled to this width; 0 keeps that of the file. It is given together with height.",
     "data.height, data.crop_width"},
    {data, "prefetch",
     "Batches that each rank prepares ahead. More of them even out slow reads and take the memory that train --dry-run "
     "calls batches read ahead.",
     "data.workers"},
    {data, "workers",
     "Threads of each rank that prepare batches. sigmatic show says how long ranks wait for data, sigmatic bench "
     "--data "
     "how many images a second so many prepare.",
     "data.prefetch"},
    {data, "crop_height",
     "Training takes a window of this height at a random place; 0 takes whole images. Height and width of the window "
     "are "
     "given together. Evaluation sees whole images. Where the scaled image is smaller, the rest of the window has the "
     "mean "
     "colour and no labels; where it always is, that is warned of.",
     "data.crop_width, data.scale_max"},
    {data, "crop_width", "The width of the window that training takes; 0 takes whole images.", "data.crop_height"},
    {data, "flip",
     "Mirrors half of the training images. The x of vectors changes its sign. Say no where left and right differ in "
     "meaning.",
     NULL},
    {data, "scale_min",
     "Training images are scaled by a factor drawn evenly from scale_min to scale_max. Disparities and vectors scale "
     "along; metres do not, so that a depth in metres no longer fits its picture.",
     "data.scale_max, data.crop_height"},
    {data, "scale_max", "The largest factor by which training images are scaled.", "data.scale_min"},
    {data, "brightness",
     "Multiplies training images by a factor from 1 - x to 1 + x, but not below 0. Changes of colour come in random "
     "order, "
     "as in torchvision's ColorJitter.",
     "data.contrast, data.saturation, data.hue"},
    {data, "contrast",
     "Moves the colours of training images away from their mean grey, or towards it, by a factor from 1 - x to 1 + x.",
     "data.brightness"},
    {data, "saturation",
     "Moves the colours of training images away from their own grey, or towards it, by a factor from 1 - x to 1 + x.",
     "data.brightness"},
    {data, "hue", "Turns the hues of training images by up to this share of their circle, either way.",
     "data.brightness"},
    {data, "erasing",
     "The share of training images of which a rectangle is blanked with the mean colour; targets stay as they are. The "
     "rectangle covers 2 % of the image to erasing_area of it.",
     "data.erasing_area"},
    {data, "erasing_area", "The largest share of the image that the blanked rectangle covers.", "data.erasing"},
    {data, "rotation",
     "Turns training images by up to so many degrees either way about the middle of the window; vectors turn along. "
     "What "
     "comes in from outside of the image is invalid.",
     NULL},

    {task, NULL,
     "A task; there may be many, each with a NAME of its own, which names its decoder, its metrics and its curves in "
     "the log.",
     NULL},
    {task, "kind",
     "What the task predicts. semantic: the class of each pixel. instance: the vector from each pixel to the centre of "
     "its instance. depth: disparity in pixels, or with target = depth metres. normals: the directions of surfaces. "
     "regression: any numbers, of each pixel or of the image. classification: the class of the image. labels: any of "
     "several classes at once, of each pixel or of the image.",
     "task.NAME.target, task.NAME.loss"},
    {task, "target",
     "The array of the dataset that the task learns; sigmatic data info lists them. Empty is that of the kind: "
     "semantic, instance, disparity, normal; where there is none, and of regression, classification and labels, the "
     "one "
     "that is called as the task, if it fits.",
     "task.NAME.kind, data.train"},
    {task, "first_step",
     "The step from which on the task trains. Before it, the task adds nothing to the objective, its head and its "
     "log-variance stay as they are, and it is evaluated all the same.",
     "task.NAME.last_step"},
    {task, "last_step",
     "The last step in which the task trains; 0 is the end of the run. Steps are counted from 1 over all starts of a "
     "run, "
     "skipped ones too. In each step of a run some task must train.",
     "task.NAME.first_step, run.steps"},
    {task, "loss",
     "What is minimised, averaged over the valid pixels of the global batch. auto takes cross_entropy of classes, "
     "binary_cross_entropy of labels, cosine of normals and l1 of other numbers. Numbers may also have l2 or huber.",
     "task.NAME.likelihood, task.NAME.huber_delta"},
    {task, "huber_delta",
     "The error from which on a Huber loss grows linearly, in the unit of what is learnt. Below, it is quadratic.",
     "task.NAME.loss"},
    {task, "uncertainty",
     "per_task: one log-variance of the whole task, learnt by weighting.method = uncertainty. per_pixel: the head "
     "predicts one for each pixel, or sample, beside its value, and the loss is each pixel's own negative "
     "log-likelihood (Kendall and Gal, 2017).",
     "task.NAME.uncertainty_draws, task.NAME.likelihood, weighting.method"},
    {task, "uncertainty_draws",
     "How many draws of noise on the logits the loss of classes and labels averages over when each pixel has an "
     "uncertainty of its own. More draws are steadier and slower.",
     "task.NAME.uncertainty"},
    {task, "encoding",
     "What is learnt of a depth in metres: linear, the metres; log, their logarithm, for which an error of 10 % is as "
     "bad "
     "near as far; inverse, 1 / metres, for which near things count most. Loss and sigma are in its unit, metrics in "
     "metres.",
     "task.NAME.kind, task.NAME.target"},
    {task, "class_weights",
     "Factors of the loss of each class, one a class in the order of the dataset: of pixels or samples of that class, "
     "or, "
     "of labels, where the label is there. Empty means 1. sigmatic data check says how frequent each class is.",
     "task.NAME.loss"},
    {task, "cluster_distance",
     "Pixels that point this near to each other form a cluster, which is an instance. 0 is 1.5 at a width of 256, and "
     "as "
     "the width at others. The keys cluster_* matter where instances are decoded: by eval and predict, and in training "
     "with run.evaluate_instances.",
     "task.NAME.cluster_min_samples, task.NAME.cluster_max_distance"},
    {task, "cluster_min_samples",
     "So many pixels must point within cluster_distance of where a pixel inside a cluster points, itself counted; from "
     "2 "
     "on. 0 is 10 at 128x256, and as the number of clustered pixels at other sizes.",
     "task.NAME.cluster_distance, task.NAME.cluster_stride"},
    {task, "cluster_max_distance",
     "Pixels that were not clustered join the cluster that they point nearest to, up to this distance. 0 is 8 at a "
     "width "
     "of 256, and as the width at others.",
     "task.NAME.cluster_distance"},
    {task, "cluster_min_pixels",
     "Instances of fewer pixels are dropped. 0 is 10 at 128x256, and as the number of pixels at other sizes.", NULL},
    {task, "cluster_stride",
     "Only every such pixel of every such row is clustered, and the others join. 0 is a 512th of the width, at least "
     "1. "
     "Larger strides are quicker.",
     "task.NAME.cluster_min_samples"},
    {task, "cluster_by_class",
     "Pixels of different predicted classes are clustered apart. With no, an instance has the class of most of its "
     "pixels.",
     NULL},
    {task, "log_variance",
     "The log sigma^2 that the task starts with. Starts from -2 to 5 end at the same values; one near the end saves "
     "the "
     "way there.",
     "weighting.learning_rate_scale"},
    {task, "likelihood",
     "Of which distribution the loss is the negative log-likelihood, and so how loss and log-variance make the "
     "objective. auto takes that of the loss: categorical, gaussian of l2, laplace of l1, huber, von_mises_fisher of "
     "cosine, or per_pixel. categorical_scaled is the exact softmax with a temperature; paper_l1 is what the paper "
     "fits "
     "with an L1 loss.",
     "task.NAME.loss, task.NAME.uncertainty"},
    {task, "weight", "The constant factor of the task's loss; one for all tasks of a group.", "weighting.method"},
    {task, "group",
     "A name of your choice: tasks that have the same are weighed as one, whose loss is the sum of theirs, each times "
     "its group_weight. They get one learned log-variance, weight or coefficient, whatever the method. Empty, a task "
     "is "
     "a group of its own, called as the task is.",
     "task.NAME.group_weight, weighting.method"},
    {task, "group_weight",
     "The factor of the task's loss within its group: its weight is this times the group's. Of a learned log-variance "
     "it "
     "says how often the task's residuals count.",
     "task.NAME.group, task.NAME.weight"},

    {weighting, NULL, "How the losses of the tasks become the one number that is minimised.", NULL},
    {weighting, "method",
     "uncertainty, the default, learns a log-variance for each task together with the network (Kendall, Gal and "
     "Cipolla, 2018); the others are what it is compared with. configs/weightings.md has the equation, source and cost "
     "of each.",
     "task.NAME.likelihood, task.NAME.uncertainty"},
    {weighting, "gradients",
     "Which gradients of the single tasks a method combines: those of the shared representation, one pass backward "
     "through each head and one through the rest, or those of the shared parameters, a pass through the rest for each "
     "task. "
     "auto is what the method's authors take: representation for gradnorm, mgda and imtl_g, parameters for the others.",
     "weighting.method, distributed.reproducible"},
    {weighting, "diagnose_interval",
     "Every so many steps the gradients of the single tasks at the shared representation are measured, of the global "
     "batch: each one's length, its share of the weighted whole, the cosines between them. run.h5 keeps them, show "
     "prints them. The training stays the same to the last bit. Such a step takes a forward and a pass through each "
     "head "
     "more, about 1.5 times its time; a weighting that looks at these gradients anyway has them for nothing.",
     "weighting.method"},
    {weighting, "gradnorm_alpha",
     "The strength of the pull towards a common rate of learning: how much longer the gradient of a task gets whose "
     "loss "
     "has fallen less than others. 0 makes all gradients equally long.",
     "weighting.gradnorm_learning_rate"},
    {weighting, "gradnorm_learning_rate",
     "The learning rate of GradNorm's weights. It does not depend on the scale of losses or gradients.",
     "weighting.gradnorm_alpha"},
    {weighting, "mgda_normalisation",
     "What MGDA divides each gradient by before it seeks the shortest convex combination. With none the tasks of short "
     "gradients get nearly all weight; l2 divides by the length, loss by the task's loss, loss+ by both.",
     NULL},
    {weighting, "cagrad_c",
     "How far CAGrad's update may go from the mean gradient, over its length. 0 is the mean itself; much more than 1 "
     "comes to MGDA.",
     NULL},
    {weighting, "nash_max_norm",
     "Nash-MTL's gradient of what tasks share is shortened to this norm; 0 does not shorten it. optimizer.clip_norm is "
     "of all parameters.",
     "optimizer.clip_norm"},
    {weighting, "nash_interval",
     "Nash-MTL finds new coefficients in every n-th step and keeps them meanwhile, which makes them steadier. It saves "
     "no "
     "backward pass: the gradients of the single tasks are taken in every step, for nash_max_norm. What it saves, a "
     "system "
     "of as many equations as there are tasks, takes no time to speak of.",
     NULL},
    {weighting, "learning_rate_scale",
     "The learning rate of the log-variances over that of the network. At 1 and usual rates they may take a thousand "
     "steps to arrive; short runs want more.",
     "task.NAME.log_variance, weighting.gradient_limit"},
    {weighting, "gradient_limit",
     "The gradient of each log-variance is limited to this, either way, so that a bad start does not throw it off; 0 "
     "does not limit it.",
     "weighting.learning_rate_scale"},
    {weighting, "lower",
     "The least log-variance. There it stops and forgets its momentum. It bounds the weight of a task whose loss goes "
     "to "
     "0.",
     "weighting.upper"},
    {weighting, "upper", "The greatest log-variance. There it stops and forgets its momentum.", "weighting.lower"},
    {weighting, "uw_so_temperature",
     "Of the softmax of 1 / loss: the higher, the more equal the weights. It has the unit of 1 / loss, so it depends "
     "on "
     "the losses; its authors tune it for each dataset.",
     NULL},
    {weighting, "dwa_temperature",
     "Of the softmax of the ratios by which mean losses changed between epochs: the higher, the more equal the "
     "weights.",
     NULL},
    {weighting, "famo_learning_rate", "Of Adam, by which the logits of the tasks' weights learn after each step.",
     "weighting.famo_decay"},
    {weighting, "famo_decay",
     "Pulls the logits of the tasks' weights towards 0, that is towards the same relative rate for all; its authors "
     "use "
     "0.001 to 0.01.",
     "weighting.famo_learning_rate"},

    {optimizer, NULL, "How gradients become updates of the parameters.", NULL},
    {optimizer, "kind",
     "sgd is stochastic gradient descent with momentum, what the paper uses. adamw is Adam with decoupled weight "
     "decay; "
     "it asks for a smaller learning rate and less care.",
     "optimizer.learning_rate, schedule.kind"},
    {optimizer, "learning_rate",
     "The learning rate of the network before schedule and warm-up. 2.5e-3 suits sgd, 1e-4 to 1e-3 adamw. A larger "
     "batch "
     "usually bears a larger one.",
     "schedule.kind, schedule.warmup_steps, model.learning_rate_scales, weighting.learning_rate_scale"},
    {optimizer, "momentum", "The share of the last update that the next one keeps; below 1.", "optimizer.nesterov"},
    {optimizer, "nesterov", "Takes Nesterov's form of momentum, as PyTorch has it.", "optimizer.momentum"},
    {optimizer, "weight_decay",
     "The pull of the weights of convolutions and linear layers towards zero; biases, batch norms and log-variances "
     "are "
     "left alone. sgd adds it to the gradient, adamw shrinks the weights by it.",
     "model.dropout"},
    {optimizer, "beta1", "The decay of the running mean of gradients; below 1.", "optimizer.beta2"},
    {optimizer, "beta2", "The decay of the running mean of squared gradients; below 1.", "optimizer.beta1"},
    {optimizer, "epsilon", "It is added to the root of the mean square that an update is divided by.", NULL},
    {optimizer, "clip_norm",
     "Where the L2 norm of all gradients of the network exceeds this, they are scaled down to it; 0 never does. The "
     "log-variances have a limit of their own. The log keeps the norm of each step.",
     "weighting.gradient_limit"},
    {optimizer, "ema_decay",
     "A moving average of the parameters is kept with this decay, such as 0.999, and evaluated in their "
     "place; 0 keeps none. It takes as much memory as the parameters.",
     "checkpoint.keep_best"},
    {optimizer, "skip_backoff",
     "A step with a loss or a gradient that is not finite is skipped: nothing changes. With a factor below 1, such as "
     "0.5, the learning rate is multiplied by it when steps begin to be skipped, and divided by it again after 1000 "
     "steps that were not. Checkpoints keep how often.",
     "optimizer.skip_limit, optimizer.clip_norm"},
    {optimizer, "skip_limit",
     "So many skipped steps in a row end the run, with the checkpoint of the last step that was not skipped. The "
     "message "
     "names the task and, where it can be told, the layer in which the numbers first went wrong.",
     "optimizer.skip_backoff"},

    {schedule, NULL, "How the learning rate changes over the run, i being the step and N the steps of the run.", NULL},
    {schedule, "kind",
     "poly falls as (1 - i/N)^power, cosine as half a cosine wave, step by the factor gamma at each milestone, and "
     "constant stays.",
     "optimizer.learning_rate, run.steps"},
    {schedule, "power", "The exponent of poly: 1 falls in a straight line, 0.9 as in the paper.", "schedule.kind"},
    {schedule, "milestones", "The ascending steps at which the learning rate drops.", "schedule.gamma"},
    {schedule, "gamma", "The factor by which the learning rate drops at each milestone.", "schedule.milestones"},
    {schedule, "minimum",
     "The learning rate that the decay tends to, at most that of the optimizer. Steps of a long tail at 0 would be "
     "lost.",
     "optimizer.learning_rate"},
    {schedule, "warmup_steps",
     "So many steps long the learning rate rises in a straight line to what the schedule says; 0 begins with all of "
     "it. A "
     "few hundred help where the first losses go up.",
     "schedule.warmup_factor"},
    {schedule, "warmup_factor", "The share of the learning rate at step 0 of the warm-up.", "schedule.warmup_steps"},
    {0},
};
