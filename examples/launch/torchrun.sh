#!/bin/sh
# A run by torchrun, on this machine:
#
#   ./torchrun.sh [COMMAND ...]
#
# For several machines, give each of them this command with --nnodes, --node-rank and
# --master-addr in place of --standalone. The first SERVERS ranks are servers; they are on the first
# machine if it has as many. They meet at the port behind MASTER_PORT, unless AF_ROOT_PORT says
# another one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
workers=${WORKERS:-2}
export AF_NUM_SERVERS="${SERVERS:-1}" AF_ROOT_URI="${AF_ROOT_URI:-127.0.0.1}"
[ $# -gt 0 ] || set -- "$python" "$here/place.py"
exec ${TORCHRUN:-torchrun} --standalone --nproc-per-node=$((workers + AF_NUM_SERVERS)) --no-python \
  "$python" -m actorflow launch-rank \
  ${SERVER_COMMAND:+--server-command "$SERVER_COMMAND"} -- "$@"
