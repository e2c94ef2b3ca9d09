"""Failover of a managed Redis of three members: seal, elect, promote. One authority decides: the operator.

Why nothing that was acknowledged is lost: a write counts as acknowledged when it lies on the primary and on one more
member (WAIT 1). Before another primary is elected, two of the three members are sealed: they replicate from nobody any
more, so the old primary can get no further acknowledgement. Whatever was acknowledged before lies on two of three, so
one of any two sealed members has it, and the one with the greatest term and position has all of it. With fewer than two
members the operator waits and says so.

In: pods, what their Redis answers, the record of who is primary. Out: commands to the members, the record, labels.
`facts` are the types, `decide` is pure, `member` is the door to one Redis, `record` the one to the API server, and
`controller` brings them together, step by step, from what is found and not from what was planned: an operator that dies
anywhere is followed by one that begins anew.
"""
