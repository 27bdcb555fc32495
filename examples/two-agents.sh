#!/bin/sh
# Two shells in a tmux session of their own, a broker and a watcher for each: look on with
#     tmux -L bridge-example attach -t team
# Ends, and takes everything with it, on Ctrl-C or when stdin ends.
set -e
store=$(mktemp -d)
export BRIDGE_BROKER_URL=http://127.0.0.1:${BRIDGE_PORT:-5051}
cleanup() {
    kill $watchers $broker 2>/dev/null || true
    wait 2>/dev/null || true
    tmux -L bridge-example kill-server 2>/dev/null || true
    rm -rf "$store"
}
trap cleanup EXIT
trap exit INT TERM

# The shells get a home of their own and no history file: yours is not read and not written.
pane() {
    tmux -L bridge-example -f /dev/null "$@" -c "$store" \
        env -u PS1 -u PROMPT_COMMAND -u INPUTRC HOME="$store" HISTFILE= bash --norc --noprofile
}
pane new-session -d -s team -x 160 -y 40
pane split-window -t team:
python3 -m bridge broker --port "${BRIDGE_PORT:-5051}" --db "$store/bridge.db" & broker=$!
until python3 -m bridge status >/dev/null 2>&1; do sleep 0.2; done
python3 -m bridge watch ann team 0 -L bridge-example & watchers=$!
python3 -m bridge watch bob team 1 -L bridge-example & watchers="$watchers $!"
python3 -m bridge send ann "hello ann"
python3 -m bridge send bob "hello bob" --from ann
echo "running; Ctrl-C ends it"
cat >/dev/null
