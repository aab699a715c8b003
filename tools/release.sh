#!/usr/bin/env bash
# Builds the programs of a version, with an SBOM (CycloneDX) of each and the checksums of all files. The same
# commit gives the same files, in any folder, on any machine, at any time.
# usage: tools/release.sh VERSION
# variables: DIST (folder, default dist), PROGRAMS (default all that are released), PLATFORMS (default linux/amd64 linux/arm64)
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?the tag of the commit, such as v1.2.3}
dist=${DIST:-dist} programs=${PROGRAMS:-bridge subscriber standalone stripesim} platforms=${PLATFORMS:-linux/amd64 linux/arm64}

# Everything that changes the files: exactly this version of Go, no C compiler, and no settings of the machine.
GOTOOLCHAIN=$(awk '$1 == "toolchain" { print $2 }' go.mod)
export GOTOOLCHAIN CGO_ENABLED=0 GOFLAGS=-buildvcs=true GOEXPERIMENT='' GOAMD64=v1 GOARM64=v8.0 GOFIPS140=off GOWORK=off

mkdir -p "$dist"
files=()
for platform in $platforms; do
	for program in $programs; do
		file=${program}_${version}_${platform/\//_}
		# The flags of the Dockerfile: an image contains the same program.
		GOOS=${platform%/*} GOARCH=${platform#*/} go build -trimpath -ldflags="-s -w" -o "$dist/$file" "./cmd/$program"
		stamp=$(go version -m "$dist/$file" | awk '$1 == "mod" { print $3 }')
		if [ "$stamp" != "$version" ]; then
			echo "$program says that it is $stamp. Build $version from an unmodified checkout of that tag." >&2
			exit 1
		fi
		# Without what would be different each time, or on each machine: serial number, time, hashes of the tool.
		go tool -modfile=tools/release/go.mod cyclonedx-gomod bin -json -std -noserial -notimestamp -version "$version" "$dist/$file" |
			jq 'del(.metadata.tools[].hashes)' >"$dist/$file.cdx.json"
		files+=("$file" "$file.cdx.json")
	done
done
cd "$dist" && sha256sum "${files[@]}" >SHA256SUMS
