"""Crews and flows for rehearsals: each function is an entrypoint of its own."""
