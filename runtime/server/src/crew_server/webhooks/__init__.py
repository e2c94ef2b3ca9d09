"""Webhooks: what kickoffs tell is POSTed to the URLs that they were given, at least once and in order."""
