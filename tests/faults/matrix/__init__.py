"""The fault matrix: each fault with load from outside, what it cost, and how soon it was told (`make faults`)."""
