"""One module a verb: options -> one call -> what is shown. Each has `HELP`, `configure(parser)` and `run(options)`."""
