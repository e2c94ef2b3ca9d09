"""What a kickoff is (`state`, `human`, `record`), and the durable queue in Redis that it waits in (`queue`)."""
