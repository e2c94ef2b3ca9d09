"""Proofs that state is shared: a nonce written through CrewAI's own API in one process, found in another."""
