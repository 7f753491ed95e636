"""The reference resolver: an iterative, validating resolver as a state machine without I/O."""
