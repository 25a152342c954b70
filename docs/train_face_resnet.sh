#!/bin/sh
# Trains the network that ships as the default, from the beginning; nine runs of an hour or more each on
# two cores with AVX512-BF16, many times that without. What was finished is not done again.
# usage: docs/train_face_resnet.sh fer2013.csv fer2013new.csv FOLDER
set -eu
data=$1 votes=$2 runs=$3

train() { # NAME OPTIONS...
    name=$1
    shift
    if [ -e "$runs/$name/model.json" ]; then return; fi
    if [ -e "$runs/$name/checkpoint/state.json" ]; then set -- "$@" --resume; fi
    femo train "$data" --ferplus "$votes" --out "$runs/$name" --network face_resnet --symmetric \
        --optimizer sgd --weight-decay 0.0005 --average 0.999 --ferplus-weight 1.0 --landmark-dropout 0.3 \
        --precision mixed_bfloat16 "$@"
}

train first_run --init dlib_face_recognition_resnet_model_v1.dat --epochs 45 --learning-rate 0.03 \
    --warmup 1.0 --label-smoothing 0.1 --mixup 0.2 --rotate 12 --shift 0.1 --zoom 0.15 --light 0.2 --erase 0.35
train second_run --init "$runs/first_run/model.h5" --distill "$runs/first_run" --epochs 36 \
    --learning-rate 0.025 --warmup 0.5 --rotate 10 --shift 0.08 --zoom 0.12 --light 0.15 --erase 0.2 --seed 2
train third_run --init "$runs/second_run/model.h5" --distill "$runs/second_run" --distill-weight 0.25 \
    --epochs 28 --learning-rate 0.03 --warmup 0.5 --label-smoothing 0.05 --mixup 0.1 --rotate 10 --shift 0.08 \
    --zoom 0.12 --light 0.15 --erase 0.25 --keep last --seed 7
if [ ! -e "$runs/mean/model.json" ]; then
    femo merge "$runs/second_run" "$runs/third_run" --weights --data "$data" --out "$runs/mean"
fi
train fourth_run --init "$runs/mean/model.h5" --distill "$runs/mean" --distill-weight 0.25 --normalise \
    --epochs 28 --learning-rate 0.05 --warmup 0.5 --mixup 0.2 --rotate 10 --shift 0.08 --zoom 0.12 --light 0.15 \
    --erase 0.25 --keep last --seed 9
train fifth_run --init "$runs/fourth_run/model.h5" --distill "$runs/first_run" --distill "$runs/second_run" \
    --distill-votes --distill-weight 0.6 --normalise --epochs 36 --learning-rate 0.08 --warmup 0.5 --mixup 0.2 \
    --rotate 10 --shift 0.08 --zoom 0.12 --light 0.15 --erase 0.25 --keep last --seed 11
if [ ! -e "$runs/second_mean/model.json" ]; then
    femo merge "$runs/fifth_run" "$runs/fourth_run" --weights --data "$data" --out "$runs/second_mean"
fi
train sixth_run --init "$runs/second_mean/model.h5" --distill "$runs/first_run" --distill "$runs/second_run" \
    --distill-votes --distill-weight 0.6 --normalise --sharpness 0.2 --epochs 18 --learning-rate 0.08 --warmup 0.5 \
    --mixup 0.2 --rotate 10 --shift 0.08 --zoom 0.12 --light 0.15 --erase 0.25 --keep last --seed 12
if [ ! -e "$runs/third_mean/model.json" ]; then
    femo merge "$runs/sixth_run" "$runs/fifth_run" "$runs/fourth_run" --weights --data "$data" \
        --out "$runs/third_mean"
fi
train last_run --init "$runs/third_mean/model.h5" --distill "$runs/first_run" --distill "$runs/second_run" \
    --distill-votes --distill-weight 0.6 --normalise --sharpness 0.2 --epochs 14 --learning-rate 0.08 --warmup 0.5 \
    --mixup 0.2 --rotate 10 --shift 0.08 --zoom 0.12 --light 0.15 --erase 0.25 --keep last --seed 22 \
    --validation-share 0.025
if [ ! -e "$runs/fourth_mean/model.json" ]; then
    femo merge "$runs/last_run" "$runs/third_mean" --weights --data "$data" --out "$runs/fourth_mean"
fi
train apart --init dlib_face_recognition_resnet_model_v1.dat --distill-votes --distill-weight 0.6 --normalise \
    --epochs 30 --learning-rate 0.06 --warmup 1 --mixup 0.1 --rotate 10 --shift 0.08 --zoom 0.12 --light 0.15 \
    --erase 0.2 --keep last --seed 41
train taught_run --init "$runs/third_mean/model.h5" --distill "$runs/third_mean" --distill "$runs/third_mean" \
    --distill "$runs/third_mean" --distill "$runs/apart" --distill-seen --distill-weight 0.7 --normalise \
    --epochs 14 --learning-rate 0.06 --warmup 0.5 --mixup 0.2 --rotate 10 --shift 0.08 --zoom 0.12 --light 0.15 \
    --erase 0.25 --keep last --seed 51
if [ ! -e "$runs/face_resnet/model.json" ]; then
    femo merge "$runs/taught_run" "$runs/fourth_mean" --weights --mirror-size 0.93 --data "$data" \
        --out "$runs/face_resnet"
fi
femo evaluate "$runs/face_resnet" "$data" --ferplus "$votes" --record
