"""A user's crew in two processes: does what the first remembers reach the second?

`project` finds the crew in a folder, `interpreter` the Python that runs it, `rounds` runs the processes against the
Redis of `scratch`, `judge` says what their answers (`facts`) mean, `show` prints it. The processes are
`crew_runtime.rehearsal`.
"""
