"""Results as text, and what differs between them."""
