"""The worker half seen from here: the socket it connects to (`link`), and the children it forked (`slots`)."""
