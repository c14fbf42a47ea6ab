"""What every script of this folder starts: a program that says which process of the run it is.

`python -m actorflow launch -n 2 -s 1 --server-command "python place.py" -- python place.py` starts
it without any of them. A program that trains makes its store by `af.kv.create("dist_sync")`, which
reads the same variables.
"""

import os

from actorflow.kvstore.environment import read

place = read(os.environ)
print(f"{place.name} of {place.num_workers} workers and {place.num_servers} servers;", end=" ")
print(f"all meet at {place.root_uri}:{place.root_port}")
