#!/usr/bin/env bash
# Removes each guard from a copy of the module, one at a time, and runs the tests that must notice.
# A guard is a patch in tools/guards. It names what it removes, the package, and the tests that must all fail.
# usage: tools/guards.sh [NAME...]
set -euo pipefail
cd "$(dirname "$0")/.."

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
	for patch in tools/guards/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"

field() { sed -n "s/^$2: //p" "$1" | head -1; }

# failed PACKAGE TEST succeeds if the test ran and failed. Each test has a run of its own, because a panic in
# one would end the others. A test that does not build or does not exist has not failed.
failed() {
	(cd "$copy" && go test -count=1 -run "^$2\$" "$1" 2>&1 || true) | grep -q "^--- FAIL: $2 "
}

missed=0
for name in "${names[@]}"; do
	patch=$PWD/tools/guards/$name.patch
	(cd "$copy" && git apply "$patch") || { echo "$name: the patch no longer applies"; exit 1; }
	tests=$(field "$patch" Tests)
	for test in $tests; do
		verdict=noticed
		failed "$(field "$patch" Package)" "$test" || { verdict="NOT NOTICED"; missed=1; }
		printf '%-30s %-38s %s\n' "$name" "$test" "$verdict"
	done
	(cd "$copy" && git apply -R "$patch")
done
exit $missed
