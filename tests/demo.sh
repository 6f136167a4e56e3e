#!/bin/sh
# make demo: a private daemon and two API simulators in a scratch directory; jobs one by one and fanned out, pages likewise, and a
# pull of an API with a strict limit. Leaves nothing but a table and a plot of the pages, in the directory given (build/demo).
set -eu

shown=${FANOUT_BUILD:-build}
build=$(realpath "$shown")
here=$(dirname "$0")/demo
out=${1:-$shown/demo}
jobs=100
each=0.1 # seconds the first API takes to answer
page=0.5 # seconds it takes for a page
dir=$(mktemp -d "${TMPDIR:-/tmp}/fanout-demo.XXXXXX")
daemon='' api='' strict=''

clean_up() {
	trap '' INT TERM HUP
	for pid in $daemon $api $strict; do kill "$pid" 2>/dev/null || true; done
	for pid in $daemon $api $strict; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
ctl() { "$build/fanoutctl" "$@"; }
# Milliseconds that a command took, in $took.
clock() {
	begin=$(date +%s%N)
	"$@"
	took=$((($(date +%s%N) - begin) / 1000000))
}
seconds() { printf '%d.%02d s' $(($1 / 1000)) $(($1 % 1000 / 10)); }

# ---- Starting ----

say "Starting a private fanoutd and an API that takes $each s to answer"
pages=''
for n in 1 3 5 10 16; do
	pages="$pages --pages p$n,style=page,items=${n}0,size=10,totals=pages,latency=$page"
done
# shellcheck disable=SC2086 # one word each
"$build/apisim" $pages >"$dir/api" 2>&1 &
api=$!
"$build/apisim" --limit cats,kind=sliding,n=20,window=2,jitter-in=uniform:0:0.05,jitter-out=uniform:0:0.05 \
	--pages 'cats,style=page,items=600,size=10,totals=items;pages,limit=cats,fail=7:1:500' >"$dir/strict" 2>&1 &
strict=$!
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
until grep -q '^listening ' "$dir/api" && grep -q '^listening ' "$dir/strict" && ctl stats >/dev/null 2>&1; do
	tries=$((tries + 1))
	if [ $tries -gt 200 ] || ! kill -0 "$daemon" 2>/dev/null; then
		echo "the daemon did not start; it says:" >&2
		cat "$dir/log" "$dir/api" "$dir/strict" >&2
		exit 1
	fi
	sleep 0.05
done
url=$(sed -n 's/^listening //p' "$dir/api")
strict_url=$(sed -n 's/^listening //p' "$dir/strict")

# ---- Jobs ----

seq -f "$url/delay/$each?page=%g" 1 $jobs >"$dir/urls"

say "$jobs requests, one after another:"
echo '$ fanoutctl submit --concurrency 1 --wait -i urls'
clock ctl submit --concurrency 1 --wait -i "$dir/urls" >/dev/null
one_by_one=$took

say "The same $jobs, fanned out:"
echo "\$ fanoutctl submit --concurrency $jobs --wait -i urls"
clock ctl submit --concurrency "$jobs" --wait -i "$dir/urls" >"$dir/batch"
fanned_out=$took
batch=$(cat "$dir/batch")

say "The results (the first ten of $jobs):"
echo "\$ fanoutctl results $batch"
ctl results "$batch" >"$dir/results"
head -n 11 "$dir/results"

say "One after another: $(seconds $one_by_one).  Fanned out: $(seconds $fanned_out).  $((one_by_one / (fanned_out > 0 ? fanned_out : 1))) times as fast, and every result was on disk before it was shown."

# ---- Pages ----

# One recipe, both ways; the API tells how many pages there are, so that all behind the first can be asked for at once.
recipe() {
	cat >"$dir/pulls.d/$1.conf" <<EOF
url = "$url/pages/{var:api}/items";
vars = { api = ""; };
page = { type = "page"; param = "page"; total_pages = ".pages"; };
items = ".result[]";
key = ".id";
$2
EOF
}
recipe serial 'limit = { concurrency = 1; };'
recipe fanned ''

# pull RECIPE PAGES: runs it; its seconds, by the record.
pull() {
	ctl pull run -q "$1" --var "api=p$2" --wait
	ctl results last -f csv --fields submitted_at,ended_at | awk -f "$here/took.awk"
}

say "Pages that take $page s each, one after another and fanned out:"
echo '$ fanoutctl pull run serial --var api=p16 --wait && fanoutctl pull run fanned --var api=p16 --wait'
printf '%5s  %17s  %10s\n' pages 'one after another' 'fanned out'
echo 'pages,one_after_another_s,fanned_out_s' >"$dir/pages.csv"
for n in 1 3 5 10 16; do
	serial=$(pull serial $n)
	fanned=$(pull fanned $n)
	echo "$n,$serial,$fanned" >>"$dir/pages.csv"
	printf '%5d  %15.2f s  %8.2f s\n' $n "$serial" "$fanned"
done
awk -v title="An API that takes $page s for a page" -f "$here/plot.awk" "$dir/pages.csv" >"$dir/pages.svg"
mkdir -p "$out"
cp "$dir/pages.csv" "$dir/pages.svg" "$out/"
echo "The table and its plot: $out/pages.csv $out/pages.svg"

# ---- A pull ----

cat >"$dir/pulls.d/cats.conf" <<EOF
url = "$strict_url/pages/cats/items?page={page}";
page = { type = "page"; total_pages = ".pages"; total_items = ".total"; };
items = ".result[]";
key = ".id";
limit = { rate = "20/2s"; };
EOF
say "All 60 pages of an API that refuses more than 20 requests in any 2 s, and fails once:"
echo '$ cat pulls.d/cats.conf'
cat "$dir/pulls.d/cats.conf"
echo '$ fanoutctl pull run cats --wait'
ctl pull run cats --wait
echo '$ fanoutctl items cats | tail -n 2'
ctl items cats >"$dir/items"
tail -n 2 "$dir/items"
echo "\$ fanoutctl audit ${strict_url#http://}"
ctl audit "$strict_url"

cat <<EOF

To go on, with a private daemon of your own (no root, no configuration):

    $shown/fanoutctl --local fetch https://example.org/
    $shown/fanoutctl --local submit --wait 'https://example.org/?page=[1-20]'
    $shown/fanoutctl --local results last

A recipe of your own: etc/pulls.d has three examples, docs/fanout-pulls.5 (man -l) all keys.
As a system service: sudo make install, then systemctl enable --now fanoutd.socket fanoutd.service
All verbs: $shown/fanoutctl help
EOF
