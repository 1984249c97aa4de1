#!/usr/bin/env bash
# Wrong input through the program, on one rank and on several: the right exit code, one message that names the culprit,
# and no rank left waiting. check_errors.sh PROGRAM; needs a Python with h5py.
set -u
. "$(dirname "$0")/frame.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
cd "$scratch" || exit 1
RANKS=4 LIMIT=60 AT_ONCE=6
command=$program code=2

# ---- one case ----

problem() { echo "$1"; wrong=1; }

check() { # RANKS OUT: runs `command` with `arguments`; exit code `code`, and one message with all `parts`
    local ranks=$1 out=$2 launcher= found errors part wrong=0
    [ "$ranks" -gt 1 ] && launcher="$MPIRUN -n $ranks"
    timeout "$LIMIT" $launcher "$command" "${arguments[@]}" >"$out" 2>&1 </dev/null
    found=$?
    [ $found -eq "$code" ] || problem "exit code $found, $code expected"
    errors=$(grep -c 'sigmatic: error:' "$out")
    [ "$errors" -eq 1 ] || problem "$errors error messages, one expected"
    for part in "${parts[@]}"; do
        grep 'sigmatic: error:' "$out" | grep -qF -- "$part" || problem "the message lacks '$part'"
    done
    # the first part is the culprit: named, but not again and again
    [ "$(grep 'sigmatic: error:' "$out" | grep -oF -- "${parts[0]}" | wc -l)" -le 1 ] || problem "'${parts[0]}' is named more than once"
    local name="sigmatic ${arguments[*]} on $ranks"
    if [ $wrong -eq 0 ]; then
        passed "$name"
    else
        failed "$name"
        echo "FAILED: $name"
        head -n 12 "$out"
    fi
}

# refuse PART... -- ARGUMENT...: on one rank and on several; several cases at once, since starting ranks is mostly waiting
cases=0
refuse() {
    local parts=() arguments
    while [ "$1" != -- ]; do
        parts+=("$1")
        shift
    done
    shift
    arguments=("$@")
    cases=$((cases + 1))
    while [ "$(jobs -rp | wc -l)" -ge "$AT_ONCE" ]; do
        wait -n
    done
    { check 1 "out.$cases.1"; check "$RANKS" "out.$cases.$RANKS"; } >"result.$cases" 2>&1 &
}

# ---- files ----

"$program" data scenes good.h5 --train 4 --validation 2 --height 32 --width 32 >out 2>&1 || { cat out; exit 1; }
cat >good.ini <<'INI'
[run]
folder = run
batch = 4
steps = 2
[model]
backbone = resnet18
width = 0.0625
[data]
train = good.h5
[task.semantic]
kind = semantic
[task.depth]
kind = depth
INI
"$program" train good.ini >out 2>&1 || { cat out; exit 1; }
checkpoint=run/checkpoints/step-00000002.h5

head -c 20000 good.h5 >cut.h5
head -c 100000 $checkpoint >cut_checkpoint.h5
echo "no HDF5" >text.h5
"$python" - <<'PYTHON'
import shutil
import h5py
shutil.copy("good.h5", "flat.h5")
with h5py.File("flat.h5", "r+") as file:
    for split in ("train", "val"):
        del file[f"{split}/disparity"]
shutil.copy("good.h5", "renamed.h5")
with h5py.File("renamed.h5", "r+") as file:
    names = list(file["val/semantic"].attrs["class_names"])
    file["val/semantic"].attrs["class_names"] = [b"lane"] + names[1:]
shutil.copy("good.h5", "coloured.h5")
with h5py.File("coloured.h5", "r+") as file:
    file.attrs["mean"] = [0.5, 0.5, 0.5]
shutil.copy("good.h5", "signed.h5")
with h5py.File("signed.h5", "r+") as file:
    file.attrs["mean"] = [-float("nan"), 0.5, 0.5]
shutil.copy("good.h5", "fewer.h5")
with h5py.File("fewer.h5", "r+") as file:
    attributes = file["val/semantic"].attrs
    for name in ("class_names", "palette", "thing"):
        values = attributes[name]
        attributes[name] = values.reshape(len(attributes["thing"]) if name == "class_names" else 19, -1)[:3].ravel()
    for name in set(attributes) & {"category", "instance_pixels"}:  # one a class, or not at all
        del attributes[name]
    file["val/semantic"][...] = 0
with h5py.File("foreign.h5", "w") as file:
    file["x"] = 1
for former in "exact", "fp32":
    name = f"{former}.h5"
    shutil.copy("run/checkpoints/step-00000002.h5", name)
    with h5py.File(name, "r+") as file:
        config = file.attrs["config"]
        config = config.decode() if isinstance(config, bytes) else config
        assert "\nprecision = highest\n" in config
        file.attrs["config"] = config.replace("\nprecision = highest\n", f"\nprecision = {former}\n")
        del file.attrs["attribute_crc32c"]
        file.attrs["format_version"] = 1  # which has none
PYTHON

variant() { # NAME SED-SCRIPT: a config with a mistake
    sed "$2" good.ini >"$1.ini"
}
variant unknown_key 's/^batch = 4/bacth = 4/'
variant wrong_type 's/^batch = 4/batch = many/'
variant out_of_range 's/^batch = 4/batch = 0/'
variant twice 's/^batch = 4/batch = 4\nbatch = 8/'
variant unknown_section 's/^\[model\]/[modle]/'
variant no_length '/^steps/d'
variant no_task '/^\[task/,$d'
variant no_data '/^train/d'
variant includes '1i include = nowhere.ini'
variant ring '1i include = ./ring.ini'
variant no_kind '/^kind = depth/d'
variant former_word 's/^batch = 4/batch = 4\nprecision = fp32/'
variant foreign_word 's/^batch = 4/batch_size = 4/'
variant foreign_section 's/^\[model\]/[network]/'
printf 'folder = run\n' >no_section.ini

root=cityscapes
mkdir -p $root/leftImg8bit/train/aachen $root/gtFine/train/aachen
echo "no PNG" >$root/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png
echo "no PNG" >$root/gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png

# ---- command line ----

refuse "no command" --
refuse "'trian'" "'train'" -- trian good.ini
refuse "'frobnicate'" "--help" -- frobnicate
refuse "good.h5" "this file is a dataset" "[data] train" -- train good.h5
refuse "--sett" "unknown option" "did you mean --set?" -- train good.ini --sett run.batch=2
refuse "unknown option --lr;" "--set SECTION.KEY=VALUE" -- train good.ini --lr 0.1
refuse "option -resume," "--resume" -- train good.ini -resume auto
refuse "--resume" "needs a value" -- train good.ini --resume
refuse "'other.ini'" "unexpected" -- train good.ini other.ini
refuse "CONFIG" "missing" -- train
refuse "--overwrite" "no value" -- train good.ini --overwrite=yes
refuse "--resume needs a value (auto|FILE" "--set" -- train good.ini --resume --set run.batch=4
refuse "--data needs a value (FILE)" "--split" -- eval $checkpoint --data --split train
refuse "--train needs a value" "--overwrite" -- data scenes x.h5 --train --overwrite
refuse "'three'" "--train" "whole number" -- data scenes x.h5 --train three
refuse "'nothing'" -- data nothing
refuse "'scene'" "'scenes'" -- data scene x.h5
refuse "no command" "sigmatic data --help" -- data

# ---- configuration ----

refuse "unknown_key.ini:3" "bacth" "batch" -- train unknown_key.ini
refuse "wrong_type.ini:3" "batch" "many" -- train wrong_type.ini
refuse "out_of_range.ini:3" "batch" "0" "1" -- train out_of_range.ini
refuse "twice.ini:4" "batch" -- train twice.ini
refuse "unknown_section.ini:5" "modle" "model" -- train unknown_section.ini
refuse "foreign_word.ini:3" "'batch_size'" "run.batch (" -- train foreign_word.ini
refuse "foreign_section.ini:5" "[network]" "[model]" -- train foreign_section.ini
refuse "'lr=1'" "optimizer.learning_rate" -- train good.ini --set lr=1
refuse "[train] batch_size" "run.batch (" -- eval $checkpoint --set train.batch_size=4
refuse "'gpus'" "mpirun" -- train good.ini --set run.gpus=4
refuse "[run] steps" "epochs" -- train no_length.ini --overwrite
refuse "[task.NAME]" -- train no_task.ini --overwrite
refuse "[data] train" "required" -- train no_data.ini --overwrite
refuse "includes.ini:1" "nowhere.ini" -- train includes.ini
refuse "ring.ini:1" "includes itself" -- train ring.ini
refuse "no_kind.ini:12" "[task.depth] kind is required" -- train no_kind.ini
refuse "'bacth'" "run.batch" -- train --help-config bacth
refuse "former_word.ini:4" "[run] precision" "fp32 is now called high" -- train former_word.ini --overwrite
refuse "exact is now called highest" "--set" -- eval $checkpoint --set run.precision=exact
refuse "no_section.ini:1" -- train no_section.ini
refuse "missing.ini" -- train missing.ini
refuse "'bach'" "--set" "did you mean 'batch'" -- train good.ini --set run.bach=4
refuse "run.batch" "=" -- train good.ini --set run.batch
refuse "optimizer" "kind" "adam" "sgd" -- train good.ini --set optimizer.kind=adam
refuse "output_stride" "12" -- train good.ini --overwrite --set model.output_stride=12
refuse "[data] crop_width" "crop_height" -- train good.ini --overwrite --set data.crop_height=16
refuse "'stem.*'" "freeze" -- train good.ini --overwrite --set 'model.freeze=stem.*'
refuse "likelihood" "laplace" "cross_entropy" "categorical" -- train good.ini --overwrite --set task.semantic.likelihood=laplace
refuse "conv2d_algorithm" "fft" "winograd4, " "bf16_gemm" -- train good.ini --overwrite --set distributed.conv2d_algorithm=fft
refuse "run.batch=16" "--batch" -- bench --step --set run.batch=16
refuse "--threads -1" "0 and more" -- bench --step --threads -1
refuse "--layers" "goes with --step" -- bench --scaling --layers
refuse "--trace-steps" "goes with --trace" -- train good.ini --trace-steps 1:2
refuse "--prediction-count" "goes with --predictions" -- eval $checkpoint --prediction-count 3
refuse "--steps 0" "1 and more" -- bench --step --steps 0
refuse "log_variance" "30" -- train good.ini --overwrite --set task.depth.log_variance=30

# --print-config refuses what --dry-run refuses, without looking at data
alike() { # PART... -- ASSIGNMENT...
    local parts=() sets=()
    while [ "$1" != -- ]; do
        parts+=("$1")
        shift
    done
    shift
    for assignment; do
        sets+=(--set "$assignment")
    done
    refuse "${parts[@]}" -- train good.ini --overwrite --dry-run "${sets[@]}"
    refuse "${parts[@]}" -- train good.ini --print-config --set data.train=absent.h5 "${sets[@]}"
}
alike "output_stride" "12" -- model.output_stride=12
alike "aspp_rates" "3 rates" -- model.aspp_rates=1,2
alike "likelihood" "gaussian" "laplace" -- task.depth.likelihood=gaussian
alike "loss" "cross_entropy" -- task.semantic.loss=l1
alike "class_weights" "no classes" -- task.depth.class_weights=1,2
alike "'stem.*'" "freeze" -- 'model.freeze=stem.*'
alike "[data] crop_width" "crop_height" -- data.crop_height=16
alike "[data] scale_min" "scale_max" -- data.scale_min=2
alike "upper" "lower" -- weighting.lower=3 weighting.upper=2
alike "minimum" "learning rate" -- schedule.minimum=1
alike "milestones" "ascending" -- schedule.milestones=3,2
alike "momentum" "[0, 1)" -- optimizer.momentum=1
alike "batch_norm" "reproducible" -- distributed.reproducible=true distributed.batch_norm=local
alike "[run] steps" "epochs" -- run.steps=0
alike "[checkpoint] best" "depth.eror_pixels" "did you mean depth.error_pixels" -- checkpoint.best=depth.eror_pixels
alike "last_step" "at least first_step = 3" -- task.depth.first_step=3 task.depth.last_step=2
alike "at step 1 of" "no task trains" -- run.tasks=depth task.depth.first_step=2
alike "[task.step]" -- task.step.kind=depth
alike "cluster_min_samples" "at least 2" -- task.x.kind=instance task.x.cluster_min_samples=1
alike "cluster_max_distance" "cluster_distance, 3 px" -- task.x.kind=instance task.x.cluster_{distance=3,max_distance=2}
"$program" train good.ini --overwrite --dry-run --set task.depth.cluster_distance=3 >out 2>&1
expect "a key of another kind of task has no effect" \
    grep -q 'warning: .*cluster_distance = 3 has no effect: .*task.depth.kind = instance' out
"$program" train good.ini --overwrite --dry-run --set task.depth.first_step=1000 >out 2>&1
expect "a task that begins after the end of the run" grep -q 'warning: task.depth.first_step = 1000: .* never trains' out
printf 'include = good.ini\n[run]\nepochs = 3\n' >inner.ini
echo 'include = inner.ini' >outer.ini
"$program" train outer.ini --overwrite --dry-run >out 2>&1 && "$program" train inner.ini --overwrite --dry-run >own 2>&1
expect "an included file is not warned of what is said elsewhere, the file itself is" \
    sh -c '! grep "has no effect" out && grep -q "inner.ini:3: .*epochs = 3 has no effect" own'
sizes_say() { # PATTERN SETTING...: what a dry run of images of 32 x 32 says of sizes; nothing if the pattern is empty
    local pattern=$1 sets=()
    shift
    for setting; do sets+=(--set "data.$setting"); done
    "$program" train good.ini --overwrite --dry-run "${sets[@]}" 2>&1 | grep -E 'data\.(crop_)?height' >out
    if [ -z "$pattern" ]; then [ ! -s out ]; else grep -qE -- "$pattern" out; fi || { cat out; return 1; }
}
expect "crops that no image fills" \
    sizes_say 'warning: data.crop_height, .*64 x 64 .* are 32 x 32 .*1\.5 times .*at least 44 % of every crop' crop_{height,width}=64 scale_max=1.5
expect "crops that the largest scale fills" sizes_say "" crop_{height,width}=64 scale_max=2
expect "enlarged images" sizes_say 'stored at 32 x 32 are enlarged to 64 x 64' {height,width}=64
expect "bent images" sizes_say 'stored at 32 x 32 become 16 x 32, of other proportions' height=16 width=32

# ---- data ----

refuse "absent.h5" "--set: [data] train: " -- train good.ini --overwrite --set data.train=absent.h5
refuse "absent.h5" "--set: [data] validation: " -- train good.ini --overwrite --set data.validation=absent.h5
refuse "'depth'" "disparity" -- train good.ini --overwrite --set data.train=flat.h5
refuse "cut.h5" "[data] train: " "truncated" -- train good.ini --overwrite --set data.train=cut.h5
refuse "text.h5" "HDF5" -- train good.ini --overwrite --set data.train=text.h5
refuse "foreign.h5" -- train good.ini --overwrite --set data.train=foreign.h5
refuse "$checkpoint" "sigmatic-checkpoint" -- train good.ini --overwrite --set data.train=$checkpoint
refuse "'lane'" "'road'" -- train good.ini --overwrite --set data.validation=renamed.h5
refuse "coloured.h5" "mean 0.5" "good.h5" "0.485" -- train good.ini --overwrite --set data.train=good.h5,coloured.h5
refuse "'disparty'" "there are: semantic, instance, disparity; did you mean 'disparity'?" -- train good.ini --overwrite --set task.depth.target=disparty
refuse "'l3'" "l1|l2|huber" "did you mean 'l1'?" -- train good.ini --overwrite --set task.depth.loss=l3
refuse "'layr1'" "did you mean 'layer1'?" -- train good.ini --overwrite --set model.freeze=layr1
refuse "'decoders.dept.*'" "did you mean 'decoders.depth.*'?" -- train good.ini --overwrite --set 'model.freeze=decoders.dept.*'
refuse "'vall'" "did you mean 'val'?" -- train good.ini --overwrite --set data.validation_split=vall
refuse "'vall'" "did you mean 'val'?" -- eval $checkpoint --split vall
refuse "'vall'" "did you mean 'val'?" -- predict $checkpoint good.h5 --split vall --output x
refuse "'resnt'" "did you mean 'resnet'?" -- weights export $checkpoint x.safetensors --names resnt
refuse "[task.dept]" "'depth'" -- train good.ini --overwrite --set run.tasks=dept
refuse "'depth.errors_pixels'" "did you mean depth.error_pixels?" -- train good.ini --overwrite --set checkpoint.best=depth.errors_pixels
refuse "'night'" "train" "val" -- train good.ini --overwrite --set data.train_split=night
refuse "good.h5" "exists" -- data scenes good.h5
refuse "16 x 256" "32" -- data scenes x.h5 --height 16
refuse "--size" "HEIGHTxWIDTH" -- data cityscapes $root x.h5 --size 64
refuse "--fit" "letterbox" -- data cityscapes $root x.h5 --fit pad
refuse "aachen_000000_000019" "PNG" -- data cityscapes $root x.h5
printf 'image,kind,split\nphotos/absent.png,rood,train\n' >classes.csv
printf '[image]\nsplits = night\n[target.kind]\nkind = class\nnames = road,car\n' >classes.ini
printf 'image,kind,split\nphotos/absent.png,road,nigth\n' >split.csv
printf '[target.kind]\nkind = class_map\nnames = road,car\nthing = caar\n' >thing.ini
refuse "'caar'" "none of the names; did you mean 'car'?" -- data folder classes.csv x.h5 --describe thing.ini
refuse "'nigth'" "did you mean 'night'?" -- data folder split.csv x.h5 --describe classes.ini
printf 'image,speed\nphotos/absent.png,1\n' >list.csv; printf '[target.speed]\nkind = number\n' >bad_describe.ini
refuse "bad_describe.ini:2" "value" -- data folder list.csv x.h5 --describe bad_describe.ini
refuse "absent_describe.ini" -- data folder list.csv x.h5 --describe absent_describe.ini
refuse "list.csv:2" "absent.png" -- data folder list.csv x.h5 --size 32x32
refuse "--split" "0.8,0.1,0.1" -- data folder list.csv x.h5 --split most
refuse "--seed" "whole number" -- data folder list.csv x.h5 --seed x
refuse "no_photos" "no such file or folder" -- data folder no_photos x.h5
refuse "no_such_root" -- data cityscapes no_such_root x.h5
refuse "absent.h5" -- data info absent.h5

# ---- runs and checkpoints ----

refuse "run folder run" "--resume auto" "--overwrite" -- train good.ini
refuse "$checkpoint" "model.width = 0.0625" "the config says 0.125" "model.pretrained" -- train good.ini --resume $checkpoint --set run.folder=other1 --set model.width=0.125
refuse "$checkpoint" "without [task.instance]" "model.pretrained" -- train good.ini --resume $checkpoint --set run.folder=other2 --set task.instance.kind=instance
refuse "cut_checkpoint.h5" "truncated" -- train good.ini --resume cut_checkpoint.h5 --set run.folder=other3
refuse "'absent.h5'" "auto, a checkpoint or a run's folder" -- train good.ini --resume absent.h5 --set run.folder=other4
refuse "'auot'" "did you mean auto?" -- train good.ini --resume auot
refuse "--resume cityscapes" "without a checkpoint" -- train good.ini --resume cityscapes
refuse "good.h5" "[model] pretrained: " "sigmatic-checkpoint" -- train good.ini --set model.pretrained=good.h5 --set run.folder=other5
refuse "good.ini" "[run] folder: " -- train good.ini --set run.folder=good.ini/run
mkdir lost && cp good.h5 lost/data.h5
"$program" train good.ini --set data.train=lost/data.h5 --set run.folder=without >out 2>&1 || cat out
rm -r lost
refuse "text.h5" "HDF5" -- eval text.h5
refuse "absent.h5" -- eval absent.h5
refuse "'night'" -- eval $checkpoint --split night
refuse "lost/data.h5" "--data" -- eval without/checkpoints/step-00000002.h5
refuse "lost/data.h5" "--trivial" "with --set data.train=FILE" -- eval without/checkpoints/step-00000002.h5 --data good.h5 --trivial
refuse "$checkpoint" "optimizer.kind 'sgd', the config says 'adamw'" -- train good.ini --resume $checkpoint --set run.folder=other10 --set optimizer.kind=adamw
refuse "$checkpoint" "optimizer.ema_decay = 0" -- train good.ini --resume $checkpoint --set run.folder=other11 --set optimizer.ema_decay=0.9
refuse "signed.h5" "hold nan, 0.229" -- data info signed.h5
refuse "difficulty is nan" -- data scenes x.h5 --difficulty=-nan
refuse "--size 3y4" "HEIGHTxWIDTH" -- eval $checkpoint --size 3y4
refuse "--scales 1,9" "0.1 to 4" -- eval $checkpoint --scales 1,9
refuse "fewer.h5" "3 classes" "$checkpoint" "19" -- eval $checkpoint --data fewer.h5
refuse "good.ini" "folder" -- train good.ini --overwrite --set run.folder=other6 --trace good.ini/trace.json
refuse "$root" "folder" -- train good.ini --overwrite --set run.folder=other6 --trace $root
refuse "--prediction-count 0" -- eval $checkpoint --prediction-count 0
refuse "absent.h5" -- show absent.h5
refuse "good.h5" "sigmatic-run" -- show good.h5
refuse "$checkpoint" "sigmatic weights info" -- show $checkpoint

# ---- what may be replaced: a file of the same kind, nothing else ----

cp good.h5 own.h5 && cp $checkpoint kept.h5 && echo "# notes" >notes.md && mkfifo pipe && ln -s own.h5 link.h5 || exit 1
precious=$(cksum own.h5 kept.h5 notes.md)
for name in own.h5 kept.h5 notes.md pipe link.h5; do
    refuse "$name" "no predictions file; choose another name" -- eval kept.h5 --data own.h5 --predictions $name
    refuse "$name" "no timeline; choose another name" -- train good.ini --overwrite --set run.folder=other7 --trace $name
    [ $name = own.h5 ] || refuse "$name" "no dataset file; choose another name" -- data scenes $name --overwrite --train 1 --validation 1 --height 32 --width 32
done

# ---- a full disk: no file may grow beyond 20 MB, and the checkpoint has 48 ----

cat >full_disk <<SH
#!/usr/bin/env bash
trap '' XFSZ
ulimit -f 20000
exec "$program" "\$@"
SH
chmod +x full_disk
command=./full_disk code=1
sed 's/^width.*/width = 0.5/; s/^folder.*/folder = full/' good.ini >full.ini
refuse "step-00000002.h5" "full/checkpoints" "File too large" -- train full.ini --overwrite
"$program" data scenes large.h5 --train 1 --validation 64 --height 128 --width 128 >out 2>&1 || cat out
refuse "full.h5" "cannot be" -- data scenes full.h5 --train 200 --height 128 --width 128
refuse "predicted.h5" "cannot be" -- eval $checkpoint --data large.h5 --set data.height=128 --set data.width=128 --predictions predicted.h5 --prediction-count 64
wait
expect "what was refused is as it was" [ "$precious" = "$(cksum own.h5 kept.h5 notes.md)" ]
expect "a pipe and a link too" sh -c '[ -p pipe ] && [ -L link.h5 ]'
for time in first second; do
    expect "predictions, the $time time" "$program" eval $checkpoint --predictions seen.h5
    expect "a timeline, the $time time" "$program" train good.ini --overwrite --set run.folder=other8 --trace seen.json --trace-steps 1:1
    expect "a dataset, the $time time" "$program" data scenes again.h5 --overwrite --train 1 --validation 1 --height 32 --width 32
done
expect "a timeline is not written over what the run has made" sh -c "! '$program' train good.ini --set run.folder=other9 --trace other9/run.h5 && '$program' show other9/run.h5"
expect "the status file tells" grep -q '^failed: .*File too large' full/status
expect "nothing half-written is left" sh -c '[ -z "$(ls full/checkpoints)" ]'
expect "no half of a dataset is left" sh -c '[ -z "$(ls | grep ^full.h5)" ]'
expect "no half of the predictions is left" sh -c '[ -z "$(ls | grep ^predicted.h5)" ]'
expect "the log can be read" "$program" show full/run.h5

expect "a checkpoint that calls its precision exact is evaluated" "$program" eval exact.h5
expect "one that calls it fp32 is evaluated" "$program" eval fp32.h5
expect "and goes on" "$program" train good.ini --resume fp32.h5 --set run.folder=former --set run.steps=3

eval_elsewhere() { # paths of the checkpoint's config are those of the folder that training was started in
    mkdir -p away
    (cd away && "$program" eval "$scratch/$checkpoint" --trivial) | tail -n +2 >away.txt
    "$program" eval $checkpoint --trivial | tail -n +2 >here.txt
    [ -s here.txt ] && cmp here.txt away.txt
}
expect "eval says at which size it measures" sh -c "'$program' eval $checkpoint --size 40x56 --scales 0.5,1 --flip | grep -q ' at 40x56, scaled from the stored .*; mean of scales 0.5, 1, each also mirrored'"
expect "eval finds the files of a checkpoint from elsewhere" eval_elsewhere

follow_away() { # the log cannot be read for a moment
    cp full/run.h5 followed.h5
    timeout 9 "$program" show followed.h5 --follow >follow.out 2>&1 &
    local shown=$!
    sleep 1
    mv followed.h5 away.h5
    sleep 3
    mv away.h5 followed.h5
    wait $shown
    sed -n '/^waiting: followed.h5/,$p' follow.out | grep -q '^followed.h5: '
}
expect "show --follow waits for a log" follow_away
cat result.*
report_end
