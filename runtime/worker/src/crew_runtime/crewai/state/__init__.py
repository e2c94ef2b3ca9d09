"""CrewAI's state on the shared store: one module for each kind, and `registration`, which installs them."""
