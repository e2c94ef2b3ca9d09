"""What a kickoff is (`state`, `kickoff`), where it lies (`queue`), how it comes here (`claiming`, `takeover`), how it
starts and ends (`dispatch` and the rest)."""
