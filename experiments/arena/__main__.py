"""``python -m experiments.arena``."""

from experiments.command import run_command

run_command("arena")
