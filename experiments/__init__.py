"""Commands and the experiment protocol. Nobody imports this package."""

import os

# Before torch starts its threads: waiting threads that spin starve whatever else the machine runs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
