"""How a kickoff comes here (`claiming`, `takeover`), and runs in a slot until it ends (`dispatch` and the rest)."""
