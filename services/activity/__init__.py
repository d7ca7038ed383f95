"""activity: decides which activity events stand.

Read in this order: `structure` (bytes -> candidates), `rules` (may it stand?), `decision` (what is recorded, held,
voided), `intake` (the same inside a ledger transaction), then `holds`, `corrections` and the surfaces `api`, `broker`.
"""
