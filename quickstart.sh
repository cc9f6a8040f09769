#!/usr/bin/env bash
# From a bare Debian 12 to a first delivered email: installs, builds, starts the server, sends.
# Safe to run again: what exists is kept, a running server is replaced.
set -euo pipefail
cd "$(dirname "$0")"

home="$PWD/var/quickstart"
port="${PORT:-3015}"
say() { printf '\n== %s\n' "$*"; }

say "packages"
contrib/ci/install-deps build

say "build (release)"
export CCACHE_DIR="${CCACHE_DIR:-$HOME/.cache/ccache}"
cmake --preset release >/dev/null
cmake --build --preset release -j "$(nproc)"
bin="$PWD/build/release/bin/opensend"

say "configuration in $home"
mkdir -p "$home"
cd "$home"
export OPENSEND_DATA_DIR="$home/data" OPENSEND_PLUGINS__DIR="${bin%/bin/opensend}/plugins" PORT="$port"
export OPENSEND_TRANSPORT_URL="${OPENSEND_TRANSPORT_URL:-capture:///}"
mkdir -p "$OPENSEND_DATA_DIR"
if [ ! -e etc/opensend.properties ]; then
  "$bin" init --app-url "http://localhost:$port"
fi
set -a && . etc/.env && set +a
"$bin" migrate

if [ -e server.pid ] && kill -0 "$(cat server.pid)" 2>/dev/null; then
  kill "$(cat server.pid)"
  for _ in $(seq 100); do kill -0 "$(cat server.pid)" 2>/dev/null || break; sleep 0.1; done
fi

say "server"
if ! "$bin" domains list | grep -q 'quickstart.example$'; then
  "$bin" domains add quickstart.example --i-own-this-domain >/dev/null
fi
[ -s key ] || (umask 077 && "$bin" keys create --name quickstart > key)
nohup "$bin" serve > server.log 2>&1 &
echo $! > server.pid
for _ in $(seq 100); do
  "$bin" health --url "http://127.0.0.1:$port" >/dev/null 2>&1 && break
  kill -0 "$(cat server.pid)" 2>/dev/null || { cat server.log; exit 1; }
  sleep 0.1
done
"$bin" health --url "http://127.0.0.1:$port"

say "a first email, with curl"
before="$(find "$OPENSEND_DATA_DIR/capture" -type f -path '*/new/*' 2>/dev/null | wc -l)"
answer="$(curl -sS --fail-with-body "http://127.0.0.1:$port/emails" \
  -H "Authorization: Bearer $(cat key)" -H 'Content-Type: application/json' \
  -d '{"from":"You <you@quickstart.example>","to":"friend@example.com","subject":"It works","html":"<p>Your first email from <b>OpenSend</b>.</p>"}')"
echo "$answer"
for _ in $(seq 100); do
  now="$(find "$OPENSEND_DATA_DIR/capture" -type f -path '*/new/*' 2>/dev/null | wc -l)"
  [ "$now" -gt "$before" ] && break
  sleep 0.1
done
[ "$now" -gt "$before" ] || { echo "the message was not delivered; see $home/server.log" >&2; exit 1; }
message="$(find "$OPENSEND_DATA_DIR/capture" -type f -path '*/new/*' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-)"

say "delivered: $message"
cat "$message"

say "next"
cat <<NEXT
The server runs on http://127.0.0.1:$port (log: $home/server.log, stop: kill $(cat server.pid)).
1. See what became of the message:   curl -H "Authorization: Bearer \$(cat $home/key)" http://127.0.0.1:$port/emails
2. Use the official Resend client:   RESEND_BASE_URL=http://127.0.0.1:$port RESEND_API_KEY=\$(cat $home/key) node -e \\
     'new (require("resend").Resend)().emails.send({from:"you@quickstart.example",to:"a@example.com",subject:"Hi",text:"Hi"}).then(console.log)'
3. Send through a real mail server:  OPENSEND_TRANSPORT_URL='smtp://relay.example:587?tls=required' ./quickstart.sh
NEXT
