"""Activity's read models of other contexts' ledgers."""
