#!/usr/bin/env bash
# Looks for known vulnerabilities in code that our packages can reach. Succeeds only if it has looked and found none.
# usage: tools/vulncheck.sh [PACKAGE...]
# variables: VULNDB (the database, default https://vuln.go.dev; or file:// and the folder of a copy)
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- ./...
db=${VULNDB:-https://vuln.go.dev}

status=0
if [ "${db#file://}" != "$db" ] && [ ! -e "${db#file://}/index/modules.json" ]; then
	status=1 # govulncheck takes an empty folder for a database without vulnerabilities
else
	go tool -modfile=tools/go.mod govulncheck -db "$db" "$@" || status=$?
fi
case $status in
0) ;;
3) echo "VULNERABLE: update the modules named above." >&2 ;;
*) echo "NOT CHECKED for vulnerabilities: $db cannot be read. Use a machine that reaches it, or VULNDB." >&2 ;;
esac
exit "$status"
