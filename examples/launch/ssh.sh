#!/bin/sh
# A run on the machines of a host file, over ssh, without passwords:
#
#   ./ssh.sh HOSTFILE [COMMAND ...]
#
# The host file has lines like `node1 slots=2`. The folder, Python and actorflow are to be at the same
# place on all machines (--remote-python says where else Python is). SSH_OPTIONS are further ones.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
hosts=$1
shift
[ $# -gt 0 ] || set -- "$python" "$here/place.py"
exec "$python" -m actorflow launch -n "${WORKERS:-2}" -s "${SERVERS:-1}" \
  --launcher ssh --hostfile "$hosts" --program "ssh ${SSH_OPTIONS:-}" --remote-python "$python" \
  ${PYTHONPATH:+--export PYTHONPATH} ${SERVER_COMMAND:+--server-command "$SERVER_COMMAND"} -- "$@"
