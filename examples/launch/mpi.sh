#!/bin/sh
# A run by Open MPI, as one would start it without `actorflow launch --launcher mpi`:
#
#   ./mpi.sh [COMMAND ...]
#
# The first SERVERS ranks are servers. With more than one machine, say in MPI_OPTIONS which
# (--hostfile F), and in AF_ROOT_URI the address of that of rank 0.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
workers=${WORKERS:-2}
servers=${SERVERS:-1}
[ $# -gt 0 ] || set -- "$python" "$here/place.py"
exec mpirun -n $((workers + servers)) ${MPI_OPTIONS:-} \
  -x AF_NUM_SERVERS="$servers" ${AF_ROOT_URI:+-x AF_ROOT_URI} ${AF_ROOT_PORT:+-x AF_ROOT_PORT} \
  "$python" -m actorflow launch-rank \
  ${SERVER_COMMAND:+--server-command "$SERVER_COMMAND"} -- "$@"
