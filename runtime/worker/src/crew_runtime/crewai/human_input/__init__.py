"""Kickoffs that wait for a person without a process that waits: of a crew's tasks, and of flows."""
