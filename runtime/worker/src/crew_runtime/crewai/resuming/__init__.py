"""An attempt after a loss goes on behind what an earlier one has finished: tasks of a crew, methods of a flow."""
