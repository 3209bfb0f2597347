"""``python -m experiments.certify``."""

from experiments.command import run_command

run_command("certify")
