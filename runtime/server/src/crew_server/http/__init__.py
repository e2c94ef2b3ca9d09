"""The two ports: the crew's API (`api`, `events`, `failures`, `sessions`), and the pod's own questions (`probes`)."""
