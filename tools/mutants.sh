#!/usr/bin/env bash
# Breaks a promise in a copy of the module, one at a time, and runs the chaos program, which must report it: a
# checker that finds nothing in programs that lose events proves nothing about those that do not.
# A mutant is a patch in tools/mutants. It names what it breaks, the rules that may report it, and, if others are
# needed than usual, the flags of the run. Seeds are tried until one reports it. Without a mutant, nothing may be
# found with the same flags.
# usage: [SEEDS="1 2 3"] tools/mutants.sh [NAME...]
set -euo pipefail
cd "$(dirname "$0")/.."

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
	for patch in tools/mutants/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi
seeds=${SEEDS:-1 2 3}

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/runs"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
# Built before anything is broken, because that takes a minute. It builds the other programs where it runs.
(cd "$copy" && go build -o bin/chaos ./cmd/chaos)

field() { sed -n "s/^$2: //p" "$1" | head -1; }

flags() { local own; own=$(field "tools/mutants/$1.patch" Flags); echo "${own:---duration 20s --rate 60 --faults kill,cut}"; }

# chaos SEED FLAGS writes a log, and returns the exit status of the program: 1 if something is wrong. What it keeps of
# a run that failed is removed with the copy.
chaos() {
	# shellcheck disable=SC2086 # the flags are words
	(cd "$copy" && TMPDIR=$copy/runs bin/chaos --json --seed "$1" $2) >"$copy/log" 2>&1
}

# verdict NAME prints which seed has reported a mutant. A run that failed for another reason has not.
verdict() {
	local rules seed status
	rules=$(field "tools/mutants/$1.patch" Rules)
	for seed in $seeds; do
		status=0; chaos "$seed" "$(flags "$1")" || status=$?
		if [ $status -eq 1 ] && grep -Eq "\"rule\":\"(${rules// /|})\"" "$copy/log"; then echo "reported with seed $seed"; return; fi
	done
	echo "SURVIVED"
}

show() { tail -n 20 "$copy/log" | cut -c 1-2000; }

while read -r some; do
	chaos "${seeds%% *}" "$some" </dev/null || { show; echo "without a mutant, $some: something is wrong"; exit 1; }
done < <(for name in "${names[@]}"; do flags "$name"; done | sort -u)
survived=0
for name in "${names[@]}"; do
	patch=$PWD/tools/mutants/$name.patch
	(cd "$copy" && git apply "$patch") || { echo "$name: the patch no longer applies"; exit 1; }
	(cd "$copy" && go build -o bin/ ./cmd/bridge ./cmd/subscriber) || { echo "$name: does not build"; exit 1; }
	result=$(verdict "$name")
	printf '%-24s %s\n' "$name" "$result"
	[ "$result" != SURVIVED ] || { survived=1; show; }
	(cd "$copy" && git apply -R "$patch")
done
exit $survived
