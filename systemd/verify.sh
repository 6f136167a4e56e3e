#!/bin/sh
# Checks units without systemd running: syntax, and that a service stays locked in (exposure at most 1.5 of 10).
set -eu

scratch=$(mktemp -d /tmp/fanout-units.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
for unit in "$@"; do
	# verify wants the programs to be there; they need not be installed to check a unit.
	sed 's,/usr/sbin/fanoutd,/bin/true,; s,/usr/bin/fanoutctl,/bin/true,' "$unit" >"$scratch/$(basename "$unit")"
done
said=$(systemd-analyze verify --man=no --recursive-errors=no "$scratch"/*.* 2>&1) || { echo "$said"; exit 1; }
if [ -n "$said" ]; then
	echo "$said"
	exit 1
fi
for service in "$scratch"/*.service; do
	systemd-analyze security --offline=yes --threshold=15 --no-pager "$service" >"$scratch/report" || {
		cat "$scratch/report"
		exit 1
	}
	tail -n 1 "$scratch/report"
done
said=$(systemd-sysusers --dry-run "$(realpath systemd/fanout.sysusers)" 2>&1) || { echo "$said"; exit 1; }
