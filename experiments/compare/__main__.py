"""``python -m experiments.compare``."""

from experiments.command import run_command

run_command("compare")
