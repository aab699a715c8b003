#!/usr/bin/env bash
# Breaks a promise in a copy of the module, one at a time, and runs the chaos program, which must report it: a
# checker that finds nothing in programs that lose events proves nothing about those that do not.
# A mutant is a patch in tools/mutants. It names what it breaks, the rules that may report it, and the variable
# that must be set for it, if any. Seeds are tried until one reports it. Without a mutant, nothing may be found.
# usage: [SEEDS="1 2 3"] tools/mutants.sh [NAME...]
set -euo pipefail
cd "$(dirname "$0")/.."

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
	for patch in tools/mutants/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi
seeds=${SEEDS:-1 2 3}
# Two subscribers need a database that compares and replaces in one step. The embedded one does not.
subscribers=1
[ -z "${BILLBUS_TEST_MONGODB_URI:-}" ] || subscribers=2

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/runs"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
# Built before anything is broken, because that takes a minute. It builds the other programs where it runs.
(cd "$copy" && go build -o bin/chaos ./cmd/chaos)

field() { sed -n "s/^$2: //p" "$1" | head -1; }

# chaos SEED writes a log, and returns the exit status of the program: 1 if something is wrong. What it keeps of
# a run that failed is removed with the copy.
chaos() {
	(cd "$copy" && TMPDIR=$copy/runs bin/chaos --json --seed "$1" --duration 20s --rate 60 --faults kill,cut --subscribers $subscribers) \
		>"$copy/log" 2>&1
}

# verdict PATCH prints which seed has reported a mutant. A run that failed for another reason has not.
verdict() {
	local rules seed status
	rules=$(field "$1" Rules)
	for seed in $seeds; do
		status=0; chaos "$seed" || status=$?
		if [ $status -eq 1 ] && grep -Eq "\"rule\":\"(${rules// /|})\"" "$copy/log"; then echo "reported with seed $seed"; return; fi
	done
	echo "SURVIVED"
}

show() { tail -n 20 "$copy/log" | cut -c 1-2000; }

chaos "${seeds%% *}" || { show; echo "without a mutant: something is wrong"; exit 1; }
survived=0
for name in "${names[@]}"; do
	patch=$PWD/tools/mutants/$name.patch
	needs=$(field "$patch" Needs)
	if [ -n "$needs" ] && [ -z "${!needs:-}" ]; then
		printf '%-24s not run: it needs %s\n' "$name" "$needs"
		continue
	fi
	(cd "$copy" && git apply "$patch") || { echo "$name: the patch no longer applies"; exit 1; }
	(cd "$copy" && go build -o bin/ ./cmd/bridge ./cmd/subscriber) || { echo "$name: does not build"; exit 1; }
	result=$(verdict "$patch")
	printf '%-24s %s\n' "$name" "$result"
	[ "$result" != SURVIVED ] || { survived=1; show; }
	(cd "$copy" && git apply -R "$patch")
done
exit $survived
