#!/usr/bin/env bash
# What vidfer trains where a CUDA device is at hand for a few minutes: torch, lightning, timm and opencv are needed, no network.
#   python benchmarks/gpu_faces.py pack            # once, where data/ lies; then
#   OUT=gpu FACES=.gpu/faces.npz PHOTOS=data/bsds500/train TEST=data/set5 bash benchmarks/gpu_session.sh
# STUDENTS, DENOISER and TEACHER are the seconds of each part (in that order); STEPS=2 DEVICE=cpu is a trial.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH=${VIDFER:-$here/..} PYTHONUNBUFFERED=1
OUT=${OUT:-gpu} FACES=${FACES:-.gpu/faces.npz} PHOTOS=${PHOTOS:-data/bsds500/train} TEST=${TEST:-data/set5}
STUDENTS=${STUDENTS:-300} DENOISER=${DENOISER:-90} TEACHER=${TEACHER:-90} STEPS=${STEPS:--1} DEVICE=${DEVICE:-cuda} BATCH=${BATCH:-512}
mkdir -p "$OUT"
face() {  # name, architecture, size, batch, seconds, further options
    python3 "$here/gpu_faces.py" train --pack "$FACES" --name "$1" --arch "$2" --size "$3" --batch "$4" --seconds "$5" \
        --steps "$STEPS" --device "$DEVICE" --out "$OUT" "${@:6}" 2>&1 | tee "$OUT/$1.log"
}
if [ "$DEVICE" = cuda ]; then
    python3 -c 'import torch; print(torch.__version__, torch.cuda.get_device_name())'
fi
begun=$SECONDS
face mobile112 mobilenetv3_large_075 112 "$BATCH" "$STUDENTS" --lr 0.15 &
face compact64 compact 64 "$BATCH" "$STUDENTS" --lr 0.2 &
face regnet112 regnety_002 112 "$BATCH" "$STUDENTS" --lr 0.2 &
wait
echo "students: $((SECONDS - begun)) s"
python3 "$here/gpu_denoise.py" --root "$PHOTOS" --test "$TEST" --seconds "$DENOISER" --steps "${DENOISE_STEPS:-1000}" \
    --batch "${DENOISE_BATCH:-32}" --workers "${WORKERS:-12}" --preset "${PRESET:-full}" --name full --out "$OUT" 2>&1 | tee "$OUT/denoise.log" | grep -v Warning
echo "denoiser: $((SECONDS - begun)) s"
if [ "$DEVICE" = cuda ]; then
    for each in "inception_resnet_v2 299 64" "inception_resnet_v2 224 128" "mobilenetv3_large_075 112 512" "compact 64 512"; do
        read -r arch size batch <<<"$each"
        python3 "$here/gpu_faces.py" rate --arch "$arch" --size "$size" --batch "$batch" 2>&1 | tee -a "$OUT/rates.log"
    done
fi
face inception224 inception_resnet_v2 "${TEACHER_SIZE:-224}" "${TEACHER_BATCH:-128}" "$TEACHER" --lr 0.05
echo "all: $((SECONDS - begun)) s"
