"""The network floor: sandboxes, virtual time, hosts with links between them, captures."""
