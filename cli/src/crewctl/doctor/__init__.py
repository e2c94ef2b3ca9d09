"""A deployment that runs, asked: where is each kind of state, do the replicas agree, did everything come up?

`gather` asks the API server and, by `reach`, every replica; `facts` is what came back; `judge` makes findings of it
without asking anybody; `show` prints them.
"""
