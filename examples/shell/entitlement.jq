# Prints of a message, one per line: its name; the name of its subscription's file; the
# name of its notice's file, or - if it is not a cancellation; and the contents of the
# notice and of the subscription's file. An error means that the message can never be
# read.

def key: "\(if .livemode then "live" else "test" end):\(.stripeaccount // "platform"):\(.data.subscription.id)";

# jq reads whole seconds only. Stripe's times have no more.
def seconds: sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601;

# The rank of a message: the message with the greatest rank is current. Messages arrive
# in the order in which Stripe delivered them, which is not the order in which things
# happened. An end is final; then the later time wins, then the lifecycle, then the
# greater id. Of two updates in one second, the one with the greater id may be the wrong
# one.
def rank:
  .data.subscription as $sub
  | if .stripetype == "customer.subscription.created" then
      # The time of this event may be later than that of the first update.
      {moment: ([.time, $sub.created // .time] | map(seconds) | min), step: 0}
    elif .stripetype == "customer.subscription.deleted" then {moment: (.time | seconds), step: 2}
    else {moment: (.time | seconds), step: 1}
    end
  | [.step == 2 or ($sub.status | . == "canceled" or . == "incomplete_expired"), .moment, .step];

fromjson
| if .specversion != "1.0" or .data.schema_version > 1 or (.data.subscription.id | not) then
    error("not a message of this contract")
  else
    "\(.id) \(.type) \(.subject)",
    (key | @uri),
    (if .type == "subscription.canceled" then "\(.source) \(.id)" | @uri else "-" end),
    ({subscription: key, user_id: .data.subscription.user_id, event: "\(.source) \(.id)"} | tojson),
    ({
      subscription: key, user_id: .data.subscription.user_id, status: .data.subscription.status,
      access: .data.subscription.access, event_id: .id, rank: (rank + [.id])
    } | tojson)
  end
