"""The two ports: the crew's API (`api`, `kickoffs`), and probes, metrics, report and proof (`probes`)."""
