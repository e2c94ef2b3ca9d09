"""The resource: its names, its typed spec, how it is parsed and the CRD made from it.

Pure: no IO, no clock. Everything else in the operator may import from here; this imports only `errors`, the
restrictions that `settings` may hold, and the contract.
"""
