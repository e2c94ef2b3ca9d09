"""Around every call of the shared backend: deadline, breaker, retry where it is harmless, and a record of each failure.

CrewAI swallows the failures of its memory; because of this room ours are seen.
"""
