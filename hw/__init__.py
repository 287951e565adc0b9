"""Hardware and how long work takes on it; imports neither torch nor xdsl."""
