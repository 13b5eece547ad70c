#!/bin/sh
# Tries client.py on a daemon of its own: check.sh path/to/dd-procmgrd
# PYTHON names an interpreter that has what requirements.txt asks for; without it, a virtual environment is made here.
set -eu
daemon=$(realpath "${1:?the path of dd-procmgrd}")
cd "$(dirname "$0")"
python=${PYTHON:-}
if [ -z "$python" ]; then
    python3 -m venv .venv
    .venv/bin/pip install --quiet -r requirements.txt
    python=$PWD/.venv/bin/python
fi
PATH="$(dirname "$python"):$PATH" ./generate.sh

dir=$(mktemp -d)
start() {
    STATE_DIRECTORY=$dir/state LOGS_DIRECTORY=$dir/log RUNTIME_DIRECTORY=$dir/run PM_BIND_ADDRESS=127.0.0.1:0 \
        METRICS_ENABLED=false "$daemon" --config "$dir/processes.yaml" >>"$dir/daemon.log" 2>&1 &
    pid=$!
    # The first call waits for the socket; nothing is guessed about how long a start takes.
    until [ -S "$dir/run/control.sock" ] || ! kill -0 "$pid"; do sleep 0.05; done
}
end() { kill "$pid" 2>/dev/null && wait "$pid" || true; }
fail() {
    echo "check.sh: $*; the daemon said:" >&2
    cat "$dir/daemon.log" >&2
    exit 1
}
trap 'end; kill "${watcher:-$pid}" 2>/dev/null || true; rm -rf "$dir"' EXIT
mkdir "$dir/run" "$dir/state" "$dir/log"
echo 'processes: {clock: {command: "sleep infinity"}}' >"$dir/processes.yaml"
export PM_SOCKET="$dir/run/control.sock"
client() { "$python" client.py "$@"; }
# has FILE TEXT: until the text is in the file, at most 20 s.
has() {
    for _ in $(seq 200); do
        grep -q "$2" "$1" && return
        sleep 0.1
    done
    fail "no $2 in $(cat "$1")"
}

start
"$python" client.py watch >"$dir/events" &
watcher=$!
client list | grep '^clock *running' || fail "list"
client create hello sh -c 'echo hello; exec sleep infinity' | grep 'runs as pid' || fail "create"
client wait hello | grep 'hello is ready' || fail "wait"
client stats hello | grep 'hello: 1 processes' || fail "stats"
has "$dir/events" 'hello started within'
# Errors have details.
client wait nobody 2>"$dir/error" && fail "nobody is there"
grep -q 'NOT_FOUND' "$dir/error" && grep -q 'PROCESS_NOT_FOUND' "$dir/error" || fail "$(cat "$dir/error")"
client create 'a/b' sleep 2>"$dir/error" && fail "a/b is no name"
grep -q 'field name: ' "$dir/error" || fail "$(cat "$dir/error")"
# The watcher goes on over a restart of the daemon.
end
start
has "$dir/events" 'waiting for the daemon'
has "$dir/events" 'events are missing here'
client delete hello | grep 'hello is deleted' || fail "delete"
has "$dir/events" 'hello is removed'
echo "check.sh: ok"
