#!/bin/sh
# make demo: a private daemon and an API simulator in a scratch directory, and 100 jobs fanned out. Leaves nothing.
set -eu

shown=${FANOUT_BUILD:-build}
build=$(realpath "$shown")
jobs=100
each=0.1 # seconds the simulated API takes to answer
# A Unix socket's path has 107 bytes at most.
above=${TMPDIR:-/tmp}
[ ${#above} -le 80 ] || above=/tmp
dir=$(mktemp -d "$above/fanout-demo.XXXXXX")
daemon='' api=''

clean_up() {
	trap '' INT TERM HUP
	for pid in $daemon $api; do kill "$pid" 2>/dev/null || true; done
	for pid in $daemon $api; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
# Milliseconds that a command took, in $took.
clock() {
	begin=$(date +%s%N)
	"$@"
	took=$((($(date +%s%N) - begin) / 1000000))
}
seconds() { printf '%d.%02d s' $(($1 / 1000)) $(($1 % 1000 / 10)); }

say "Starting a private fanoutd and an API that takes $each s to answer"
"$build/apisim" >"$dir/api" 2>&1 &
api=$!
cat >"$dir/fanout.conf" <<EOF
socket = "$dir/sock";
state_dir = "$dir/state";
pulls_dir = "$dir/pulls.d";
secrets_dir = "$dir/secrets";
EOF
mkdir -m 0700 "$dir/state" "$dir/pulls.d" "$dir/secrets"
"$build/fanoutd" -c "$dir/fanout.conf" 2>"$dir/log" &
daemon=$!
export FANOUT_SOCKET="$dir/sock"
tries=0
until grep -q '^listening ' "$dir/api" && "$build/fanoutctl" stats >/dev/null 2>&1; do
	tries=$((tries + 1))
	if [ $tries -gt 1200 ] || ! kill -0 "$daemon" 2>/dev/null; then
		echo "the daemon did not start; it says:" >&2
		cat "$dir/log" "$dir/api" >&2
		exit 1
	fi
	sleep 0.05
done
url=$(sed -n 's/^listening //p' "$dir/api")
seq -f "$url/delay/$each?page=%g" 1 $jobs >"$dir/urls"

say "$jobs requests, one after another:"
echo '$ fanoutctl submit --concurrency 1 --wait -i urls'
clock "$build/fanoutctl" submit --concurrency 1 --wait -i "$dir/urls" >/dev/null
one_by_one=$took

say "The same $jobs, fanned out:"
echo "\$ fanoutctl submit --concurrency $jobs --wait -i urls"
clock "$build/fanoutctl" submit --concurrency "$jobs" --wait -i "$dir/urls" >"$dir/batch"
fanned_out=$took
batch=$(cat "$dir/batch")

say "The results (the first ten of $jobs):"
echo "\$ fanoutctl results $batch"
"$build/fanoutctl" results "$batch" >"$dir/results"
head -n 11 "$dir/results"

say "One after another: $(seconds $one_by_one).  Fanned out: $(seconds $fanned_out).  $((one_by_one / (fanned_out > 0 ? fanned_out : 1))) times as fast, and every result was on disk before it was shown."
cat <<EOF

To go on, with a private daemon of your own (no root, no configuration):

    $shown/fanoutctl --local fetch https://example.org/
    $shown/fanoutctl --local submit --wait 'https://example.org/?page=[1-20]'
    $shown/fanoutctl --local results last

As a system service: sudo make install, then systemctl enable --now fanoutd.socket fanoutd.service
All verbs: $shown/fanoutctl help
EOF
