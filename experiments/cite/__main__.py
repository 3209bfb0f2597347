"""``python -m experiments.cite``."""

from experiments.command import run_command

run_command("cite")
