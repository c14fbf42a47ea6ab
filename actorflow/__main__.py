"""`python -m actorflow`: the command `actorflow`."""

import sys

from actorflow.cli import main

sys.exit(main())
