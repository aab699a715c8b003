#!/bin/sh
# A consumer of Billbus's stream in the shell, with the nats tool and jq. It keeps
# who has access to what, and notes each cancellation once. It processes the messages
# that exist, and ends. Start it from cron or a timer.
#
#   entitlements/<subscription>.json   one file per subscription
#   notices/<event>.json               one file per cancellation
#
# `nats consumer next` acknowledges a message when it has printed it: a script that is
# killed then has lost the message. So the script first reads a message and returns it
# (--nak), then puts it into effect, and only then takes it (--ack). The consumer
# delivers one message at a time, so both reads get the same message.
set -eu

consumer=${CONSUMER:-shell}
folder=${FOLDER:-shell-data}
patience=${PATIENCE:-5s} # how long to wait for a message before ending
here=$(dirname "$0")
export NATS_URL="${NATS_URL:-nats://127.0.0.1:4222}"

next() { nats --timeout "$patience" consumer next BILLBUS "$consumer" --raw "$@"; }

# put replaces a file as a whole: after a crash it has the old or the new content.
put() {
	printf '%s\n' "$2" >"$folder/draft"
	sync "$folder/draft"
	mv -T "$folder/draft" "$1"
	sync "$(dirname "$1")"
}

# apply puts a message into effect. To apply it again changes nothing.
apply() {
	status=0
	fields=$(printf '%s' "$1" | jq -rRs -f "$here/entitlement.jq") || status=$?
	case $status in
	0) ;;
	5) # the program failed on this message; other codes are problems of jq itself
		echo "skipping a message that will never be readable" >&2
		return
		;;
	*) exit "$status" ;;
	esac
	{ read -r name && read -r subscription && read -r event && read -r notice && read -r entitlement; } <<-EOF
		$fields
	EOF
	if [ "$event" != - ] && [ ! -e "$folder/notices/$event.json" ]; then
		put "$folder/notices/$event.json" "$notice"
	fi
	file=$folder/entitlements/$subscription.json
	if [ -e "$file" ]; then
		known=$(cat "$file")
		entitlement=$(printf '%s\n' "$known" "$entitlement" | jq -cs 'max_by(.rank)')
	fi
	put "$file" "$entitlement"
	echo "$name"
}

command -v jq >/dev/null
mkdir -p "$folder/entitlements" "$folder/notices"
# One process at a time: another one would take the message that was read here.
exec 9>"$folder/lock"
flock 9

# The consumer is created once and never altered.
nats consumer info BILLBUS "$consumer" >/dev/null 2>&1 ||
	nats consumer add BILLBUS "$consumer" --pull --filter 'subscription.*' --deliver all \
		--ack explicit --wait 30s --max-deliver=-1 --max-pending 1 --replay instant --defaults >/dev/null
state() { nats consumer info BILLBUS "$consumer" --json | jq -e "$1" >/dev/null; }
state '.config.max_ack_pending == 1' || { echo "consumer $consumer delivers more than one message at a time" >&2; exit 1; }

while message=$(next --nak); do
	apply "$message"
	taken=$(next --ack)
	if [ "$taken" != "$message" ]; then
		apply "$taken"
	fi
done

# No message came. Fail if there are any left.
state '.num_pending + .num_ack_pending == 0'
