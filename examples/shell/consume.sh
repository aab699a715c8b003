#!/bin/sh
# A consumer of Billbus's stream in the shell, with the nats tool and jq. It keeps
# who has access to what, and notes each cancellation once. It processes what is
# there and ends; let cron or a timer start it.
#
#   entitlements/<subscription>.json   one file per subscription
#   notices/<event>.json               one file per cancellation
#
# `nats consumer next` acknowledges as soon as it has printed a message, and whoever
# is killed then has lost it. So each message is looked at first, which gives it
# back; then it takes effect; and only then it is taken. The consumer hands out one
# message at a time, so that what is taken is what was looked at.
set -eu

consumer=${CONSUMER:-shell}
folder=${FOLDER:-shell-data}
patience=${PATIENCE:-5s} # how long to wait for a message before ending
here=$(dirname "$0")
export NATS_URL="${NATS_URL:-nats://127.0.0.1:4222}"

next() { nats --timeout "$patience" consumer next BILLBUS "$consumer" --raw "$@"; }

# put replaces a file as a whole: after a crash there is the old or the new one.
put() {
	printf '%s\n' "$2" >"$folder/draft"
	sync "$folder/draft"
	mv -T "$folder/draft" "$1"
	sync "$(dirname "$1")"
}

# apply makes a message take effect. Doing so again changes nothing.
apply() {
	status=0
	fields=$(printf '%s' "$1" | jq -rRs -f "$here/entitlement.jq") || status=$?
	case $status in
	0) ;;
	5) # of the message; others are of jq itself
		echo "leaving out a message that will never be readable" >&2
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
# One at a time: somebody else would take what was looked at here.
exec 9>"$folder/lock"
flock 9

# Once, and never altered.
nats consumer info BILLBUS "$consumer" >/dev/null 2>&1 ||
	nats consumer add BILLBUS "$consumer" --pull --filter 'subscription.*' --deliver all \
		--ack explicit --wait 30s --max-deliver=-1 --max-pending 1 --replay instant --defaults >/dev/null
state() { nats consumer info BILLBUS "$consumer" --json | jq -e "$1" >/dev/null; }
state '.config.max_ack_pending == 1' || { echo "consumer $consumer hands out more than one message at a time" >&2; exit 1; }

while message=$(next --nak); do
	apply "$message"
	taken=$(next --ack)
	if [ "$taken" != "$message" ]; then
		apply "$taken"
	fi
done

# Nothing came any more. Was that all?
state '.num_pending + .num_ack_pending == 0'
