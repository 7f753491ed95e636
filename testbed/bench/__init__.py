"""What the testbed costs in time."""
