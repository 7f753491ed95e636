"""Attackers on a link: which flows a hop takes out of the kernel's hands, and what becomes of them."""
