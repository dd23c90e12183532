#!/bin/sh
# Gradient descent on x^2 in awk, as an example of any program. It takes --rate=… and --steps=…, prints a JSON line per epoch,
# saves after every epoch and on SIGTERM, and continues from where it was ended.
set -eu
for argument in "$@"; do
    case $argument in
    --rate=*) rate=${argument#*=} ;;
    --steps=*) steps=${argument#*=} ;;
    esac
done
state=$SWEEP_TRIAL_DIR/state
epoch=0 x=1
if [ "$SWEEP_RESUME" = 1 ] && [ -f "$state" ]; then
    read -r epoch x <"$state"
fi
echo "trial $SWEEP_TRIAL on $SWEEP_SLOT from epoch $epoch"
while [ "$epoch" -lt "$steps" ]; do
    epoch=$((epoch + 1))
    x=$(awk -v x="$x" -v rate="$rate" 'BEGIN { printf "%.17g", x - rate * 2 * x }')
    # The line comes first: after a kill in between, the epoch is trained again, so none is missing.
    awk -v x="$x" -v epoch="$epoch" 'BEGIN { printf "{\"epoch\": %d, \"square\": %.17g}\n", epoch, x * x }'
    echo "$epoch $x" >"$state.new" && mv "$state.new" "$state"
done
