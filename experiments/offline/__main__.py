"""``python -m experiments.offline``."""

from experiments.command import run_command

run_command("offline")
