"""When worlds begin, and for how long what is made in them is valid. Unix times, in seconds."""

EPOCH = 1767225600
"""Every world begins on 2026-01-01, 00:00 UTC."""

DAY = 86400

SIGNATURE_LIFE = (EPOCH - DAY, EPOCH + 30 * DAY)
"""Of signatures (RFC 6781 section 4.4.2 speaks of days to weeks)."""

CERTIFICATE_LIFE = (EPOCH - 30 * DAY, EPOCH + 60 * DAY)
EXPIRED_LIFE = (EPOCH - 120 * DAY, EPOCH - 30 * DAY)
AUTHORITY_LIFE = (EPOCH - 3650 * DAY, EPOCH + 3650 * DAY)

LASTING_LIFE = (EPOCH - 30 * DAY, EPOCH + 3650 * DAY)
"""Of signatures and certificates in worlds for programs that cannot be told what time it is in the world."""
