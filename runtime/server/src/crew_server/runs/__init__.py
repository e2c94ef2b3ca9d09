"""What a kickoff is (`state`, `kickoff`), where it lies (`store`), how it starts and ends (`dispatch` and the rest)."""
