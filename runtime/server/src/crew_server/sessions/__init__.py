"""What is kept of a session, read and erased without the crew's code: records, flow state, kickoffs."""
