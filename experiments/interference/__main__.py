"""``python -m experiments.interference``."""

from experiments.command import run_command

run_command("interference")
