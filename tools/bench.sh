#!/usr/bin/env bash
# Measures the micro-benchmarks in test/micro, and compares two revisions with benchstat.
# usage: tools/bench.sh time BASE [HEAD]
#        tools/bench.sh instructions [BASE [HEAD]]
# HEAD is the working tree if it is left out. Both run the benchmarks of HEAD, or each its own if those do not
# compile with the code of BASE. `time` runs the two in turn, so that whatever else the machine does affects both.
# `instructions` counts with perf, or with valgrind where perf cannot read the processor's counter. It subtracts
# a short run from a long one, so the start of the program does not count. The garbage collector is off: what it
# costs in addition follows from B/op and allocs/op. Counts repeat to within about a percent.
# variables: BENCH (regular expression, default all), ROUNDS (10), BENCHTIME (1000x; of one benchmark in a round)
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1-} base=${2-} head=${3-}
case $kind,$base in time,?* | instructions,*) ;; *) sed -n '3,/^set /s/^# //p' "$0" >&2; exit 2 ;; esac

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# checkout NAME REVISION copies a revision, or the working tree if it is "".
checkout() {
	local tar=$tmp/$1.tar
	if [ -n "$2" ]; then git archive -o "$tar" "$2"; else git ls-files -z --cached --others --exclude-standard | tar -cf "$tar" --null -T -; fi
	mkdir "$tmp/$1.tree"
	tar -xf "$tar" -C "$tmp/$1.tree"
}

compile() { (cd "$tmp/$1.tree" && go test -c -o "$tmp/$1" ./test/micro); }

# compile_base compiles the benchmarks of HEAD with the code of BASE.
compile_base() {
	(cd "$tmp/base.tree/test" && { [ ! -e micro ] || mv micro own; } && cp -r "$tmp/head.tree/test/micro" .)
	compile base 2>"$tmp/errors" && return
	[ -e "$tmp/base.tree/test/own" ] || { cat "$tmp/errors" >&2; exit 1; }
	echo "The benchmarks of ${head:-the working tree} do not compile with the code of $base: each runs its own." >&2
	(cd "$tmp/base.tree/test" && rm -r micro && mv own micro)
	compile base
}

# bench NAME BENCHMARK BENCHTIME [PREFIX...] runs on one processor.
bench() { "${@:4}" "$tmp/$1" -test.run '^$' -test.bench "$2" -test.benchtime "$3" -test.benchmem -test.cpu 1; }

take_times() {
	local round order
	for ((round = 1; round <= ${ROUNDS:-10}; round++)); do
		order=(base head)
		((round % 2)) || order=(head base)
		for name in "${order[@]}"; do bench "$name" "${BENCH:-.}" "${BENCHTIME:-1000x}" >>"$tmp/$name.txt"; done
	done
}

# total NAME BENCHMARK OPERATIONS prints how many instructions a whole run takes.
total() {
	case $counter in
	perf)
		bench "$1" "^$2\$" "${3}x" perf stat -x, -e instructions:u -o "$tmp/log" >"$tmp/out"
		awk -F, '/instructions/ { n += $1 } END { printf "%.0f\n", n }' "$tmp/log"
		;;
	valgrind)
		bench "$1" "^$2\$" "${3}x" valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null --log-file="$tmp/log" >"$tmp/out"
		sed -n 's/,//g; s/.*I *refs: *//p' "$tmp/log"
		;;
	esac
}

# count_instructions NAME replaces the times of a run by instructions.
count_instructions() {
	local few=100 many=1100 name rest # the difference is all batches of BenchmarkCommit once
	printf 'Unit %s assume=exact\n' instructions/op B/op allocs/op >"$tmp/$1.txt"
	bench "$1" "${BENCH:-.}" "${many}x" >"$tmp/$1.times"
	while read -r name rest; do
		case $name in
		Benchmark*) echo "$name 1 $((($(total "$1" "$name" $many) - $(total "$1" "$name" $few)) / (many - few))) instructions/op ${rest##*ns/op}" ;;
		*) echo "$name $rest" ;;
		esac
	done <"$tmp/$1.times" >>"$tmp/$1.txt"
}

# find_counter also makes runs repeatable.
find_counter() {
	export GOGC=off
	if perf stat -x, -e instructions:u true 2>&1 | grep -q '^[0-9]'; then
		counter=perf
	elif command -v valgrind >/dev/null; then
		counter=valgrind
	else
		echo "Nothing can count instructions here: perf cannot read the processor's counter, and there is no valgrind." >&2
		exit 1
	fi
	echo "Counting with $counter." >&2
}

[ "$kind" = time ] || find_counter
checkout head "$head"
compile head
inputs=("${head:-working tree}=$tmp/head.txt") names=(head)
if [ -n "$base" ]; then
	checkout base "$base"
	compile_base
	inputs=("$base=$tmp/base.txt" "${inputs[@]}") names=(base head)
fi
if [ "$kind" = time ]; then take_times; else for name in "${names[@]}"; do count_instructions "$name"; done; fi
go tool -modfile=tools/go.mod benchstat "${inputs[@]}"
