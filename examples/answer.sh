#!/bin/sh
# An "agent" without a terminal: answers each ticket with the length of its text.
#
#     python3 -m bridge watch echo --exec examples/answer.sh
#
# The ticket comes as JSON on stdin; exit status 0 acknowledges it, any other keeps it, and it is tried again.
set -e
ticket=$(cat)
id=$(printf '%s' "$ticket" | python3 -c 'import json, sys; print(json.load(sys.stdin)["ticketId"])')
length=$(printf '%s' "$ticket" | python3 -c 'import json, sys; print(len(str(json.load(sys.stdin)["payload"])))')
python3 -m bridge reply "$id" "$length characters"
