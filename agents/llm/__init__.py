"""The LLM pipeline: curation, fine-tuning, bulk inference, table, planner (Wang et al. 2024, section 3)."""
