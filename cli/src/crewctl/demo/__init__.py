"""The main job, shown: a crew keeps its memory when it scales, restarts and fails over.

`script` is the story as data, `stage` does what it asks for, `play` runs it, `show` renders it. `kube`, `guest` and
`waiting` are the stage's tools. Nothing here knows how the local cluster is made: what is done, is done by kubectl, by
HTTP to a replica, or by a signal to a process.
"""
