#!/bin/sh
#SBATCH --job-name=actorflow
#SBATCH --nodes=1
#SBATCH --ntasks=3
# A run by Slurm: `sbatch slurm.sh [COMMAND ...]`, from the folder of this file.
#
# Of the tasks, the first AF_NUM_SERVERS are servers. All meet on the first machine of the step.
# Several machines need keys (`actorflow keygen`) and a port that is free there, AF_ROOT_PORT.
set -eu
python=${PYTHON:-python3}
export AF_NUM_SERVERS="${SERVERS:-1}"
[ $# -gt 0 ] || set -- "$python" place.py
exec srun --kill-on-bad-exit=1 "$python" -m actorflow launch-rank \
  ${SERVER_COMMAND:+--server-command "$SERVER_COMMAND"} -- "$@"
