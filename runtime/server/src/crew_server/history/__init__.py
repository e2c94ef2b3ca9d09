"""The durable history: what Redis has for it is brought to Postgres, and read and erased there."""
