"""The work of each op: iteration spaces and accesses, from which every cost derives."""
